"""The segmenter of the installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.resources import model_bundle

if TYPE_CHECKING:
    from sparcc_pipeline.imaging.segmentation import ModelSegmenter


def load_installed_segmenter(config: PipelineConfig) -> ModelSegmenter:
    """Load the segmenter of the installed model bundle, or of the bundle or overlay that the settings name.

    Raises
    ------
    ModelError : the bundle is missing or changed, its engine is not installed, or the overlay fits another bundle
    """
    from sparcc_pipeline.imaging.model.overlay import OVERLAY_FILE, Overlay
    from sparcc_pipeline.imaging.segmentation import load_segmenter

    chosen = Path(config.model) if config.model else model_bundle()
    if (chosen / OVERLAY_FILE).is_file():
        overlay = Overlay.open(chosen)
        return load_segmenter(model_bundle(), engine=config.engine, threads=config.threads, overlay=overlay)
    return load_segmenter(chosen, engine=config.engine, threads=config.threads)
