"""Intensity: edema as bright as the presacral vessels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.intensity import (
    ReferenceSignal,
    intensity_point,
    measure_reference_signal,
    tissue_signal,
)
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.score import score_sparcc
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import Lesion as PhantomLesion
from sparcc_pipeline.training.data.phantom_spec import PhantomSpec
from sparcc_pipeline.volume import BoolArray, Float32Array

REFERENCE = ReferenceSignal("presacral_vessels", 900.0)
SHAPE = (20, 20)


def lesion(count: int = 40) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Edema on the first `count` pixels."""
    edema = np.zeros(SHAPE, dtype=bool)
    edema.flat[:count] = True
    return edema


@pytest.mark.parametrize(("value", "point"), [(899.9, 0), (900.0, 1), (900.1, 1)])
def test_the_reference_signal_itself_is_intense(value: float, point: int) -> None:
    assert intensity_point(lesion(), np.full(SHAPE, value, dtype=np.float32), REFERENCE, 1.0) == point


@pytest.mark.parametrize(("count", "point"), [(19, 0), (20, 1), (21, 1)])
def test_two_square_millimetres_must_be_intense(count: int, point: int) -> None:
    signal = np.where(lesion(count), np.float32(1000), np.float32(500))

    assert intensity_point(lesion(), signal, REFERENCE, 0.1) == point


def test_bright_pixels_outside_the_scored_edema_do_not_count() -> None:
    signal = np.where(lesion(), np.float32(500), np.float32(2000))

    assert intensity_point(lesion(), signal, REFERENCE, 1.0) == 0


def test_without_a_reference_only_absent_edema_can_be_judged() -> None:
    bright = np.full(SHAPE, 5000, dtype=np.float32)

    assert intensity_point(lesion(), bright, None, 1.0) is None
    assert intensity_point(lesion(0), bright, None, 1.0) == 0


def test_no_edema_is_never_intense() -> None:
    assert intensity_point(lesion(0), np.full(SHAPE, 5000, dtype=np.float32), REFERENCE, 1.0) == 0


@pytest.mark.parametrize(
    ("vessel", "csf", "kind", "value"),
    [(10, 10, "presacral_vessels", 500.0), (9, 10, "csf", 900.0), (0, 10, "csf", 900.0), (9, 9, None, None)],
)
def test_the_next_tissue_serves_where_there_is_too_little_of_the_first(
    vessel: int, csf: int, kind: str | None, value: float | None
) -> None:
    signal = np.where(np.arange(50) < 25, np.float32(500), np.float32(900)).reshape(2, 5, 5)
    regions = np.zeros((2, 2, 5, 5), dtype=bool)
    regions[0].flat[:vessel] = True
    regions[1].flat[25 : 25 + csf] = True

    found = measure_reference_signal(signal, {"presacral_vessels": regions[0], "csf": regions[1]}, (10.0, 1.0, 1.0))

    assert (found and found.kind, found and found.value) == (kind, value)


@pytest.mark.parametrize(("voxel_mm3", "measured"), [(9.9, False), (10.0, True), (10.1, True)])
def test_a_hundred_cubic_millimetres_of_vessel_are_needed(voxel_mm3: float, measured: bool) -> None:
    vessel = np.zeros((2, 5, 5), dtype=bool)
    vessel.flat[:10] = True

    signal = np.full((2, 5, 5), 700, dtype=np.float32)
    found = measure_reference_signal(signal, {"presacral_vessels": vessel}, (voxel_mm3, 1.0, 1.0))

    assert (found and (found.kind, found.value)) == (("presacral_vessels", 700.0) if measured else None)


def test_the_reference_is_the_median_over_the_vessels_of_all_slices() -> None:
    signal = np.full((3, 4, 4), 50, dtype=np.float32)
    vessel = np.zeros(signal.shape, dtype=bool)
    # One outlier, as a pulsation artefact, must not move the reference.
    for k, value in enumerate((600.0, 800.0, 90000.0)):
        vessel[k, 0] = True
        signal[k, 0] = value

    found = measure_reference_signal(signal, {"presacral_vessels": vessel}, (10.0, 1.0, 1.0))

    assert found is not None
    assert found.value == 800.0


def test_no_vessel_is_no_reference() -> None:
    nothing = np.zeros((2, 5, 5), dtype=bool)

    candidates = {"presacral_vessels": nothing, "csf": nothing, "disc": nothing}
    assert measure_reference_signal(np.ones((2, 5, 5), dtype=np.float32), candidates, (1000.0, 1.0, 1.0)) is None


