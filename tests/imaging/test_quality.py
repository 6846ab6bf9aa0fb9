"""Each flag is raised by the fault that it names, simulated by known physics in a phantom that raises none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from sparcc_pipeline.anatomy import AnatomyLabel, Side
from sparcc_pipeline.imaging.quality import (
    GHOST_PEAK,
    QualityFlag,
    assess_quality,
    ghost_peak,
    noise_signal,
    shading_slope,
)
from sparcc_pipeline.sparcc.joint import Joints, find_joints
from sparcc_pipeline.sparcc.slices import SixSlices
from sparcc_pipeline.training.data.phantom import Phantom, make_phantom
from sparcc_pipeline.training.data.phantom_spec import PhantomSpec
from sparcc_pipeline.training.measure.distortions import Scan, ghosts
from sparcc_pipeline.volume import FloatArray, TissueMaps, Volume


@cache
def phantom() -> Phantom:
    return make_phantom(PhantomSpec(bias=0.0))


def marrow() -> float:
    found = phantom()
    return float(np.median(found.volume.signal[found.tissue.anatomy == AnatomyLabel.SACRUM]))


def flags(signal: FloatArray | None = None, tissue: TissueMaps | None = None) -> dict[str, QualityFlag]:
    made = phantom()
    tissue = replace(made.tissue, normal_marrow=marrow()) if tissue is None else tissue
    volume = made.volume if signal is None else replace(made.volume, signal=np.asarray(signal, dtype=np.float32))
    return {flag.code: flag for flag in assess_quality(volume, tissue, find_joints(tissue.anatomy, tissue.geometry))}


def test_the_plain_phantom_raises_no_flag_about_its_signal() -> None:
    assert not set(flags()) & {"ghosts", "noise", "shading", "one_side_brighter", "one_joint", "turned"}


def noisy(signal: FloatArray) -> FloatArray:
    return np.hypot(signal + np.random.default_rng(0).normal(0, 0.4 * marrow(), signal.shape), 1.0)


def shaded(signal: FloatArray) -> FloatArray:
    return signal * np.exp(-0.5 * np.linspace(-1, 1, signal.shape[1]))[None, :, None]


def fat_on_the_left(signal: FloatArray) -> FloatArray:
    """Soft tissue twice as bright on the patient's left, bones as they were."""
    brighter = signal.copy()
    half = slice(signal.shape[2] // 2, None)
    brighter[:, :, half] *= np.where(phantom().tissue.anatomy[:, :, half] > 0, 1.0, 2.5)
    return brighter


@pytest.mark.parametrize(
    ("code", "fault"), [("noise", noisy), ("shading", shaded), ("one_side_brighter", fat_on_the_left)]
)
def test_a_fault_raises_its_flag(code: str, fault: Callable[[FloatArray], FloatArray]) -> None:
    raised = flags(fault(phantom().volume.signal.astype(float)))

    assert code in raised
    assert raised[code].value != raised[code].limit
    if code == "one_side_brighter":
        assert raised[code].words.fields["side"] == Side.LEFT.value


@pytest.mark.parametrize("axis", [1, 2])
def test_ghosts_are_found_along_their_own_direction(axis: int) -> None:
    made = phantom()
    random = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(random.normal(0, 1, made.volume.signal.shape), (0, 2, 2))
    signal = (100 * (1 + texture)).clip(0).astype(np.float32)
    signal[:, 100:110, 120:130] = 900.0
    still = replace(made.volume, signal=signal)
    scan = Scan(still, np.zeros(signal.shape, dtype=bool), 100.0, 1.0, np.zeros((1, 3)), SixSlices(4, "user"))

    ghosted = ghosts(scan, 1, axis=axis).signal

    assert ghost_peak(signal, axis, 100.0) < GHOST_PEAK < ghost_peak(ghosted, axis, 100.0)
    assert ghost_peak(ghosted, 3 - axis, 100.0) < GHOST_PEAK


def test_noise_is_measured() -> None:
    made = phantom()
    deviation = 30.0
    flat = np.full(made.volume.signal.shape, 500.0) + np.random.default_rng(0).normal(
        0, deviation, made.volume.signal.shape
    )

    found = noise_signal(replace(made.volume, signal=flat.astype(np.float32)), made.tissue.anatomy)

    assert found == pytest.approx(deviation, rel=0.3)


def test_the_slope_of_a_known_field_is_measured() -> None:
    made = phantom()
    columns = np.arange(made.volume.signal.shape[2]) * made.volume.geometry.spacing_mm[2] / 100
    flat = np.broadcast_to(200 * np.exp(0.3 * (columns - columns.mean())), made.volume.signal.shape)

    rows, along_columns = shading_slope(flat.astype(np.float32), made.tissue.anatomy, 200.0, made.volume.geometry)

    assert rows == pytest.approx(0.0, abs=0.01)
    assert along_columns == pytest.approx(0.3, abs=0.01)


def one_sided(tissue: TissueMaps) -> TissueMaps:
    anatomy = tissue.anatomy.copy()
    seen = np.flatnonzero((anatomy == AnatomyLabel.LEFT_ILIUM).any(axis=(1, 2)))
    anatomy[seen[2:]] = np.where(anatomy[seen[2:]] == AnatomyLabel.LEFT_ILIUM, 0, anatomy[seen[2:]])
    return replace(tissue, anatomy=anatomy)


def cut(tissue: TissueMaps) -> TissueMaps:
    anatomy = tissue.anatomy.copy()
    last = int(np.flatnonzero((anatomy == AnatomyLabel.RIGHT_ILIUM).any(axis=(0, 1)))[-1])
    shifted = np.roll(anatomy, 15 - last, axis=2)
    shifted[:, :, 15 - last :] = 0
    return replace(tissue, anatomy=shifted)


def turned(tissue: TissueMaps) -> TissueMaps:
    anatomy = tissue.anatomy.copy()
    seen = np.flatnonzero((anatomy == AnatomyLabel.LEFT_ILIUM).any(axis=(1, 2)))
    front, back = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    anatomy[front] = np.where(anatomy[front] == AnatomyLabel.RIGHT_ILIUM, 0, anatomy[front])
    anatomy[back] = np.where(anatomy[back] == AnatomyLabel.LEFT_ILIUM, 0, anatomy[back])
    return replace(tissue, anatomy=anatomy)


@pytest.mark.parametrize(("code", "fault"), [("one_joint", one_sided), ("field_of_view", cut), ("turned", turned)])
def test_wrong_positions_of_bones_raise_their_flag(code: str, fault: Callable[[TissueMaps], TissueMaps]) -> None:
    assert code in flags(tissue=fault(replace(phantom().tissue, normal_marrow=marrow())))


def test_doubtful_bones_and_weak_suppression_are_reported_with_their_figures() -> None:
    tissue = replace(phantom().tissue, normal_marrow=marrow(), bones_certainty=0.84)
    dull = np.minimum(phantom().volume.signal, 1.9 * np.percentile(phantom().volume.signal, 95))

    assert "certainty of 0.84" in flags(tissue=tissue)["bones"].words
    assert "contrast" in flags(signal=dull.astype(float))


def test_nothing_is_measured_without_marrow(monkeypatch: pytest.MonkeyPatch) -> None:
    tissue = replace(phantom().tissue, normal_marrow=None)
    joints: Joints = find_joints(tissue.anatomy, tissue.geometry)

    assert not {flag.code for flag in assess_quality(phantom().volume, tissue, joints)} & {"noise", "shading"}


def test_a_volume_is_not_changed() -> None:
    made: Volume = phantom().volume
    before = made.signal.copy()

    flags()

    assert (made.signal == before).all()
