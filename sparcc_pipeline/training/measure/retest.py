"""Measure how repeatable a score is: score each scan, then second scans of the same person, aligned with the first.

Nothing has changed between the scans, so every difference of totals is an error of measurement: of the matched slices,
of the networks, or of the rules at their limits.

The statistics and their sources are in `trial/agreement/measures.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from sparcc_pipeline.errors import SparccError
from sparcc_pipeline.imaging.alignment.follow_up import Anatomy, align
from sparcc_pipeline.imaging.model.normalize import joint_distance_mm, normal_marrow_signal
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.rigid import RigidTransform
from sparcc_pipeline.sparcc.follow_up.alignment import joint_points_mm, match_six_slices
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import SixSlices, choose_six_slices
from sparcc_pipeline.training.data.labels import PEOPLE
from sparcc_pipeline.training.measure.repeat_scan import Repeat, random_repeat, repeat_scan
from sparcc_pipeline.trial.agreement.measures import limits_of_agreement, smallest_detectable_change, within_subject_sd
from sparcc_pipeline.volume import FloatArray, Geometry, TissueMaps, Volume

SAME_WITHIN_SLICES: Final = 0.5
LOW_TOTAL: Final = 20
SAME_SLICES_GOAL: Final = 0.95
LOW_TOTAL_SD_GOAL: Final = 1.5
DETECTABLE_CHANGE_GOAL: Final = 4.0

CHOICES: Final = {
    "matched": "the six slices that show the tissue scored at baseline",
    "own": "the six slices of the repeat's own transitional slice",
}

SEEDS_A_SCAN: Final = 1000
"""The repeats of one scan take their seeds from one block of this size."""

DrawRepeat = Callable[[Geometry, FloatArray, int], Repeat]


class TissueFinder(Protocol):
    """A segmenter: turns a volume into tissue maps, and names its model."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Name, version, sha256 and engine of the model."""

    def segment(self, volume: Volume) -> tuple[TissueMaps, Joints]:
        """Return the tissue maps of one STIR volume, in its own geometry, and the joints in them."""


def load_scans(data: Path) -> dict[str, Volume]:
    """Read the STIR scans of all PEOPLE from the folder that holds `sij_mri/`.

    Raises
    ------
    InputError : a file is missing or cannot be read
    """
    return {name: read_nifti(data / "sij_mri" / "stir" / f"{name}_STIR.nii.gz") for name in PEOPLE}


def retest(
    scans: Mapping[str, Volume],
    segmenter: TissueFinder,
    repeats: int,
    seed: int,
    report: Callable[[str], None],
    draw: DrawRepeat = random_repeat,
) -> dict[str, Any]:
    """Score each scan and `repeats` second scans of it; return all figures, ready for JSON.

    `report` is called with a line about each step.

    Raises
    ------
    UnscorableError : a scan itself cannot be scored; repeats that fail are counted with their reasons
    """
    rows: dict[str, Any] = {}
    for index, (name, volume) in enumerate(scans.items()):
        report(f"{name}: the scan itself")
        baseline = _Baseline(volume, segmenter)
        scanned = []
        for number in range(repeats):
            report(f"{name}: repeat {number + 1} of {repeats}")
            scanned.append(baseline.repeat(segmenter, draw, seed + SEEDS_A_SCAN * index + number))
        rows[name] = {
            "baseline": _points(baseline.score),
            "repeats": scanned,
            **{choice: _choice_figures(baseline.score.total, scanned, choice) for choice in CHOICES},
            "registration": _registration_figures(scanned),
        }
    result: dict[str, Any] = {"model": dict(segmenter.provenance), "seed": seed, "repeats": repeats, "scans": rows}
    result["over_all"] = {choice: _over_all(rows, choice) for choice in CHOICES}
    result["goals"] = _goals(result["over_all"]["matched"])
    return result


