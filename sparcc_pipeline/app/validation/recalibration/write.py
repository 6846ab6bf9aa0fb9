"""`sparcc model recalibrate`: fit on own readings, and write the overlay with its card.

Contents: `run_recalibrate`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline import __version__
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.files import write_text
from sparcc_pipeline.app.study.resources import model_bundle
from sparcc_pipeline.app.trial_data.run import print_queries
from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.scoring import Workers
from sparcc_pipeline.app.validation.recalibration.fit import Fitted, Recalibration, recalibrate
from sparcc_pipeline.app.validation.run import ValidationRequest, load_material
from sparcc_pipeline.errors import ConfigError, ModelError
from sparcc_pipeline.imaging.model.bundle import Bundle
from sparcc_pipeline.imaging.model.overlay import OVERLAY_FILE, OVERLAY_FORMAT, overlay_hash
from sparcc_pipeline.trial.agreement.measures import Estimate

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
OVERLAY_RESULT: Final = ResultKind(OVERLAY_FILE, "sparcc-overlay/", re.compile(r"overlay\.json|card\.md"))


def run_recalibrate(
    request: ValidationRequest, out: Path, name: str, version: str, config: PipelineConfig, workers: Workers
) -> None:
    """Write an overlay of the installed model, if it helps people left out.

    Raises
    ------
    ConfigError : the name or the version cannot be part of a model's name
    ModelError : the studies were not all scored by the installed bundle
    UnscorableError : too few people, or it does not help
    OutputError : the overlay cannot be written
    """
    for value in (name, version):
        if not _NAME.fullmatch(value):
            raise ConfigError(
                f"expected a name and a version of small letters, digits, '.', '-' and '_', found {value!r}; change it"
            )
    with ResultFolder(out, force=False, kind=OVERLAY_RESULT) as folder:
        bundle = Bundle.open(model_bundle())
        report: Callable[[str], None] = lambda line: typer.echo(line, err=True)  # noqa: E731
        material = load_material(request, config, workers, report)
        print_queries(material.queries)
        _require_scored_by(bundle, material)
        base = Fitted(bundle.edema_threshold, {kind: bundle.calibration(with_t1=kind) for kind in (True, False)})
        report("fitting on all people but a fifth, five times")
        found = recalibrate(material, base)
        content = overlay_content(found, bundle, name, version)
        write_text(folder.path / OVERLAY_FILE, json_text(content))
        write_text(folder.path / "card.md", card(content))
        folder.publish()
    typer.echo(card(content))
    typer.echo(f'Overlay: {out}. To use it, write model = "{out}" in the settings of score, batch or night.')


def _require_scored_by(bundle: Bundle, material: Material) -> None:
    others = [study for key, study in material.studies.items() if study.model[2] != bundle.sha256]
    if others:
        name, version, _ = others[0].model
        raise ModelError(
            f"expected studies scored by {bundle.name} {bundle.version} as installed, found {len(others)} scored by "
            f"another model, for instance {name} {version}; score them again without a model in the settings"
        )


def overlay_content(found: Recalibration, bundle: Bundle, name: str, version: str) -> dict[str, Any]:
    """Return the content of `overlay.json`, with its hash."""
    calibrations = {kind: None if each is None else asdict(each) for kind, each in found.fitted.calibrations.items()}
    content: dict[str, Any] = {
        "schema": OVERLAY_FORMAT,
        "sparcc_format": OVERLAY_FORMAT,
        "name": name,
        "version": version,
        "made_with": f"sparcc-pipeline {__version__}",
        "date": utc_now().date().isoformat(),
        "base": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        "edema_threshold": found.fitted.threshold,
        "calibration": calibrations[True],
        "calibration_stir_alone": calibrations[False],
        "threshold_before": bundle.edema_threshold,
        "learned_from": {"people": found.people, "readings": found.readings},
        "left_out": {
            "difference_before": found.difference[0],
            "difference_after": found.difference[1],
            "crps_before": found.crps[0],
            "crps_after": found.crps[1],
            "gain_difference": asdict(found.gain_difference),
            "gain_crps": asdict(found.gain_crps),
        },
        "accepted": {"threshold": found.new_threshold, "calibration": found.new_calibration},
        "research_use_only": True,
    }
    return content | {"sha256": overlay_hash(content)}


def card(content: dict[str, Any]) -> str:
    """Return the card of an overlay as Markdown."""
    base, left = content["base"], content["left_out"]
    kept = {part: "new" if content["accepted"][part] else "unchanged" for part in ("threshold", "calibration")}
    rows = [
        ("mean absolute difference of totals", "difference", kept["threshold"]),
        ("CRPS of the total", "crps", kept["calibration"]),
    ]
    table = [
        f"| {words} | {left[f'{key}_before']:.2f} | {left[f'{key}_after']:.2f} | "
        f"{_gain(Estimate(**left[f'gain_{key}']))} | {state} |"
        for words, key, state in rows
    ]
    return "\n".join(
        [
            f"# Overlay {content['name']} {content['version']} of {base['name']} {base['version']}",
            "",
            f"Research use only. Made {content['date']} with {content['made_with']}. SHA-256 {content['sha256']}.",
            "",
            f"Fitted on {content['learned_from']['readings']} readings of {content['learned_from']['people']} people. "
            f"Edema threshold {content['edema_threshold']:.3f} (before {content['threshold_before']:.3f}).",
            "",
            "On people left out of each fit:",
            "",
            "| figure | before | after | gain (95 % interval) | threshold or calibration |",
            "|---|---|---|---|---|",
            *table,
            "",
            "The overlay makes the machine agree with these readers. Where they are generous, it becomes generous: it "
            "does not make their readings right. Use it at the site whose readings it was fitted on.",
            "",
        ]
    )


def _gain(found: Estimate) -> str:
    ends = "" if found.low is None else f" ({found.low:+.2f}; {found.high:+.2f})"
    return f"{found.value:+.2f}{ends}"
