"""Properties of the score of every anatomy and every edema."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import ndimage

from sparcc_pipeline.anatomy import AnatomyLabel, Bone, Quadrant, Side
from sparcc_pipeline.sparcc.depth import DEPTH_THRESHOLD_MM
from sparcc_pipeline.sparcc.edema import SMALLEST_EDEMA_MM2
from sparcc_pipeline.sparcc.explanation import explain
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.margins import item_margins
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.volume import StorageOrder, TissueMaps, Volume

from ..sparcc.builders import MARROW, VESSEL, Anatomy, Lesion, points, score_of

FEW = settings(max_examples=25, deadline=None)

lesion_sets = st.lists(
    st.builds(
        Lesion,
        slice_index=st.integers(0, 7),
        side=st.sampled_from(Side),
        bone=st.sampled_from(Bone),
        to_mm=st.floats(2.0, 18.0),
        from_mm=st.sampled_from([0.0, 0.0, 4.5]),
        top_mm=st.floats(0.0, 20.0),
        bottom_mm=st.floats(10.0, 40.0),
        signal=st.sampled_from([400.0, VESSEL - 1, VESSEL, 2 * VESSEL]),
    ),
    max_size=6,
).map(tuple)

anatomies = st.builds(
    Anatomy,
    spacing_mm=st.sampled_from([(4.0, 1.1, 1.1), (4.0, 1.3, 0.9)]),
    tilt_degrees=st.sampled_from([0.0, 12.0, 20.0]),
    height_mm=st.sampled_from([22.0, 40.7]),
    absent=st.sampled_from([(), ((3, Side.LEFT),), ((2, Side.RIGHT), (4, Side.LEFT))]),
    transitional=st.integers(3, 7),
    vessels=st.booleans(),
    lesions=lesion_sets,
)


def items(score: SparccScore) -> list[int | None]:
    return [item for j in score.joints for item in (*j.edema.values(), j.intense, j.deep)]


@FEW
@given(anatomies)
def test_the_total_is_the_sum_of_its_parts_and_bounded(anatomy: Anatomy) -> None:
    score = anatomy.score()
    known = [item for item in items(score) if item is not None]

    assert score.total == score.edema + score.intensity + score.depth == sum(known)
    assert score.evaluable_maximum == len(known)
    assert 0 <= score.total <= score.evaluable_maximum <= 72
    assert score.edema <= 48
    assert score.intensity <= 12
    assert score.depth <= 12
    assert set(known) <= {0, 1}
    assert len(items(score)) == 72


@FEW
@given(anatomies)
def test_intense_and_deep_need_edema(anatomy: Anatomy) -> None:
    for joint in anatomy.score().joints:
        if not any(joint.edema.values()):
            assert joint.intense in (0, None)
            assert joint.deep in (0, None)
        assert (joint.deep == 1) == (joint.depth_mm is not None and joint.depth_mm >= 10.0)


@FEW
@given(anatomies)
def test_not_evaluable_is_never_0(anatomy: Anatomy) -> None:
    score = anatomy.score()

    for joint in score.joints:
        if (score.slices.indices[joint.slice], joint.side) in anatomy.absent:
            assert set(items(replace(score, joints=(joint,)))) == {None}
        else:
            lower = {p for q, p in joint.edema.items() if q in (Quadrant.LOWER_ILIAC, Quadrant.LOWER_SACRAL)}
            upper = {p for q, p in joint.edema.items() if q in (Quadrant.UPPER_ILIAC, Quadrant.UPPER_SACRAL)}
            assert (None in lower) == (lower == {None}) == (anatomy.height_mm < 30)
            assert None not in upper
            assert (joint.intense is None) == (not anatomy.vessels and any(joint.edema.values()))


@FEW
@given(anatomies, lesion_sets)
def test_more_edema_never_lowers_the_edema_score(anatomy: Anatomy, more: tuple[Lesion, ...]) -> None:
    before, after = anatomy.score(), replace(anatomy, lesions=anatomy.lesions + more).score()

    for joint, later in zip(before.joints, after.joints, strict=True):
        for quadrant, point in joint.edema.items():
            assert (point is None) == (later.edema[quadrant] is None)
            assert (point or 0) <= (later.edema[quadrant] or 0)
    assert before.edema <= after.edema


def mirrored(tissue: TissueMaps, stir: Volume) -> tuple[TissueMaps, Volume]:
    """The patient mirrored left-right."""
    other = np.arange(len(AnatomyLabel), dtype=np.uint8)
    right, left = AnatomyLabel.RIGHT_ILIUM, AnatomyLabel.LEFT_ILIUM
    other[[right, left]] = other[[left, right]]
    turned = replace(
        tissue,
        anatomy=other[tissue.anatomy[:, :, ::-1]],
        edema_probability=tissue.edema_probability[:, :, ::-1].copy(),
        vessel=tissue.vessel[:, :, ::-1].copy(),
    )
    return turned, replace(stir, signal=stir.signal[:, :, ::-1].copy())


def decided_by_a_pixel(tissue: TissueMaps, stir: Volume) -> set[tuple[int, str, str]]:
    """Points that edema larger by a pixel all round has, and edema smaller by a pixel has not."""
    larger, smaller = (
        replace(tissue, edema_probability=change(tissue.edema_probability, size=(1, 3, 3)))
        for change in (ndimage.maximum_filter, ndimage.minimum_filter)
    )
    return set(points(score_of(larger, stir))) - set(points(score_of(smaller, stir)))


@FEW
@given(anatomies)
@example(
    # The end of the joint is between two pixels: it is taken at one on the right and at the other on the left.
    Anatomy(
        spacing_mm=(4.0, 1.1, 1.1),
        tilt_degrees=12.0,
        height_mm=40.7,
        lesions=(Lesion(0, Side.RIGHT, Bone.ILIUM, to_mm=10.0, top_mm=0.0, bottom_mm=21.0),),
    )
)
def test_mirroring_swaps_the_sides_and_keeps_every_point_that_no_single_pixel_decides(anatomy: Anatomy) -> None:
    tissue = anatomy.tissue()
    stir = anatomy.stir(tissue)
    score = score_of(tissue, stir)
    mirror = score_of(*mirrored(tissue, stir))

    swapped = {(k, "left" if side == "right" else "right", item) for k, side, item in points(mirror)}
    differing = swapped ^ set(points(score))
    assert not differing or differing <= decided_by_a_pixel(tissue, stir)
    assert mirror.evaluable_maximum == score.evaluable_maximum


@FEW
@given(anatomies, st.floats(0.1, 50.0))
def test_the_scale_of_the_signal_does_not_matter(anatomy: Anatomy, factor: float) -> None:
    tissue = anatomy.tissue()
    stir = anatomy.stir(tissue)
    # Powers of two scale a float exactly, so that a signal at the reference stays at it.
    scaled = replace(stir, signal=stir.signal * np.float32(2.0 ** round(np.log2(factor))))

    assert points(score_of(tissue, scaled)) == points(score_of(tissue, stir))


@settings(max_examples=100, deadline=None)
@given(
    st.permutations(range(3)),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
)
def test_every_storage_order_round_trips(
    axes: list[int], flipped: tuple[bool, bool, bool], shape: tuple[int, int, int]
) -> None:
    order = StorageOrder((axes[0], axes[1], axes[2]), flipped)
    array = np.arange(np.prod(shape)).reshape(shape)

    assert_array_equal(order.to_source(order.from_source(array)), array)
    assert_array_equal(order.from_source(order.to_source(array)), array)


@FEW
@given(anatomies)
def test_a_margin_is_over_zero_just_where_the_point_was_given(anatomy: Anatomy) -> None:
    tissue = anatomy.tissue()
    stir, joints = anatomy.stir(tissue), find_joints(tissue.anatomy, tissue.geometry)
    score = score_sparcc(stir, tissue, joints, choose_six_slices(joints, tissue.ligamentous))

    for scored, margin in zip(score.joints, item_margins(stir, tissue, joints, score), strict=True):
        assert (scored.slice, scored.side) == (margin.slice, margin.side)
        for quadrant, point in scored.edema.items():
            found = margin.edema[quadrant]
            assert (point is None) == (found is None)
            assert found is None or (found >= 0) == bool(point)
        # Intensity and depth look at quadrants with a point only; the margin looks at all that could have one.
        if scored.intense:
            assert margin.intense is not None and margin.intense >= 0
        if scored.depth_mm is not None and scored.depth_mm >= DEPTH_THRESHOLD_MM + 0.3:
            assert margin.deep is not None and margin.deep >= 0


@FEW
@given(anatomies)
def test_the_explanation_of_a_point_agrees_with_it(anatomy: Anatomy) -> None:
    tissue = replace(anatomy.tissue(), normal_marrow=MARROW)
    stir, joints = anatomy.stir(tissue), find_joints(tissue.anatomy, tissue.geometry)
    score = score_sparcc(stir, tissue, joints, choose_six_slices(joints, tissue.ligamentous))

    for scored, why in zip(score.joints, explain(stir, tissue, joints, score), strict=True):
        for quadrant, point in scored.edema.items():
            area = why.edema_mm2[quadrant]
            assert (point is None) == (area is None)
            assert area is None or (area >= SMALLEST_EDEMA_MM2) == bool(point)
            assert (why.over_marrow[quadrant] is None) == (not area)
        assert why.over_reference is None or (why.over_reference >= 1) == bool(scored.intense)
