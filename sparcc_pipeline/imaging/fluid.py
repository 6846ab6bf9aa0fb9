"""Fluid, the reference for intense edema where no presacral vessel can be measured.

Cerebrospinal fluid (CSF) in the canal of spine and sacrum, and the nucleus of the L5-S1 disc. Source: [SpaImaging]; the
rules that find both are decisions of this project.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.imaging.vessels import LARGEST_CALIBRE_MM, round_footprint
from sparcc_pipeline.volume import BoolArray, Float32Array, Geometry, LabelArray

FLUID_OVER_MARROW: Final = 3.0
"""Fluid is at least this many times as bright as marrow. A darker disc has lost its water and does not measure fluid.
Decision of this project."""

BESIDE_MIDLINE_MM: Final = 25.0
SMALLEST_CSF_MM3: Final = 500.0
SHORTEST_CSF_MM: Final = 20.0
"""The dural sac is a tube: at least this long along the rows, and wider than any vessel. Decisions of this project."""

LARGEST_DISC_MM: Final = 20.0
"""Bones farther apart than this have more than a disc between them."""

SMALLEST_NUCLEUS_MM: Final = (2.4, 8.0)
"""Smallest bright part of a disc (rows, columns): vessels and nerve roots beside it are narrower."""


def find_csf(signal: Float32Array, anatomy: LabelArray, geometry: Geometry, marrow: float) -> BoolArray:
    """Return the brighter half of the CSF (nerve roots dim the rest); (slices, rows, columns) bool.

    It is the largest bright tube near the midline, outside bone, wider than a vessel, behind the middle of the sacrum
    and above half of its height (the dural sac ends at S2): bladder and bowel are in front of it, the rectum below.

    Parameters
    ----------
    signal : (slices, rows, columns) STIR
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    marrow : normal marrow signal, in the units of `signal`
    """
    nothing = np.zeros(signal.shape, dtype=bool)
    sacrum = anatomy == AnatomyLabel.SACRUM
    area = sacrum.sum(axis=(1, 2))
    if not area.any():
        return nothing
    behind = int(np.ceil(np.average(np.arange(len(area)), weights=area)))
    rows = np.flatnonzero(sacrum[: behind + 1].any(axis=(0, 2)))
    lowest = int(rows[0] + rows[-1]) // 2
    reach = int(BESIDE_MIDLINE_MM / geometry.spacing_mm[2])
    middle = round(float(np.median(np.nonzero(sacrum)[2])))
    place = (slice(behind, None), slice(None, lowest + 1), slice(max(middle - reach, 0), middle + reach + 1))
    fluid = (signal[place] >= FLUID_OVER_MARROW * marrow) & (anatomy[place] == AnatomyLabel.BACKGROUND)
    ball = round_footprint(LARGEST_CALIBRE_MM / 2, geometry.in_plane_mm)
    pieces, count = ndimage.label(ndimage.binary_opening(fluid, ball[None]))
    if not count:
        return nothing
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    sac = pieces == largest
    length_mm = np.ptp(np.flatnonzero(sac.any(axis=(0, 2)))) * geometry.spacing_mm[1]
    if sac.sum() * np.prod(geometry.spacing_mm) < SMALLEST_CSF_MM3 or length_mm < SHORTEST_CSF_MM:
        return nothing
    nothing[place] = _brighter_half(sac, signal[place])
    return nothing


def find_disc(
    signal: Float32Array, anatomy: LabelArray, geometry: Geometry, marrow: float, ligamentous: Float32Array
) -> BoolArray:
    """Return the brighter half of the nucleus of the L5-S1 disc, empty for a dark disc; (slices, rows, columns) bool.

    Parameters
    ----------
    signal : (slices, rows, columns) STIR
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    marrow : normal marrow signal, in the units of `signal`
    ligamentous : (slices,) probability that the slice shows the ligamentous part of the joints; there, canal and nerve
        roots are between the bones, and the slice is left out
    """
    disc = np.zeros(signal.shape, dtype=bool)
    nucleus = np.ones(
        [max(round(mm / step), 1) for mm, step in zip(SMALLEST_NUCLEUS_MM, geometry.in_plane_mm, strict=True)],
        dtype=bool,
    )
    for k in np.flatnonzero(ligamentous < 0.5):
        bright = (signal[k] >= FLUID_OVER_MARROW * marrow) & _between_l5_and_sacrum(anatomy[k], geometry)
        if bright.any():
            disc[k] = ndimage.binary_opening(bright, nucleus)
    return _brighter_half(disc, signal)


def _between_l5_and_sacrum(anatomy: LabelArray, geometry: Geometry) -> BoolArray:
    """(rows, columns) bool: below a lumbar vertebra and above the sacrum, where they are at most one disc apart."""
    # In each column: the row of the last lumbar pixel above a pixel, and of the first sacral one below it. A bone that
    # is missing is `far` away, so that its distance is over the limit.
    rows = np.arange(anatomy.shape[0])[:, None]
    far = 2 * anatomy.shape[0] + int(LARGEST_DISC_MM / geometry.spacing_mm[1])
    lumbar, sacrum = (anatomy == label for label in (AnatomyLabel.LUMBAR_VERTEBRA, AnatomyLabel.SACRUM))
    above = np.maximum.accumulate(np.where(lumbar, rows, -far), axis=0)
    below = np.minimum.accumulate(np.where(sacrum, rows, far)[::-1], axis=0)[::-1]
    between: BoolArray = (anatomy == AnatomyLabel.BACKGROUND) & (
        (below - above) * geometry.spacing_mm[1] <= LARGEST_DISC_MM
    )
    return between


def _brighter_half(region: BoolArray, signal: Float32Array) -> BoolArray:
    """(slices, rows, columns) bool: the pixels of a region at or above its median signal."""
    return region & (signal >= np.median(signal[region])) if region.any() else region
