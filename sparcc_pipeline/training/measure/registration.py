"""Measure the registration: on real pairs of visits, and on known motions added to them.

The true motion between two real visits is not known; joints and bones judge it. The motion added to the second visit is
known: the registration is right if it finds the motion between the visits followed by the added one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from sparcc_pipeline.errors import SeriesNotFoundError, SparccError
from sparcc_pipeline.imaging.alignment.follow_up import Anatomy, align
from sparcc_pipeline.imaging.bones import BoneMaps
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.rigid import RigidTransform
from sparcc_pipeline.sparcc.follow_up.alignment import AlignmentQuality, alignment_quality, joint_points_mm
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.training.measure.repeat_scan import body_signal, random_large_repeat, repeat_scan
from sparcc_pipeline.training.measure.retest import goal, registration_error
from sparcc_pipeline.training.measure.retest_report import goal_table
from sparcc_pipeline.volume import Volume

RECOVERED_MM: Final = 1.0
RECOVERED_DEGREES: Final = 1.0
RECOVERED_GOAL: Final = 0.95

WAYS: Final = ("slices follow the patient", "patient moves within the slices")
"""Even motions use the first way, odd ones the second."""

SEEDS_A_PAIR: Final = 1000

Pairs = Mapping[str, tuple[Volume, Volume]]


class BoneFinder(Protocol):
    """A segmenter that finds bones and names its model."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Name, version, sha256 and engine of the model."""

    def find_bones(self, volume: Volume) -> BoneMaps:
        """Return the bones of one volume."""


def load_pairs(data: Path) -> dict[str, tuple[Volume, Volume]]:
    """Read T1 (before, after) treatment of each person in the folder that holds `sij_mri/`.

    Raises
    ------
    InputError : there are none, or a file is missing or cannot be read
    """
    folder = data / "sij_mri" / "t1w_pairs"
    names = sorted(path.name.removesuffix("_pre.nii.gz") for path in folder.glob("*_pre.nii.gz"))
    if not names:
        raise SeriesNotFoundError(f"expected pairs NAME_pre.nii.gz and NAME_post.nii.gz in {folder}, found none")
    return {name: (_read(folder, name, "pre"), _read(folder, name, "post")) for name in names}


def _read(folder: Path, name: str, visit: str) -> Volume:
    return read_nifti(folder / f"{name}_{visit}.nii.gz")


