"""`sparcc model card`: print what a model is, what it learned from, its figures, and whether its files are intact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline.app.study.resources import model_bundle
from sparcc_pipeline.imaging.model.bundle import Bundle
from sparcc_pipeline.imaging.model.overlay import OVERLAY_FILE, Overlay

LICENCE_NOT_STATED: Final = (
    "not stated in the bundle; models/README.md has the state of each data set. Clear it before any use beyond "
    "internal research"
)


def run_card(folder: Path | None) -> None:
    """Print the card of a bundle or an overlay; by default that of the installed bundle.

    Raises
    ------
    ModelError : a file is missing, or not the file that the metadata names
    """
    if folder is not None and (folder / OVERLAY_FILE).is_file():
        lines = _overlay_lines(Overlay.open(folder))
    else:
        lines = _bundle_lines(Bundle.open(model_bundle() if folder is None else folder))
    for line in lines:
        typer.echo(line)


def _bundle_lines(bundle: Bundle) -> Iterator[str]:
    metadata = bundle.metadata
    yield f"{bundle.name} {bundle.version}"
    yield f"SHA-256: {bundle.sha256}"
    yield f"Files: {len(metadata['sha256'])}, all intact"
    yield f"Use: {metadata.get('intended_use', 'not stated')}"
    yield f"Made with: {metadata.get('made_with', 'not stated')}, torch {metadata.get('pytorch_version', 'not stated')}"
    yield f"Learned from: {metadata.get('data', 'not stated')}"
    data = _json_of(bundle.folder / "configs" / "data.json")
    if data:
        yield f"Data files: {len(data)}, their hashes in configs/data.json"
    yield f"Licence of the data: {metadata.get('data_licence', LICENCE_NOT_STATED)}"
    yield f"Edema threshold: {bundle.edema_threshold:g}"
    for words, with_t1 in (("with T1", True), ("STIR alone", False)):
        yield f"Calibrated on studies {words}: {'yes' if bundle.calibration(with_t1=with_t1) else 'no'}"
    yield from _figures(_json_of(bundle.folder / "docs" / "evaluation.json"))


def _figures(evaluation: dict[str, Any]) -> Iterator[str]:
    """Yield the goals of the evaluation: of people that the networks never saw."""
    goals = evaluation.get("goals") or []
    if not goals:
        yield "Figures: none in the bundle"
        return
    yield f"Figures on people left out, {evaluation.get('date', 'date not stated')}:"
    for goal in goals:
        value = goal["value"]
        shown = "not measured" if value is None else f"{value:.3g}"
        reached = {True: ", reached", False: ", NOT reached"}.get(goal["reached"], "")
        yield f"  {goal['name']}: {shown} (goal: {goal['goal']}{reached})"


def _overlay_lines(overlay: Overlay) -> Iterator[str]:
    content, bundle = overlay.content, Bundle.open(model_bundle())
    base = content["base"]
    yield f"Overlay {content['name']} {content['version']} of {base['name']} {base['version']}"
    yield f"SHA-256: {content['sha256']}, intact"
    fits = "yes" if base["sha256"] == bundle.sha256 else "NO: it was fitted on another bundle"
    yield f"Fits the installed model {bundle.name} {bundle.version}: {fits}"
    learned, left = content.get("learned_from", {}), content.get("left_out", {})
    yield f"Learned from: {learned.get('readings')} readings of {learned.get('people')} people"
    yield f"Edema threshold: {overlay.edema_threshold:.3f} (before {content.get('threshold_before', 0):.3f})"
    for words, key in (("Mean absolute difference of totals", "difference"), ("CRPS of the total", "crps")):
        if f"{key}_before" in left:
            yield f"{words} on people left out: {left[f'{key}_before']:.2f} before, {left[f'{key}_after']:.2f} after"


def _json_of(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
