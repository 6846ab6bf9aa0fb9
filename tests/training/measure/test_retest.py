"""The retest: its statistics on numbers worked out by hand, and its bookkeeping on a phantom whose score is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.errors import RegistrationError
from sparcc_pipeline.imaging.alignment.follow_up import Alignment, Anatomy
from sparcc_pipeline.imaging.alignment.registration import Registration
from sparcc_pipeline.rigid import RigidTransform, rotation_about
from sparcc_pipeline.sparcc.follow_up.alignment import AlignmentQuality
from sparcc_pipeline.sparcc.joint import Joints, find_joints
from sparcc_pipeline.training.data.phantom import Phantom, make_phantom
from sparcc_pipeline.training.data.phantom_spec import Lesion, PhantomSpec, known_score
from sparcc_pipeline.training.measure import retest as module
from sparcc_pipeline.training.measure.repeat_scan import Repeat
from sparcc_pipeline.training.measure.retest import (
    registration_error,
    retest,
)
from sparcc_pipeline.volume import FloatArray, Geometry, TissueMaps, Volume

SPEC = PhantomSpec(
    shape=(14, 204, 204),
    spacing_mm=(4.0, 0.9, 0.9),
    noise=0.0,
    bias=0.0,
    lesions=(
        Lesion(4, Side.RIGHT, Quadrant.UPPER_ILIAC),
        Lesion(7, Side.LEFT, Quadrant.LOWER_SACRAL, depth_mm=12.0),
    ),
)
"""Slices 4-9 are the six: a point on the first, two on the fourth."""


def along_normal(mm: float) -> RigidTransform:
    angle = np.radians(SPEC.tilt_degrees)
    return RigidTransform(translation_mm=(0.0, float(mm * np.cos(angle)), float(mm * np.sin(angle))))


class PhantomVisits:
    """Draws the repeats given, and finds in each the tissue that the phantom was drawn from."""

    provenance: Mapping[str, str] = {"name": "known"}

    def __init__(self, phantom: Phantom, plans: list[Repeat]) -> None:
        self._phantom, self._plans = phantom, plans
        self._now: Repeat | None = None
        self.drawn: list[int] = []

    def draw(self, geometry: Geometry, middle_mm: FloatArray, seed: int) -> Repeat:
        self._now = self._plans[len(self.drawn)]
        self.drawn.append(seed)
        return self._now

    def segment(self, volume: Volume) -> tuple[TissueMaps, Joints]:
        tissue = self._tissue(volume)
        return tissue, find_joints(tissue.anatomy, tissue.geometry)

    def _tissue(self, volume: Volume) -> TissueMaps:
        if volume is self._phantom.volume:
            return self._phantom.tissue
        assert self._now is not None
        back = np.eye(4)
        back[:3, 3] = self._now.motion.inverse().translation_mm
        to_phantom = np.linalg.inv(self._phantom.volume.geometry.affine) @ back @ volume.geometry.affine
        tissue, shape = self._phantom.tissue, volume.geometry.shape

        def moved(array: Any, order: int) -> Any:
            return ndimage.affine_transform(array, to_phantom[:3, :3], to_phantom[:3, 3], shape, order=order)

        along = np.arange(shape[0]) + to_phantom[0, 3]
        ligamentous = np.interp(along, np.arange(len(tissue.ligamentous)), tissue.ligamentous)
        return TissueMaps(
            geometry=volume.geometry,
            anatomy=moved(tissue.anatomy, 0),
            edema_probability=moved(tissue.edema_probability, 1),
            edema_threshold=tissue.edema_threshold,
            vessel=moved(tissue.vessel.astype(np.uint8), 0) > 0,
            ligamentous=ligamentous.astype(np.float32),
        )


@cache
def phantom() -> Phantom:
    return make_phantom(SPEC)


def run(plans: list[Repeat], monkeypatch: pytest.MonkeyPatch, wrong: list[RigidTransform | None]) -> dict[str, Any]:
    """A retest on the phantom; each registration is the truth followed by its `wrong`, or fails where it is None."""
    volume = phantom().volume
    visits = PhantomVisits(phantom(), plans)

    def align(baseline: Anatomy, follow_up: Anatomy) -> Alignment:
        assert baseline.volume is volume
        number = len(visits.drawn) - 1
        error = wrong[number]
        if error is None:
            raise RegistrationError("nothing fits")
        return Alignment(Registration(error.after(plans[number].motion), 1.0, 0.5), AlignmentQuality(0.0, 1.0))

    monkeypatch.setattr(module, "align", align)
    result = retest({"one": volume}, visits, len(plans), 5, lambda _: None, visits.draw)
    assert visits.drawn == [5 + number for number in range(len(plans))]
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    return result


MOTION = RigidTransform(translation_mm=(12.0, -8.0, 20.0))


def test_registration_error() -> None:
    points = np.array([[50.0, 0.0, 0.0], [-50.0, 0.0, 0.0]])
    truth = RigidTransform.about(np.zeros(3), rotation_about(2, 7), np.array([1.0, 2.0, 3.0]))
    shifted = RigidTransform(translation_mm=(3.0, 4.0, 0.0)).after(truth)
    turned = truth.after(RigidTransform.about(np.zeros(3), rotation_about(1, 2), np.zeros(3)))

    assert registration_error(shifted, truth, points) == pytest.approx({"mm": 5.0, "degrees": 0.0}, abs=1e-6)
    # Two degrees move a point 50 mm away by 2 * 50 * sin(1 degree).
    wanted = {"mm": 100 * np.sin(np.radians(1)), "degrees": 2.0}
    assert registration_error(turned, truth, points) == pytest.approx(wanted, abs=1e-6)


def test_a_perfect_registration_scores_the_same_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = [Repeat(MOTION, gain=1.2), Repeat(MOTION, along_normal(8.0)), Repeat(MOTION, along_normal(-5.6))]
    result = run(plans, monkeypatch, [RigidTransform()] * 3)
    total = known_score(SPEC).total
    row = result["scans"]["one"]

    assert total == 3
    assert row["baseline"]["total"] == total
    assert row["matched"]["totals"][:2] == [total, total]
    # Slices placed 8 mm behind begin two slices later: what was slice 4 is slice 2. Of slices placed 5.6 mm in front,
    # the one that begins 1.4 slices before the first scan is left out, so slice 4 is 4.4 and too far to the front.
    assert [each["matched"]["first_slice"] for each in row["repeats"]] == [4, 2, 4]
    assert [each["matched"]["slices_off"] for each in row["repeats"]] == pytest.approx([0, 0, 0.4], abs=0.02)
    assert row["matched"]["same_slices"] == 3
    assert row["matched"]["largest_slices_off"] == pytest.approx(0.4, abs=0.02)
    assert row["own"]["totals"][:2] == [total, total]
    assert row["registration"]["largest_mm"] == pytest.approx(0.0, abs=1e-6)
    assert result["goals"][0]["value"] == 1.0
    assert result["goals"][0]["reached"] is True


def test_a_wrong_registration_is_seen_and_costs_points(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run([Repeat(MOTION), Repeat(MOTION)], monkeypatch, [along_normal(8.0)] * 2)
    row = result["scans"]["one"]

    # Two slices too far back: the lesion on the first of the six is lost.
    assert row["matched"]["totals"] == [2, 2]
    assert row["matched"]["mean_difference"] == -1.0
    assert row["matched"]["same_slices"] == 0
    assert row["matched"]["largest_slices_off"] == pytest.approx(2.0, abs=0.02)
    assert row["repeats"][0]["matched"]["slices_off"] < 0
    assert row["registration"]["mean_mm"] == pytest.approx(8.0)
    assert row["own"]["totals"] == [3, 3]
    assert row["own"]["same_slices"] == 2
    over_all = result["over_all"]["matched"]
    assert over_all["agreement"]["mean"] == -1.0
    assert over_all["same_slices_share"] == 0.0
    assert [(goal["value"], goal["reached"]) for goal in result["goals"]] == [(0.0, False), (0.0, True), (0.0, True)]


def test_a_refused_registration_is_a_failure_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run([Repeat(MOTION), Repeat(MOTION)], monkeypatch, [RigidTransform(), None])
    row = result["scans"]["one"]

    assert row["matched"]["totals"] == [3]
    assert row["matched"]["failures"] == ["nothing fits"]
    assert row["matched"]["sd"] is None
    assert row["repeats"][1]["registration"] is None
    assert row["own"]["totals"] == [3, 3]
    over_all = result["over_all"]["matched"]
    assert (over_all["repeats"], over_all["scored"], over_all["sem"], over_all["agreement"]) == (2, 1, None, None)
    # A repeat that was not scored was not scored on the same slices.
    assert over_all["same_slices_share"] == 0.5