def vessels(values: Sequence[float], noise: float = 0.0) -> tuple[Float32Array, BoolArray]:
    """A signal of 100, and a tube of 4 x 20 mm on each slice with one of `values`."""
    signal = np.full((len(values), 30, 30), 100, dtype=np.float32)
    tube = np.zeros(signal.shape, dtype=bool)
    tube[:, 10:14, 5:25] = True
    for k, value in enumerate(values):
        signal[k][tube[k]] = value
    return signal + np.random.default_rng(0).normal(0, noise, signal.shape).astype(np.float32), tube


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([300.0, 300.0, 290.0], None),
        ([300.0], "on one slice only"),
        ([250.0, 300.0, 480.0], "times as bright on one slice as on another"),
        ([210.0, 220.0, 215.0], "only 2.1 times as bright as normal marrow"),
    ],
)
def test_vessels_that_may_be_something_else_are_doubtful(values: list[float], words: str | None) -> None:
    signal, tube = vessels(values)

    found = measure_reference_signal(signal, {"presacral_vessels": tube}, (4.0, 1.0, 1.0), marrow=100.0)

    assert found is not None
    if words is None:
        assert (found.doubts, found.possible) == ((), (found.value,))
    else:
        assert words in str(found.doubts[0])
        low, value, high = found.possible
        assert low <= value / 1.25 and high >= value * 1.25


def test_a_dim_fluid_is_not_doubted_as_a_vessel() -> None:
    signal, region = vessels([210.0])

    found = measure_reference_signal(signal, {"csf": region}, (4.0, 1.0, 1.0), marrow=100.0)

    assert found is not None and found.doubts == ()


def test_noise_of_single_pixels_is_not_intense() -> None:
    # Edema of 400 mm2 at 0.9 of the reference. With noise of 0.1 of it, 16 % of the pixels reach the reference.
    noise = np.random.default_rng(1).normal(0, 90, (40, 40))
    signal = (810 + noise).astype(np.float32)
    edema = np.zeros((40, 40), dtype=bool)
    edema[10:30, 10:30] = True
    smooth = tissue_signal(signal, edema.astype(float), (1.0, 1.0))

    assert intensity_point(edema, signal, REFERENCE, 1.0) == 1
    assert intensity_point(edema, smooth, REFERENCE, 1.0) == 0
    assert intensity_point(edema, smooth * np.float32(1 / 0.9), REFERENCE, 1.0) == 1


def test_a_tissue_is_not_dimmed_by_its_neighbours() -> None:
    # A tube of 3 pixels in dark tissue, and edema of one pixel in marrow.
    signal = np.full((20, 20), 20, dtype=np.float32)
    tissue = np.zeros((20, 20))
    tissue[5:8, 2:18] = tissue[15, 15] = 1.0
    signal[tissue > 0] = 700

    smooth = tissue_signal(signal, tissue, (1.0, 1.0))

    np.testing.assert_allclose(smooth[tissue > 0], 700, rtol=1e-6)
    assert not smooth[tissue == 0].any()


def test_smoothing_is_measured_in_mm() -> None:
    coarse = np.full((20, 20), 100, dtype=np.float32)
    coarse[9:11, 9:11] = 900
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)
    everywhere = np.ones_like

    peaks = [
        tissue_signal(signal, everywhere(signal, dtype=float), (step, step)).max()
        for signal, step in ((coarse, 1.0), (fine, 0.5))
    ]

    assert peaks[0] == pytest.approx(peaks[1], rel=0.1)


@pytest.mark.parametrize(("signal", "intense"), [(0.9, 0), (1.12, 1)])
@pytest.mark.parametrize("noise", [0.05, 0.1, 0.2, 0.4])
def test_a_phantom_of_half_the_signal_to_noise_ratio_keeps_its_intensity(
    signal: float, intense: int, noise: float
) -> None:
    # Noise as a share of marrow; vessels are 4 times as bright as marrow. Up to 0.4 it is doubled three times.
    lesions = tuple(
        PhantomLesion(k, side, Quadrant.UPPER_ILIAC, length_mm=16.0, depth_mm=8.0, signal=signal)
        for k in (5, 6, 7)
        for side in Side
    )
    phantom = make_phantom(PhantomSpec(transitional_slice=9, lesions=lesions, noise=noise, bias=0.0, seed=2))
    joints = find_joints(phantom.tissue.anatomy, phantom.tissue.geometry)
    six = choose_six_slices(joints, phantom.tissue.ligamentous)

    score = score_sparcc(phantom.volume, phantom.tissue, joints, six)

    assert score.edema == 6
    assert abs(score.intensity - 6 * intense) <= 1
