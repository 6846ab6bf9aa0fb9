"""The stress test's bookkeeping: changes, failures with their reasons, and going on where it was stopped."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.errors import ConfigError, JointNotVisibleError
from sparcc_pipeline.sparcc.joint import Joints, find_joints
from sparcc_pipeline.training.data.phantom import Phantom, make_phantom
from sparcc_pipeline.training.data.phantom_spec import Lesion, PhantomSpec, known_score
from sparcc_pipeline.training.measure.distortions import Distortion, Scan
from sparcc_pipeline.training.measure.plots import stress_svg
from sparcc_pipeline.training.measure.stress import RowStore, chosen, figures_of, stress
from sparcc_pipeline.training.measure.stress_report import stress_csv, stress_markdown
from sparcc_pipeline.volume import TissueMaps, Volume

SPEC = PhantomSpec(
    shape=(12, 204, 204),
    spacing_mm=(4.0, 0.9, 0.9),
    noise=0.0,
    bias=0.0,
    lesions=(Lesion(4, Side.RIGHT, Quadrant.UPPER_ILIAC), Lesion(7, Side.LEFT, Quadrant.LOWER_SACRAL, depth_mm=12.0)),
)


@cache
def phantom() -> Phantom:
    return make_phantom(SPEC)


class KnownTissue:
    """A segmenter that knows the phantom's tissue; no edema where the signal was halved, no joint where it is 0."""

    provenance: Mapping[str, str] = {"name": "known", "version": "1", "sha256": "ab" * 32}

    def __init__(self) -> None:
        self.segmented = 0

    def segment(self, volume: Volume) -> tuple[TissueMaps, Joints]:
        self.segmented += 1
        peak = volume.signal.max() / phantom().volume.signal.max()
        if peak == 0:
            raise JointNotVisibleError("expected a joint, found\nnone")
        tissue = replace(phantom().tissue, normal_marrow=100.0)
        if peak < 0.75:
            tissue = replace(tissue, edema_probability=0 * tissue.edema_probability)
        return tissue, find_joints(tissue.anatomy, tissue.geometry)


def gain(factor: float) -> Distortion:
    def change(scan: Scan, _seed: int) -> Volume:
        return replace(scan.volume, signal=scan.volume.signal * factor)

    return Distortion(f"gain-{factor:g}", f"signal times {factor:g}", change)


DISTORTIONS = (gain(1.0), gain(0.5), gain(0.0))


def run(folder: Path, segmenter: KnownTissue, reported: list[str] | None = None, seed: int = 0) -> dict[str, Any]:
    store = RowStore(folder / "stress.jsonl", segmenter.provenance["sha256"], seed)
    lines = [] if reported is None else reported
    return stress({"one": phantom().volume}, segmenter, DISTORTIONS, seed, lines.append, store)


def test_changes_and_failures_are_rows(tmp_path: Path) -> None:
    reported: list[str] = []
    result = run(tmp_path, KnownTissue(), reported)
    same, without, failed = result["rows"]
    total = known_score(SPEC).total

    assert result["scans"]["one"]["total"] == total > 0
    assert (same["change"], same["slices_off"], same["failure"]) == (0, pytest.approx(0, abs=1e-6), None)
    assert (without["change"], without["same_slices_change"]) == (-total, -total)
    assert failed["change"] is None
    assert (failed["failure_kind"], failed["failure"]) == ("JointNotVisibleError", "expected a joint, found none")
    assert result["over_all"]["failed"] == 1
    assert result["over_all"]["failed_without_reason"] == 0
    assert "one: signal times 0.5 (2 of 3)" in reported
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    first = run(tmp_path, KnownTissue())
    file = tmp_path / "stress.jsonl"
    kept = file.read_text().splitlines()
    file.write_text("\n".join(kept[:-1]) + "\n" + kept[-1][:20])  # killed while it wrote the last row

    segmenter = KnownTissue()
    again = run(tmp_path, segmenter)

    assert again == first
    assert segmenter.segmented == 2, "the scan itself and the row that was lost"
    segmenter = KnownTissue()
    assert run(tmp_path, segmenter) == first
    assert segmenter.segmented == 0
    run(tmp_path, segmenter, seed=1)
    assert segmenter.segmented == 4, "another seed takes up no row"


def test_tables_and_picture_agree(tmp_path: Path) -> None:
    result = run(tmp_path, KnownTissue())
    total = result["scans"]["one"]["total"]

    rows = list(csv.DictReader(io.StringIO(stress_csv(result))))
    text = stress_markdown(result)

    assert [row["change"] for row in rows] == ["0", str(-total), ""]
    assert f"| signal times 0.5 | {-total:+d} ({-total:+d}) |" in text
    assert "- one, signal times 0: JointNotVisibleError: expected a joint, found none" in text
    assert "signal times 0.5" in stress_svg(result)


def test_figures_of_nothing_scored_are_missing_not_zero() -> None:
    figures = figures_of([{"change": None, "failure": "", "same_slices_change": None, "slices_off": None}])

    assert figures["median_change"] is None
    assert figures["failed_without_reason"] == 1


def test_an_unknown_distortion_is_named() -> None:
    assert [each.name for each in chosen(["noise", "coil"])] == ["noise", "coil"]
    with pytest.raises(ConfigError, match=r"pixels-0\.3.*found fog"):
        chosen(["fog"])
