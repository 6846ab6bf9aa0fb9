"""The segmenter of the installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.resources import model_bundle

if TYPE_CHECKING:
    from sparcc_pipeline.imaging.segmentation import ModelSegmenter


def load_installed_segmenter(config: PipelineConfig) -> ModelSegmenter:
    """Load the segmenter of the installed model bundle.

    Raises
    ------
    ModelError : the bundle is missing or changed, or its engine is not installed
    """
    from sparcc_pipeline.imaging.segmentation import load_segmenter

    return load_segmenter(model_bundle(), engine=config.engine, threads=config.threads)
