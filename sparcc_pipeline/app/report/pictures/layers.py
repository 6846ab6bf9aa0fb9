"""The six slices as layers of a page: the plain image, its marks on a transparent ground, and T1 at the same place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.report.pictures.overlay import annotated, display_window, panel, png, view_of
from sparcc_pipeline.app.report.pictures.places import item_places
from sparcc_pipeline.app.report.pictures.reference_marks import reference_marrow
from sparcc_pipeline.app.report.pictures.view import View
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.imaging.alignment.registration import resample
from sparcc_pipeline.rigid import RigidTransform
from sparcc_pipeline.volume import BoolArray, Float32Array

T1_WINDOW: Final = (1.0, 99.5)
"""Percentiles of the signal that are shown black and white on T1."""

Places = dict[str, dict[str, tuple[float, float]]]


@dataclass(frozen=True)
class SliceLayers:
    """One of the six slices.

    Parameters
    ----------
    image, marks, t1 : PNG files of one size; `t1` is None without a T1-weighted series in the same frame of reference
    places : (x, y) of each item in per cent of the picture, by side and item; none of a joint that is not visible
    """

    image: bytes
    marks: bytes
    t1: bytes | None
    places: Places


def draw_layers(scored: Scored) -> list[SliceLayers]:
    """Return the six slices, anterior to posterior."""
    view, window, marrow = view_of(scored), display_window(scored), reference_marrow(scored)
    t1 = _t1_panels(scored, view)
    layers = []
    for position, index in enumerate(scored.score.slices.indices):
        plain = panel(scored.study.stir.signal[index], view, *window)
        layers.append(
            SliceLayers(
                image=png(plain.convert("L")),
                marks=png(_marks(scored, position, view, marrow[index])),
                t1=None if t1 is None else t1[position],
                places=_places(scored, index, view),
            )
        )
    return layers


def _marks(scored: Scored, position: int, view: View, marrow: BoolArray) -> Image.Image:
    """Return the marks alone: drawn on black and on white, the difference is what shows through."""
    grounds = [Image.new("RGB", view.size, colour) for colour in ("#000000", "#FFFFFF")]
    black, white = (np.asarray(annotated(ground, scored, position, view, marrow), dtype=np.int32) for ground in grounds)
    opacity = 255 - (white - black).max(axis=2, keepdims=True)
    colour = np.where(opacity > 0, black * 255 // np.maximum(opacity, 1), 0)
    return Image.fromarray(np.concatenate([np.clip(colour, 0, 255), opacity], axis=2).astype(np.uint8), "RGBA")


def _places(scored: Scored, slice_index: int, view: View) -> Places:
    width, height = view.size
    return {
        side.value: {
            item: (round(100 * x / width, 1), round(100 * y / height, 1))
            for item, (x, y) in item_places(joint, view).items()
        }
        for side in Side
        if (joint := scored.joints.at(slice_index, side)) is not None
    }


def _t1_panels(scored: Scored, view: View) -> Sequence[bytes] | None:
    """Return T1 at the places of the six slices by the coordinates of the scanner; no rule of the score uses it."""
    stir, t1 = scored.study.stir, scored.study.t1
    if t1 is None or stir.geometry.frame_of_reference_uid is None:
        return None
    if stir.geometry.frame_of_reference_uid != t1.geometry.frame_of_reference_uid:
        return None
    indices = scored.score.slices.indices
    corner = stir.geometry.to_mm(np.array([[indices[0], 0, 0]], dtype=float))[0]
    six = replace(stir.geometry, shape=(len(indices), *stir.geometry.shape[1:]), origin_mm=tuple(corner.tolist()))
    signal: Float32Array = resample(t1, RigidTransform(), six)
    black, white = (float(value) for value in np.percentile(signal, T1_WINDOW))
    return [png(panel(each, view, black, max(white, black + 1.0)).convert("L")) for each in signal]
