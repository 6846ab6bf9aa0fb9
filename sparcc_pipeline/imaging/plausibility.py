"""Refusal of images that are not a STIR of the sacroiliac joints: another contrast, or another body part.

Every limit is outside the range measured on seven people as scanned (0.6 mm, 3.3 mm, one site) and on distortions of
them (`training/measure/distortions.py`); the figures are given with each limit. Images that must be refused were: T1 of
nine people, two coronal T1 pelves, T2 without fat suppression and failed suppression (both composed from STIR and T1),
images upside down, rotated, reformatted, cut and synthetic, and heads. Nothing was measured on other scanners.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.errors import NotSacroiliacError, NotStirError
from sparcc_pipeline.message import Message
from sparcc_pipeline.volume import BoolArray, Float32Array, Geometry, LabelArray, Volume

FLUID_REFUSED: Final = 1.8
FLUID_WEAK: Final = 2.0
"""Signal exceeded by the brightest thousandth of the body, over that exceeded by the brightest twentieth. With nulled
fat only fluid is bright: 2.6-4.2 on seven STIR, never under 2.1 on their distortions, 2.3-4.5 on phantoms. Fat that is
not nulled fills the brightest twentieth: 1.2-1.5 on T1, 1.4-1.7 on T2 without suppression, 2.0-2.9 with fat half
nulled."""

SMALLEST_CERTAINTY: Final = 0.83
DOUBTFUL_CERTAINTY: Final = 0.86
"""Mean probability of the pixels labelled sacrum or ilium. Model 1.2.0: 0.90-0.93 on seven STIR, 0.92-0.93 on their T1,
0.88-0.93 on people left out of the training; at most 0.80 on the seven upside down. Model 1.1.0: at most 0.83 on three
of them upside down, on their side, cut to the lower third or reformatted (the limits below refuse most of these as
well). Model 1.0.0: 0.94-0.98 on phantoms, at most 0.81 on noise, spheres and heads."""

SIDEWAYS_MM: Final = (20.0, 110.0)
"""Distance of the middle of each ilium to its side of the middle of the sacrum: 61-71 mm on seven people, 30 mm where
the image ends in the middle of the sacrum."""

SMALLEST_ILIUM: Final = 0.1
"""An ilium smaller than this share of the other counts as missing. Decision of this project."""

SMALLEST_OVERLAP: Final = 0.65
OVERLAP_UP_TO_MM: Final = 5.5
"""Overlap (Dice) of each bone on neighbouring slices, used up to this distance of the slices: 0.80-0.91 on seven
people, at least 0.71 with slices 5.5 mm apart, 0.49-0.63 on images that are in fact axial."""

_FOREGROUND: Final = 0.2
"""Share of a high percentile of the signal from which a pixel is body."""


@dataclass(frozen=True)
class BoneEvidence:
    """The certainty of the bones, and their position relative to each other.

    Parameters
    ----------
    certainty : mean probability of the pixels labelled sacrum or ilium, 0 without such pixels
    sideways_mm : distance of the middle of each ilium to its side of the middle of the sacrum; None without an ilium
    overlap : Dice of each bone on neighbouring slices, the lowest of the three; None where a bone is missing, or where
        the slices are too far apart
    """

    certainty: float
    sideways_mm: tuple[float | None, float | None]
    overlap: float | None


def body(signal: Float32Array) -> BoolArray:
    """Return where there is tissue rather than air and noise; bool, same shape as `signal`."""
    return np.asarray(signal > _FOREGROUND * np.percentile(signal, 95))


def fluid_contrast(signal: Float32Array) -> float:
    """Return how many times as bright fluid is as the other bright tissue, 1 for an empty image.

    `signal` is (slices, rows, columns).
    """
    shown = signal[body(signal)]
    if not shown.size:
        return 1.0
    bright, brightest = np.percentile(shown, [95, 99.9])
    return float(brightest / bright) if bright > 0 else 1.0


def require_stir_contrast(volume: Volume) -> None:
    """Refuse images on which fat is as bright as fluid: T1, T2 or proton density without fat suppression.

    Raises
    ------
    NotStirError : fat is as bright as fluid, even if the headers name a STIR
    """
    contrast = fluid_contrast(volume.signal)
    if contrast < FLUID_REFUSED:
        raise NotStirError(
            Message(
                "expected a STIR, on which only fluid is bright (the brightest thousandth of the body 2.6 to 4.2 times "
                "as bright as the brightest twentieth), found {contrast:.1f} times: fat is not suppressed, or the "
                "image is empty; score the STIR series of this study",
                contrast=contrast,
            )
        )


def bone_evidence(certainty: float, anatomy: LabelArray, geometry: Geometry) -> BoneEvidence:
    """Return the evidence for the bones; `anatomy` is (slices, rows, columns) codes of `AnatomyLabel`."""
    middle = _middle_column_mm(anatomy == AnatomyLabel.SACRUM, geometry)
    ilia = [anatomy == ILIUM_LABEL[side] for side in Side]
    largest = max(int(ilium.sum()) for ilium in ilia)
    sideways: list[float | None] = []
    for side, ilium in zip(Side, ilia, strict=True):
        # Columns run from the patient's right to left: the right ilium is at smaller ones.
        place = _middle_column_mm(ilium, geometry) if ilium.sum() > SMALLEST_ILIUM * largest else None
        away = None if place is None or middle is None else place - middle
        sideways.append(away if away is None or side is Side.LEFT else -away)
    judged = None not in sideways and geometry.spacing_mm[0] <= OVERLAP_UP_TO_MM
    bones = (anatomy == AnatomyLabel.SACRUM, *ilia)
    overlap = min(_overlap_of_neighbours(bone) for bone in bones) if judged else None
    return BoneEvidence(certainty, (sideways[0], sideways[1]), overlap)


def require_sacroiliac(evidence: BoneEvidence) -> None:
    """Refuse bones that do not look like sacrum and ilia: another body part, or images with a wrong orientation.

    A missing bone is not refused here: then a joint is missing, which has its own error.

    Raises
    ------
    NotSacroiliacError : lists each figure that is outside its limits
    """
    faults = tuple(_faults(evidence))
    if faults:
        raise NotSacroiliacError(
            Message(
                "expected the sacroiliac joints, found {faults}: another body part, or images with another "
                "orientation than in their headers; look at the series and choose another with --series",
                faults=faults,
            )
        )


def _faults(evidence: BoneEvidence) -> Iterator[Message]:
    """Each figure that is outside its limits."""
    if evidence.certainty < SMALLEST_CERTAINTY:
        yield Message(
            "bones with a certainty of {certainty:.2f} (at least {limit:g})",
            certainty=evidence.certainty,
            limit=SMALLEST_CERTAINTY,
        )
    low, high = SIDEWAYS_MM
    for side, away in zip(Side, evidence.sideways_mm, strict=True):
        if away is not None and not low <= away <= high:
            yield Message(
                "the {side} ilium {away:.0f} mm to the side of the sacrum ({low:g} to {high:g} mm)",
                side=side.value,
                away=away,
                low=low,
                high=high,
            )
    if evidence.overlap is not None and evidence.overlap < SMALLEST_OVERLAP:
        yield Message(
            "bones that overlap by {overlap:.2f} from slice to slice ({limit:g} or more)",
            overlap=evidence.overlap,
            limit=SMALLEST_OVERLAP,
        )


def _middle_column_mm(bone: BoolArray, geometry: Geometry) -> float | None:
    """Mean column of a bone (slices, rows, columns) in mm; None where there is none."""
    columns = np.nonzero(bone)[2]
    return float(columns.mean()) * geometry.spacing_mm[2] if columns.size else None


def _overlap_of_neighbours(bone: BoolArray) -> float:
    """Dice of a bone (slices, rows, columns) with itself one slice further; 0 without bone."""
    size = int(bone[:-1].sum()) + int(bone[1:].sum())
    return 2 * int((bone[:-1] & bone[1:]).sum()) / size if size else 0.0