@dataclass(frozen=True, eq=False)
class _Segmented:
    """One scan with its tissue maps and joints."""

    volume: Volume
    tissue: TissueMaps
    joints: Joints

    @property
    def anatomy(self) -> Anatomy:
        """The part that registration uses."""
        return Anatomy(self.volume, self.tissue.anatomy, self.joints)


class _Baseline:
    """The scan itself, scored by the rule of the transitional slice."""

    def __init__(self, volume: Volume, segmenter: TissueFinder) -> None:
        self._scan = _segmented(volume, segmenter)
        tissue, joints = self._scan.tissue, self._scan.joints
        self._marrow = normal_marrow_signal(volume.signal, tissue.anatomy, joint_distance_mm(joints))
        self._six = choose_six_slices(joints, tissue.ligamentous)
        self._points = joint_points_mm(joints)
        self.score = score_sparcc(volume, tissue, joints, self._six)

    def repeat(self, segmenter: TissueFinder, draw: DrawRepeat, seed: int) -> dict[str, Any]:
        """Return one second scan: its scores on the matched and on its own slices, or the reasons why it has none."""
        volume = self._scan.volume
        plan = draw(volume.geometry, self._points.mean(axis=0), seed)
        found: dict[str, Any] = {"seed": seed, "registration": None, **dict.fromkeys(CHOICES), "failures": {}}
        try:
            again = _segmented(repeat_scan(volume, plan, self._marrow), segmenter)
        except SparccError as error:
            found["failures"] = dict.fromkeys(CHOICES, str(error))
            return found
        try:
            own = choose_six_slices(again.joints, again.tissue.ligamentous)
            found["own"] = self._scored(again, own, plan.motion)
        except SparccError as error:
            found["failures"]["own"] = str(error)
        try:
            transform = align(self._scan.anatomy, again.anatomy).registration.transform
            found["registration"] = registration_error(transform, plan.motion, self._points)
            geometry = again.volume.geometry
            matched = match_six_slices(self._six, self._scan.joints, geometry, transform)
            found["tilt_degrees"] = matched.tilt_degrees
            found["matched"] = self._scored(again, matched.slices, plan.motion)
        except SparccError as error:
            found["failures"]["matched"] = str(error)
        return found

    def _scored(self, again: _Segmented, six: SixSlices, motion: RigidTransform) -> dict[str, Any]:
        score = score_sparcc(again.volume, again.tissue, again.joints, six)
        off = slices_off(self._six, self._scan.joints, again.volume.geometry, six.first, motion)
        return {**_points(score), "slices_off": off}


def _segmented(volume: Volume, segmenter: TissueFinder) -> _Segmented:
    return _Segmented(volume, *segmenter.segment(volume))


def registration_error(found: RigidTransform, truth: RigidTransform, points_mm: FloatArray) -> dict[str, float]:
    """Return the error of a found transform at points (n, 3) of the baseline: mean distance in mm, and degrees."""
    turn = found.inverse().after(truth).angle_degrees
    return {"mm": float(found.distance_mm(truth, points_mm).mean()), "degrees": turn}


def slices_off(six: SixSlices, joints: Joints, follow_up: Geometry, first: int, truth: RigidTransform) -> float:
    """Return the distance of the six follow-up slices from `first` on to the baseline's six, in baseline slices.

    It is the mean over the six of the distance from a follow-up slice's middle to the joints of its baseline slice, by
    the true motion; positive if the follow-up slices are too far to the front.
    """
    off = []
    for position, index in enumerate(six.indices):
        points = joint_points_mm(joints, slice_index=index)
        if len(points):
            place = follow_up.to_index(truth.apply(points))[:, 0]
            off.append(float(place.mean()) - first - position)
    return float(np.mean(off)) * follow_up.spacing_mm[0] / joints.geometry.spacing_mm[0]


def _points(score: SparccScore) -> dict[str, Any]:
    return {
        "total": score.total,
        "edema": score.edema,
        "intensity": score.intensity,
        "depth": score.depth,
        "first_slice": score.slices.first,
    }