def measure_registration(
    pairs: Pairs, segmenter: BoneFinder, motions: int, seed: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Register each pair, then its second visit moved by `motions` known motions; return figures ready for JSON.

    `report` is called with a line about each step.
    """
    rows: dict[str, Any] = {}
    for index, (name, (before, after)) in enumerate(pairs.items()):
        report(f"{name}: before and after treatment")
        rows[name] = {"failure": None, "motions": []}
        try:
            baseline, follow_up = _anatomy(before, segmenter), _anatomy(after, segmenter)
            alignment = align(baseline, follow_up)
        except SparccError as error:
            rows[name]["failure"] = str(error)
            continue
        found, points = alignment.registration, joint_points_mm(baseline.joints)
        unmoved = alignment_quality(
            baseline.labels, baseline.joints, follow_up.labels, follow_up.joints, RigidTransform()
        )
        rows[name]["before"] = _quality(unmoved, found.mutual_information_before)
        rows[name]["after"] = _quality(alignment.quality, found.mutual_information)
        rows[name]["moved"] = registration_error(RigidTransform(), found.transform, points)
        for number in range(motions):
            report(f"{name}: motion {number + 1} of {motions}")
            moved = _known_motion(
                baseline, follow_up, found.transform, number, seed + SEEDS_A_PAIR * index + number, segmenter
            )
            rows[name]["motions"].append(moved)
    result: dict[str, Any] = {"model": dict(segmenter.provenance), "seed": seed, "motions": motions, "pairs": rows}
    every = [motion for row in rows.values() for motion in row["motions"]]
    result["over_all"] = {
        "motions": len(every),
        **{outcome: sum(motion["outcome"] == outcome for motion in every) for outcome in OUTCOMES},
    }
    result["goals"] = _goals(result["over_all"])
    return result


OUTCOMES: Final = ("recovered", "flagged", "missed")
"""Accepted and within the limits; refused; accepted although wrong."""


def outcome_of(error: Mapping[str, float]) -> str:
    """Return the outcome of an accepted alignment."""
    right = error["mm"] <= RECOVERED_MM and error["degrees"] <= RECOVERED_DEGREES
    return "recovered" if right else "missed"


def _known_motion(
    baseline: Anatomy, follow_up: Anatomy, pair: RigidTransform, number: int, seed: int, segmenter: BoneFinder
) -> dict[str, Any]:
    """Move the second visit by a known motion and register it again."""
    points = joint_points_mm(baseline.joints)
    middle = pair.apply(points).mean(axis=0)
    way = number % len(WAYS)
    volume = follow_up.volume
    plan = random_large_repeat(volume.geometry, middle, seed, follows=way == 0)
    motion = plan.motion
    row: dict[str, Any] = {
        "seed": seed,
        "way": WAYS[way],
        "shift_mm": float(np.linalg.norm(motion.apply(middle[None])[0] - middle)),
        "turn_degrees": motion.angle_degrees,
        "error": None,
        "failure": None,
    }
    try:
        moved = _anatomy(repeat_scan(volume, plan, body_signal(volume.signal)), segmenter)
        found = align(baseline, moved).registration.transform
    except SparccError as error:
        return {**row, "outcome": "flagged", "failure": str(error)}
    row["error"] = registration_error(found, motion.after(pair), points)
    return {**row, "outcome": outcome_of(row["error"])}


def _anatomy(volume: Volume, segmenter: BoneFinder) -> Anatomy:
    bones = segmenter.find_bones(volume)
    return Anatomy(volume, bones.anatomy, find_joints(bones.anatomy, volume.geometry))


def _quality(quality: AlignmentQuality, mutual_information: float) -> dict[str, float | None]:
    """Return a dict; the distance of the joint lines is None if one of them is outside the other scan."""
    apart = quality.joint_line_mm if np.isfinite(quality.joint_line_mm) else None
    return {**vars(quality), "joint_line_mm": apart, "mutual_information": mutual_information}


def _goals(over_all: Mapping[str, int]) -> list[dict[str, Any]]:
    if not over_all["motions"]:
        return []
    share = over_all["recovered"] / over_all["motions"]
    name = f"share of known motions recovered within {RECOVERED_MM:g} mm and {RECOVERED_DEGREES:g} degree"
    return [
        goal(name, share, f">= {RECOVERED_GOAL:g}", share >= RECOVERED_GOAL),
        goal("wrong alignments that were accepted", over_all["missed"], "0", over_all["missed"] == 0),
    ]


def registration_markdown(result: Mapping[str, Any]) -> str:
    """Return the figures of `measure_registration` as Markdown."""
    lines = [*goal_table(result["goals"]), ""]
    lines += [
        "Before (by the scanner's coordinates, as if the patient had not moved) and after the registration:",
        "",
        "| pair | moved | joint lines mm | bone overlap | mutual information |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["pairs"].items():
        if row["failure"] is not None:
            lines.append(f"| {name} | refused: {row['failure']} | | | |")
            continue
        figures = [
            f"{_number(row['before'][key])} -> {_number(row['after'][key])}"
            for key in ("joint_line_mm", "bone_overlap", "mutual_information")
        ]
        moved = f"{row['moved']['mm']:.1f} mm, {row['moved']['degrees']:.1f} degrees"
        lines.append(f"| {name} | {moved} | {' | '.join(figures)} |")
    over_all = result["over_all"]
    lines += [
        "",
        f"{over_all['motions']} known motions added: {over_all['recovered']} recovered, {over_all['flagged']} "
        f"refused, {over_all['missed']} wrong but accepted. Error over the baseline's joints:",
        "",
        "| pair | way | recovered | mean mm | largest mm | mean degrees | largest degrees |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["pairs"].items():
        for way in WAYS:
            motions = [motion for motion in row["motions"] if motion["way"] == way]
            if motions:
                lines.append(f"| {name} | {way} | {_errors(motions)} |")
    refused = [(name, m) for name, row in result["pairs"].items() for m in row["motions"] if m["failure"] is not None]
    if refused:
        lines += ["", "Refused:", ""]
    for name, motion in refused:
        what = f"{motion['way']}, {motion['shift_mm']:.0f} mm, {motion['turn_degrees']:.0f} degrees"
        lines.append(f"- {name}, motion {motion['seed']} ({what}): {motion['failure']}")
    return "\n".join(lines) + "\n"


def _errors(motions: list[dict[str, Any]]) -> str:
    recovered = sum(motion["outcome"] == "recovered" for motion in motions)
    errors = [motion["error"] for motion in motions if motion["error"] is not None]
    figures = [
        f"{of([error[unit] for error in errors]):.2f}" if errors else "-"
        for unit in ("mm", "degrees")
        for of in (np.mean, np.max)
    ]
    return " | ".join([f"{recovered} of {len(motions)}", *figures])


def _number(value: float | None) -> str:
    return "outside" if value is None else f"{value:.2f}"
