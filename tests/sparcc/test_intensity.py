"""Intensity: edema as bright as the presacral vessels."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.sparcc.intensity import ReferenceSignal, intensity_point, measure_reference_signal

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

    found = measure_reference_signal(signal, {"presacral_vessels": regions[0], "csf": regions[1]}, 10.0)

    assert (found and found.kind, found and found.value) == (kind, value)


@pytest.mark.parametrize(("voxel_mm3", "measured"), [(9.9, False), (10.0, True), (10.1, True)])
def test_a_hundred_cubic_millimetres_of_vessel_are_needed(voxel_mm3: float, measured: bool) -> None:
    vessel = np.zeros((2, 5, 5), dtype=bool)
    vessel.flat[:10] = True

    signal = np.full((2, 5, 5), 700, dtype=np.float32)
    found = measure_reference_signal(signal, {"presacral_vessels": vessel}, voxel_mm3)

    assert found == (ReferenceSignal("presacral_vessels", 700.0) if measured else None)


def test_the_reference_is_the_median_over_the_vessels_of_all_slices() -> None:
    signal = np.full((3, 4, 4), 50, dtype=np.float32)
    vessel = np.zeros(signal.shape, dtype=bool)
    # One outlier, as a pulsation artefact, must not move the reference.
    for k, value in enumerate((600.0, 800.0, 90000.0)):
        vessel[k, 0] = True
        signal[k, 0] = value

    found = measure_reference_signal(signal, {"presacral_vessels": vessel}, 10.0)

    assert found is not None
    assert found.value == 800.0


def test_no_vessel_is_no_reference() -> None:
    nothing = np.zeros((2, 5, 5), dtype=bool)

    candidates = {"presacral_vessels": nothing, "csf": nothing, "disc": nothing}
    assert measure_reference_signal(np.ones((2, 5, 5), dtype=np.float32), candidates, 1000.0) is None
