"""T1 on the slices of STIR: its place by the coordinates of the scanner, and when it is left out."""

from __future__ import annotations

import math

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.imaging.alignment.second_contrast import resample_onto
from sparcc_pipeline.imaging.segmentation import ModelSegmenter
from sparcc_pipeline.volume import STIR, T1, Float32Array, Geometry, SeriesRef, Volume

SHAPE = (8, 48, 64)


def geometry(
    *,
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    tilt_degrees: float = 0.0,
    shape: tuple[int, int, int] = SHAPE,
    frame: str | None = "1.2.3",
) -> Geometry:
    c, s = math.cos(math.radians(tilt_degrees)), math.sin(math.radians(tilt_degrees))
    return Geometry(shape, origin_mm, ((0.0, c, s), (0.0, s, -c), (1.0, 0.0, 0.0)), (4.0, 0.8, 0.8), frame)


def volume(signal: Float32Array, place: Geometry) -> Volume:
    return Volume(signal, place, SeriesRef(None, None))


def ramp(shape: tuple[int, int, int]) -> Float32Array:
    """Signal that shows its position: hundreds by slice, units by column."""
    k, _, column = np.indices(shape)
    return np.asarray(100.0 * k + column, dtype=np.float32)


def test_a_stack_in_the_same_place_is_itself() -> None:
    resampled = resample_onto(volume(ramp(SHAPE), geometry()), geometry())

    assert resampled is not None
    assert resampled.covered.all()
    assert_allclose(resampled.signal, ramp(SHAPE), atol=1e-3)


def test_a_stack_that_begins_two_slices_later_covers_what_it_shows() -> None:
    later = volume(ramp(SHAPE), geometry(origin_mm=(0.0, 8.0, 0.0)))
    resampled = resample_onto(later, geometry())

    assert resampled is not None
    assert_array_equal(resampled.covered, np.arange(8) >= 2)
    assert_allclose(resampled.signal[2:], ramp(SHAPE)[:6], atol=1e-3)


def test_another_frame_of_reference_or_tilt_or_place_is_not_used() -> None:
    assert resample_onto(volume(ramp(SHAPE), geometry(frame="9.9")), geometry()) is None
    assert resample_onto(volume(ramp(SHAPE), geometry(tilt_degrees=12)), geometry()) is None
    assert resample_onto(volume(ramp(SHAPE), geometry(origin_mm=(0.0, 200.0, 0.0))), geometry()) is None


class Brightness:
    """A bone network that labels bright pixels as sacrum."""

    def __call__(self, batch: Float32Array) -> Float32Array:
        output = np.zeros((len(batch), 6, *batch.shape[2:]), dtype=np.float32)
        output[:, AnatomyLabel.SACRUM] = 5 * np.where(batch[:, 1] > 1.1, 1, -1)
        return output


def bright_block(columns: slice) -> Float32Array:
    signal = np.full(SHAPE, 10.0, dtype=np.float32)
    signal[:, 8:40, columns] = 40.0
    return signal


def test_bones_of_both_contrasts_are_taken_together_where_they_agree() -> None:
    segmenter = ModelSegmenter(Brightness(), Brightness(), 0.5, {})
    stir = volume(bright_block(slice(10, 50)), geometry())
    near = volume(bright_block(slice(11, 51)), geometry())
    bones = segmenter.find_bones(stir, near)

    assert bones.found_on == (STIR, T1)
    # T1 weighs more: the border is that of T1.
    assert not (bones.anatomy[:, 20, 10] == AnatomyLabel.SACRUM).any()
    assert (segmenter.find_bones(stir).anatomy[:, 20, 10] == AnatomyLabel.SACRUM).all()


def test_t1_of_someone_who_moved_is_left_out() -> None:
    segmenter = ModelSegmenter(Brightness(), Brightness(), 0.5, {})
    stir = volume(bright_block(slice(10, 40)), geometry())
    moved = volume(bright_block(slice(26, 56)), geometry())
    bones = segmenter.find_bones(stir, moved)

    assert bones.found_on == (STIR,)
    assert_array_equal(bones.anatomy, segmenter.find_bones(stir).anatomy)


def test_slices_that_t1_does_not_show_keep_the_bones_of_stir() -> None:
    segmenter = ModelSegmenter(Brightness(), Brightness(), 0.5, {})
    stir = volume(bright_block(slice(10, 50)), geometry())
    later = volume(bright_block(slice(11, 51)), geometry(origin_mm=(0.0, 8.0, 0.0)))
    bones, alone = segmenter.find_bones(stir, later), segmenter.find_bones(stir)

    assert bones.found_on == (STIR, T1)
    assert_array_equal(bones.anatomy[:2], alone.anatomy[:2])
    assert (bones.anatomy[2:] != alone.anatomy[2:]).any()
