"""Measure how far the score moves with another scanner, protocol or patient: every distortion of every scan.

The model has seen these people: the figures show how much a score depends on the acquisition, not whether it is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparcc_pipeline import __version__
from sparcc_pipeline.errors import ConfigError, OutputError, SparccError
from sparcc_pipeline.imaging.quality import assess_quality, noise_signal
from sparcc_pipeline.rigid import RigidTransform
from sparcc_pipeline.sparcc.follow_up.alignment import joint_points_mm
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import SixSlices, choose_six_slices, first_in_stack
from sparcc_pipeline.training.measure.distortions import DISTORTIONS, Distortion, Scan
from sparcc_pipeline.training.measure.retest import TissueFinder, goal, slices_off
from sparcc_pipeline.volume import FloatArray, Geometry, TissueMaps, Volume, sacroiliac_bones

MEDIAN_GOAL: Final = 1.0
LARGEST_GOAL: Final = 5

Row = dict[str, Any]
"""One distortion of one scan; see `ROW_COLUMNS`."""

ROW_COLUMNS: Final = (
    "scan",
    "distortion",
    "words",
    "seed",
    "total",
    "edema",
    "intensity",
    "depth",
    "first_slice",
    "change",
    "slices_off",
    "same_slices_total",
    "same_slices_change",
    "evaluable_maximum",
    "flags",
    "failure_kind",
    "failure",
)
"""`change` is the total minus that of the scan itself. `slices_off` is the distance of the six slices from those of the
scan, in slices of the scan. `same_slices_*` is the score on the slices at the place of the scan's six. `flags` are the
warnings about the images that the distortion raises."""


def stress(
    scans: Mapping[str, Volume],
    segmenter: TissueFinder,
    distortions: Sequence[Distortion],
    seed: int,
    report: Callable[[str], None],
    kept: RowStore,
) -> dict[str, Any]:
    """Score each scan and each distortion of it; return all figures, ready for JSON.

    Parameters
    ----------
    report : called with a line about each step
    kept : rows of an earlier run, which are not scored again; each new row is written to it at once

    Raises
    ------
    UnscorableError : a scan itself cannot be scored; a distortion that fails is a row with its reason
    """
    baselines: dict[str, Any] = {}
    for name, volume in scans.items():
        rest = [each for each in distortions if kept.row(name, each.name) is None]
        if name in kept.baselines and not rest:
            baselines[name] = kept.baselines[name]
            continue
        report(f"{name}: the scan itself")
        baseline = _Baseline(volume, segmenter)
        baselines[name] = _points(baseline.score)
        kept.keep_baseline(name, baselines[name])
        for number, distortion in enumerate(rest, start=1):
            report(f"{name}: {distortion.words} ({number} of {len(rest)})")
            kept.keep(baseline.row(name, distortion, segmenter, seed))
    rows = [row for name in scans for each in distortions if (row := kept.row(name, each.name)) is not None]
    result: dict[str, Any] = {"model": dict(segmenter.provenance), "seed": seed, "scans": baselines, "rows": rows}
    result["distortions"] = [_of_distortion(each, rows) for each in distortions]
    result["over_all"] = figures_of(rows)
    result["goals"] = _goals(result["over_all"])
    return result


class RowStore:
    """The rows of a run in a file of JSON lines, so that the run continues where it was stopped.

    Rows of another model, software version or seed are ignored.
    """

    def __init__(self, file: Path, model_sha256: str, seed: int) -> None:
        self._file, self._made_by = file, {"model": model_sha256, "software": __version__, "seed": seed}
        self.baselines: dict[str, Any] = {}
        self._rows: dict[tuple[str, str], Row] = {}
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            self._take(line)

    def row(self, scan: str, distortion: str) -> Row | None:
        """Return the row of one distortion of one scan, or None."""
        return self._rows.get((scan, distortion))

    def keep(self, row: Row) -> None:
        """Write one row."""
        self._rows[row["scan"], row["distortion"]] = row
        self._append({"row": row})

    def keep_baseline(self, scan: str, points: Mapping[str, Any]) -> None:
        """Write the score of a scan itself."""
        self.baselines[scan] = dict(points)
        self._append({"baseline": {"scan": scan, **points}})

    def _append(self, content: Mapping[str, Any]) -> None:
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**content, "made_by": self._made_by}) + "\n")
        except OSError as error:
            raise OutputError(
                f"expected {self._file} to take another row, found it cannot ({error.strerror}); free the disk or "
                "choose another --run"
            ) from error

    def _take(self, line: str) -> None:
        """Read one line of an earlier run; skip a line that was cut off."""
        try:
            content = json.loads(line)
        except ValueError:
            return
        if content.get("made_by") != self._made_by:
            return
        if "baseline" in content:
            baseline = content["baseline"]
            self.baselines[baseline.pop("scan")] = baseline
        else:
            self._rows[content["row"]["scan"], content["row"]["distortion"]] = content["row"]


class _Baseline:
    """The scan itself, scored by the rule of the transitional slice."""

    def __init__(self, volume: Volume, segmenter: TissueFinder) -> None:
        tissue, self._joints = segmenter.segment(volume)
        self._six = choose_six_slices(self._joints, tissue.ligamentous)
        self.score = score_sparcc(volume, tissue, self._joints, self._six)
        points = joint_points_mm(self._joints)
        noise = noise_signal(volume, tissue.anatomy)
        bones = sacroiliac_bones(tissue.anatomy)
        self._scan = Scan(volume, bones, _marrow(tissue), noise, points, self._six)
        self._six_points = np.concatenate([joint_points_mm(self._joints, slice_index=k) for k in self._six.indices])

    def row(self, name: str, distortion: Distortion, segmenter: TissueFinder, seed: int) -> Row:
        """Return one distortion of this scan: its score, or the reason why it has none."""
        row: Row = dict.fromkeys(ROW_COLUMNS)
        row |= {"scan": name, "distortion": distortion.name, "words": distortion.words, "seed": seed}
        try:
            volume = distortion.change(self._scan, seed)
            tissue, joints = segmenter.segment(volume)
            six = choose_six_slices(joints, tissue.ligamentous)
            score = score_sparcc(volume, tissue, joints, six)
            same = SixSlices(_first_at(self._six_points, volume.geometry), "user")
            same_total = score_sparcc(volume, tissue, joints, same).total
        except SparccError as error:
            return row | {"failure": " ".join(str(error).split()), "failure_kind": type(error).__name__}
        return row | {
            **_points(score),
            "change": score.total - self.score.total,
            "slices_off": slices_off(self._six, self._joints, volume.geometry, six.first, RigidTransform()),
            "same_slices_total": same_total,
            "same_slices_change": same_total - self.score.total,
            "flags": " ".join(flag.code for flag in assess_quality(volume, tissue, joints)),
        }


def _marrow(tissue: TissueMaps) -> float:
    """Return the signal of normal marrow that the segmentation measured."""
    if tissue.normal_marrow is None:
        raise ValueError("expected tissue maps with the signal of normal marrow")
    return tissue.normal_marrow


def _first_at(points_mm: FloatArray, geometry: Geometry) -> int:
    """Return the first of the six slices whose middle is nearest to that of these (n, 3) LPS points."""
    return first_in_stack(float(geometry.to_index(points_mm)[:, 0].mean()), geometry.shape[0])


def _points(score: SparccScore) -> dict[str, Any]:
    return {
        "total": score.total,
        "edema": score.edema,
        "intensity": score.intensity,
        "depth": score.depth,
        "first_slice": score.slices.first,
        "evaluable_maximum": score.evaluable_maximum,
    }


def figures_of(rows: Iterable[Row]) -> dict[str, Any]:
    """Return how far the totals moved over some rows; None if no row was scored."""
    all_rows = list(rows)
    scored = [row for row in all_rows if row["change"] is not None]
    moved = {key: [abs(row[key]) for row in scored] for key in ("change", "same_slices_change", "slices_off")}
    return {
        "rows": len(all_rows),
        "failed": len(all_rows) - len(scored),
        "failed_without_reason": sum(row["change"] is None and not row["failure"] for row in all_rows),
        "median_change": float(np.median(moved["change"])) if scored else None,
        "largest_change": max(moved["change"], default=None),
        "mean_signed_change": float(np.mean([row["change"] for row in scored])) if scored else None,
        "over_goal": sum(each > LARGEST_GOAL for each in moved["change"]),
        "median_same_slices_change": float(np.median(moved["same_slices_change"])) if scored else None,
        "largest_same_slices_change": max(moved["same_slices_change"], default=None),
        "largest_slices_off": max(moved["slices_off"], default=None),
    }


def _of_distortion(distortion: Distortion, rows: Sequence[Row]) -> dict[str, Any]:
    own = [row for row in rows if row["distortion"] == distortion.name]
    return {"name": distortion.name, "words": distortion.words, **figures_of(own)}


def _goals(over_all: Mapping[str, Any]) -> list[dict[str, Any]]:
    goals = []
    median, largest, silent = (over_all[k] for k in ("median_change", "largest_change", "failed_without_reason"))
    if median is not None:
        goals.append(goal("median change of the total", median, f"<= {MEDIAN_GOAL:g}", median <= MEDIAN_GOAL))
        name = "largest change of the total"
        goals.append(goal(name, largest, f"<= {LARGEST_GOAL}", largest <= LARGEST_GOAL))
    goals.append(goal("failures without a reason", silent, "0", silent == 0))
    return goals


def chosen(names: Sequence[str]) -> tuple[Distortion, ...]:
    """Return the distortions with these names, or all if no name is given.

    Raises
    ------
    ConfigError : a name is unknown
    """
    known = {each.name: each for each in DISTORTIONS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"expected --only among {', '.join(known)}, found {', '.join(unknown)}; change it")
    return tuple(known[name] for name in names) or DISTORTIONS
