"""The pictures show the right thing in the right place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.report.pictures.overlay import (
    EDEMA,
    HEADER_PIXELS,
    JOINT_LINE,
    LEFT_JOINT_LINE,
    display_window,
    draw_overlays,
)
from sparcc_pipeline.app.report.pictures.reference_marks import REFERENCE, marrow_values, reference_legend
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.volume import BoolArray, Volume

from ...conftest import MARROW


def _where(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], colour: str) -> BoolArray:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.asarray(np.abs(picture.astype(int) - wanted).max(axis=2) < 30)


def _halves(scored: Scored, position: int) -> tuple[BoolArray, BoolArray]:
    """Where the edema colour is on the plain and on the annotated half, between header and footer."""
    picture = np.asarray(draw_overlays(scored)[position])[HEADER_PIXELS:-34]
    edema = _where(picture, EDEMA)
    middle = picture.shape[1] // 2
    return edema[:, : middle - 4], edema[:, middle + 4 :]


def test_the_reference_that_was_measured_is_outlined(scored: Scored) -> None:
    """Cerebrospinal fluid in the place of the vessels looks as they do; without any nothing is outlined."""
    vessel, nothing = scored.tissue.vessel, np.zeros_like(scored.tissue.vessel)
    assert scored.score.reference_signal is not None
    as_csf = replace(
        scored,
        tissue=replace(scored.tissue, vessel=nothing, csf=vessel),
        score=replace(scored.score, reference_signal=replace(scored.score.reference_signal, kind="csf")),
    )
    none = replace(as_csf, score=replace(scored.score, reference_signal=None))
    outlines = [
        _where(np.asarray(draw_overlays(each)[0])[HEADER_PIXELS:-34], REFERENCE) for each in (scored, as_csf, none)
    ]

    assert outlines[0].any()
    assert (outlines[0] == outlines[1]).all()
    assert not outlines[2].any()
    assert [str(words) for _, words in reference_legend([scored, as_csf])][:2] == ["reference vessels", "reference CSF"]


def test_normal_marrow_is_written_at_its_height(scored: Scored) -> None:
    heights = np.linspace(100, 300, scored.tissue.geometry.shape[1], dtype=np.float32)
    by_height = np.tile(heights, (scored.tissue.geometry.shape[0], 1))
    known = replace(scored, tissue=replace(scored.tissue, marrow_at_height=by_height))
    joints = [joint for side in Side if (joint := known.joints.at(7, side)) is not None]
    (upper_at, upper), (lower_at, lower) = marrow_values(known, joints)

    row_mm = known.study.stir.geometry.in_plane_mm[0]
    assert upper_at[0, 0] < lower_at[0, 0] and upper_at[0, 1] == pytest.approx(lower_at[0, 1], abs=2.0)
    for at, text in ((upper_at, upper), (lower_at, lower)):
        assert float(text) == pytest.approx(heights[round(at[0, 0] / row_mm)], abs=1.0)


def test_six_pictures_of_one_size(scored: Scored) -> None:
    pictures = draw_overlays(scored)

    assert len(pictures) == 6
    assert len({picture.size for picture in pictures}) == 1


def test_the_plain_half_stays_plain(scored: Scored) -> None:
    plain, annotated = _halves(scored, 1)

    assert not plain.any()
    assert annotated.any()


@pytest.mark.parametrize(("position", "left_in_picture", "upper"), [(1, True, True), (3, False, False)])
def test_the_patients_right_is_on_the_left(scored: Scored, position: int, left_in_picture: bool, upper: bool) -> None:
    _, annotated = _halves(scored, position)
    rows, columns = np.nonzero(annotated)

    assert bool(columns.mean() < annotated.shape[1] / 2) is left_in_picture
    assert bool((rows < annotated.shape[0] / 2).any()) is upper


def test_a_slice_without_edema_has_no_outline(scored: Scored) -> None:
    _, annotated = _halves(scored, 0)

    assert not annotated.any()


def test_both_joint_lines_are_drawn_where_the_joints_are(scored: Scored) -> None:
    picture = np.asarray(draw_overlays(scored)[0])[HEADER_PIXELS:-34]
    half = picture[:, picture.shape[1] // 2 + 4 :]
    right, left = (np.flatnonzero(_where(half, color).sum(axis=0) > 100) for color in (JOINT_LINE, LEFT_JOINT_LINE))

    # Joints at columns 48.5 and 100.5 of the image, 1.2 mm each; 4.8 picture pixels a mm.
    assert left.max() - right.min() == pytest.approx(52 * 1.2 * 4.8, abs=8)
    assert right.max() < left.min()


def test_the_window_follows_the_marrow_not_the_lesion_or_the_units(scored: Scored) -> None:
    black, white = display_window(scored)
    stir = scored.study.stir
    scaled = Volume(stir.signal * 3 - 5000, stir.geometry, stir.series)
    same_picture = replace(scored, study=replace(scored.study, stir=scaled))

    assert white - black == pytest.approx(4 * (MARROW - black), rel=0.02)
    assert display_window(same_picture) == pytest.approx((black * 3 - 5000, white * 3 - 5000), rel=1e-3)


def test_a_slice_without_a_joint_can_be_drawn(scored: Scored) -> None:
    outside = replace(scored, score=replace(scored.score, slices=replace(scored.score.slices, first=0)))

    assert len(draw_overlays(outside)) == 6
