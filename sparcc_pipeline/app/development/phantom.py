"""`sparcc phantom`: a synthetic study in DICOM, with its known score."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline.app.results.store import ResultFolder
from sparcc_pipeline.app.study.files import write_text
from sparcc_pipeline.dicom.vendor_headers import Style
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import KnownScore, PhantomSpec, known_score

SCHEMA: Final = "sparcc-phantom/1"
TRUTH_FILE: Final = "truth.json"
IMAGES_FOLDER: Final = "dicom"


def run_phantom(spec: PhantomSpec, out: Path, *, style: Style, enhanced: bool, reverse: bool) -> None:
    """Write `out`/dicom and `out`/truth.json.

    Raises
    ------
    ConfigError : the specification contradicts itself
    OutputError : `out` is not empty, or cannot be written
    """
    phantom, known = make_phantom(spec), known_score(spec)
    name = f"PHANTOM{spec.seed}"
    with ResultFolder(out, force=False) as folder:
        write_mr_series(
            phantom.volume,
            folder.path / IMAGES_FOLDER,
            style=style,
            patient_id=name,
            seed=f"{name} {style}",
            enhanced=enhanced,
            reverse_instance_numbers=reverse,
        )
        write_text(folder.path / TRUTH_FILE, json.dumps(truth_document(spec, known), indent=2) + "\n")
        folder.publish()
    typer.echo(f"SPARCC of this phantom: {known.total} of 72, slices {known.first_slice}-{known.first_slice + 5}")
    typer.echo(f"Images: {out / IMAGES_FOLDER}   truth: {out / TRUTH_FILE}")


def truth_document(spec: PhantomSpec, known: KnownScore) -> dict[str, Any]:
    """Return the content of `truth.json`: the known points, named as in `score.json`, and the specification."""
    joints = [
        {
            "slice": position,
            "side": side.value,
            "edema": {quadrant.value: point for quadrant, point in points.items()},
            "intense": known.intense[position, side],
            "deep": known.deep[position, side],
        }
        for (position, side), points in known.edema.items()
    ]
    made = asdict(spec)
    for lesion in made["lesions"]:
        lesion["side"], lesion["quadrant"] = lesion["side"].value, lesion["quadrant"].value
    return {
        "schema": SCHEMA,
        "research_use_only": True,
        "first_slice_index": known.first_slice,
        "total": known.total,
        "joints": joints,
        "phantom": made,
    }
