"""The measurement of the registration distinguishes right, refused and wrong alignments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparcc_pipeline.errors import RegistrationError, SeriesNotFoundError
from sparcc_pipeline.imaging.alignment.follow_up import Alignment, Anatomy
from sparcc_pipeline.imaging.alignment.registration import Registration
from sparcc_pipeline.imaging.bones import BoneMaps
from sparcc_pipeline.rigid import RigidTransform
from sparcc_pipeline.sparcc.follow_up.alignment import AlignmentQuality
from sparcc_pipeline.training.data.phantom import Phantom, make_phantom
from sparcc_pipeline.training.data.phantom_spec import PhantomSpec
from sparcc_pipeline.training.measure import registration as module
from sparcc_pipeline.training.measure.registration import (
    WAYS,
    load_pairs,
    measure_registration,
    outcome_of,
    registration_markdown,
)
from sparcc_pipeline.training.measure.repeat_scan import Repeat
from sparcc_pipeline.volume import STIR, FloatArray, Geometry, Volume

PAIR = RigidTransform(translation_mm=(0.0, 3.0, 4.0))


@cache
def phantom() -> Phantom:
    return make_phantom(PhantomSpec(shape=(12, 204, 204), spacing_mm=(4.0, 0.9, 0.9), noise=0.0, bias=0.0))


class PhantomBones:
    """Return the phantom's own bones for every volume."""

    provenance: Mapping[str, str] = {"name": "known"}

    def find_bones(self, volume: Volume) -> BoneMaps:
        return BoneMaps(phantom().tissue.anatomy, phantom().tissue.ligamentous, (STIR,), certainty=1.0)


def measured(monkeypatch: pytest.MonkeyPatch, errors: list[RigidTransform | None]) -> dict[str, Any]:
    """A pair whose second visit lies elsewhere by PAIR; each motion on top is found with one of the errors."""
    volume = phantom().volume
    plans: list[Repeat] = []

    def draw(geometry: Geometry, middle_mm: FloatArray, seed: int, *, follows: bool) -> Repeat:
        shift = RigidTransform(translation_mm=(10.0 + seed, 0.0, 0.0))
        assert follows == (len(plans) % 2 == 0)
        plans.append(Repeat(shift))
        return plans[-1]

    def align(baseline: Anatomy, follow_up: Anatomy) -> Alignment:
        if not plans:
            return Alignment(Registration(PAIR, 0.9, 0.2), AlignmentQuality(1.5, 0.9))
        error = errors[len(plans) - 1]
        if error is None:
            raise RegistrationError("nothing fits")
        return Alignment(Registration(error.after(plans[-1].motion).after(PAIR), 0.9, 0.2), AlignmentQuality(1.5, 0.9))

    monkeypatch.setattr(module, "random_large_repeat", draw)
    monkeypatch.setattr(module, "align", align)
    result = measure_registration({"one": (volume, volume)}, PhantomBones(), len(errors), 3, lambda _: None)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    return result


def test_right_refused_and_wrong_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = RigidTransform(translation_mm=(0.6, 0.0, 0.0)), RigidTransform(translation_mm=(0.0, 1.2, 0.0))
    result = measured(monkeypatch, [RigidTransform(), near, None, far])
    row = result["pairs"]["one"]

    assert [motion["outcome"] for motion in row["motions"]] == ["recovered", "recovered", "flagged", "missed"]
    assert [motion["way"] for motion in row["motions"]] == [*WAYS, *WAYS]
    assert [motion["shift_mm"] for motion in row["motions"]] == pytest.approx([13.0, 14.0, 15.0, 16.0])
    assert row["motions"][1]["error"]["mm"] == pytest.approx(0.6)
    assert row["motions"][2]["failure"] == "nothing fits"
    assert row["moved"]["mm"] == pytest.approx(5.0)
    assert row["before"]["mutual_information"] == 0.2
    # The same joints, as yet unmoved, lie on themselves.
    assert row["before"]["joint_line_mm"] == pytest.approx(0.0, abs=1e-6)
    assert row["after"] == {"joint_line_mm": 1.5, "bone_overlap": 0.9, "mutual_information": 0.9}
    assert result["over_all"] == {"motions": 4, "recovered": 2, "flagged": 1, "missed": 1}
    assert [(goal["value"], goal["reached"]) for goal in result["goals"]] == [(0.5, False), (1, False)]
    text = registration_markdown(result)
    assert "4 known motions added: 2 recovered, 1 refused, 1 wrong but accepted" in text
    assert f"| one | {WAYS[1]} | 1 of 2 | 0.90 | 1.20 | 0.00 | 0.00 |" in text
    assert "nothing fits" in text


def test_a_pair_that_is_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(baseline: Anatomy, follow_up: Anatomy) -> Alignment:
        raise RegistrationError("nothing fits")

    monkeypatch.setattr(module, "align", refuse)
    volume = phantom().volume
    result = measure_registration({"one": (volume, volume)}, PhantomBones(), 2, 0, lambda _: None)

    assert result["pairs"]["one"] == {"failure": "nothing fits", "motions": []}
    assert result["goals"] == []
    assert "| one | refused: nothing fits | | | |" in registration_markdown(result)


def test_visits_that_share_nothing_before_are_valid_json(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = AlignmentQuality(float("inf"), 0.0)
    monkeypatch.setattr(module, "alignment_quality", lambda *_: nowhere)
    result = measured(monkeypatch, [])

    assert result["pairs"]["one"]["before"]["joint_line_mm"] is None
    assert "| outside -> 1.50 |" in registration_markdown(result)


@pytest.mark.parametrize(
    ("mm", "degrees", "outcome"),
    [(1.0, 1.0, "recovered"), (1.01, 0.0, "missed"), (0.0, 1.01, "missed")],
)
def test_limits(mm: float, degrees: float, outcome: str) -> None:
    assert outcome_of({"mm": mm, "degrees": degrees}) == outcome


def test_no_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeriesNotFoundError, match="expected pairs"):
        load_pairs(tmp_path)


def test_pairs_of_the_data(shared_data: Path) -> None:
    pairs = load_pairs(shared_data)

    assert list(pairs) == ["2001-3001", "2003-3003", "2006-3006", "2010-3010", "6785-9976"]
    assert all(not np.array_equal(before.signal, after.signal) for before, after in pairs.values())