def _choice_figures(baseline: int, repeats: Sequence[Mapping[str, Any]], choice: str) -> dict[str, Any]:
    """Return the figures of one scan with one choice of slices; None if too few repeats were scored."""
    scored = [each[choice] for each in repeats if each[choice] is not None]
    totals = [each["total"] for each in scored]
    off = [each["slices_off"] for each in scored]
    return {
        "totals": totals,
        "mean_difference": float(np.mean(totals)) - baseline if totals else None,
        "sd": float(np.std(totals, ddof=1)) if len(totals) > 1 else None,
        "same_slices": sum(abs(each) <= SAME_WITHIN_SLICES for each in off),
        "largest_slices_off": max(map(abs, off), default=None),
        "failures": [each["failures"][choice] for each in repeats if choice in each["failures"]],
    }


def _registration_figures(repeats: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    errors = [each["registration"] for each in repeats if each["registration"] is not None]
    if not errors:
        return None
    return {
        f"{name}_{unit}": float(of([error[unit] for error in errors]))
        for unit in ("mm", "degrees")
        for name, of in (("mean", np.mean), ("largest", np.max))
    }


def _over_all(rows: Mapping[str, Any], choice: str) -> dict[str, Any]:
    """Return agreement, SEM and smallest detectable change over all scans; None if too few repeats were scored."""
    differences = [total - row["baseline"]["total"] for row in rows.values() for total in row[choice]["totals"]]
    repeats = sum(len(row["repeats"]) for row in rows.values())
    same = sum(row[choice]["same_slices"] for row in rows.values())
    low = [row for row in rows.values() if row["baseline"]["total"] < LOW_TOTAL]
    return {
        "repeats": repeats,
        "scored": len(differences),
        "same_slices": same,
        "same_slices_share": same / repeats if repeats else None,
        "agreement": _agreement(differences) if len(differences) > 1 else None,
        **_detectable([row[choice]["totals"] for row in rows.values()], ""),
        **_detectable([row[choice]["totals"] for row in low], "_low"),
        "largest_sd_low": max((row[choice]["sd"] for row in low if row[choice]["sd"] is not None), default=None),
    }


def _agreement(differences: Sequence[int]) -> dict[str, float | list[float]]:
    found = vars(limits_of_agreement(differences))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _detectable(groups: Sequence[Sequence[int]], suffix: str) -> dict[str, float | None]:
    if not any(len(group) > 1 for group in groups):
        return {f"sem{suffix}": None, f"sdc{suffix}": None}
    sem = within_subject_sd(groups)
    return {f"sem{suffix}": sem, f"sdc{suffix}": smallest_detectable_change(sem)}


def _goals(matched: Mapping[str, Any]) -> list[dict[str, Any]]:
    share, sd = matched["same_slices_share"], matched["largest_sd_low"]
    goals = []
    if share is not None:
        name = "share of repeats scored on the same slices, within half a slice"
        goals.append(goal(name, share, f">= {SAME_SLICES_GOAL:g}", share >= SAME_SLICES_GOAL))
    if sd is not None:
        name = f"largest SD of the totals of a scan under {LOW_TOTAL}"
        goals.append(goal(name, sd, f"<= {LOW_TOTAL_SD_GOAL:g}", sd <= LOW_TOTAL_SD_GOAL))
    if matched["sdc"] is not None:
        name = "smallest detectable change"
        goals.append(
            goal(name, matched["sdc"], f"<= {DETECTABLE_CHANGE_GOAL:g}", matched["sdc"] <= DETECTABLE_CHANGE_GOAL)
        )
    return goals


def goal(name: str, value: float, wanted: str, reached: bool) -> dict[str, Any]:
    """Return a figure and its goal, as `sparcc model evaluate` writes them."""
    return {"name": name, "value": value, "goal": wanted, "reached": bool(reached)}
