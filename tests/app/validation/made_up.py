"""Score folders and readings of a made-up hospital, drawn from one latent strength of each item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.margins import JointSliceMargins
from sparcc_pipeline.sparcc.uncertainty import Calibration, Logistic, score_likelihood
from sparcc_pipeline.trial.items import ITEMS, ItemPlace, as_score

from ..trial_data.conftest import write_csv

CALIBRATION = Calibration(Logistic(0.0, 1.0), Logistic(0.0, 1.0), Logistic(0.0, 1.0), reading_sd=0.7)
QUADRANTS = tuple(quadrant.value for quadrant in Quadrant)
Points = dict[ItemPlace, int | None]


@dataclass(frozen=True)
class Hospital:
    """How the studies of one site differ: the machine's error, the scanner, the readers' generosity."""

    site: str
    people: int = 20
    readers: dict[str, float] = field(default_factory=lambda: {"Wang": 0.0, "Li": 0.0})
    shift: float = 0.0
    noise: float = 0.8
    model: str = "Aera"
    field_t: float = 1.5
    first: int = 4
    seed: int = 0
    visits: tuple[str, ...] = ("W0",)
    threshold: float = 0.3
    sha256: str = "a" * 64


@dataclass
class Drawn:
    """Rows of the tables, and the strengths that they come from."""

    studies: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    totals: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path) -> tuple[Path, Path]:
        return write_csv(folder / "studies.csv", self.studies), write_csv(folder / "items.csv", self.items)


def draw(folder: Path, *hospitals: Hospital) -> Drawn:
    """Write the score folders of these hospitals, and return the rows of their tables."""
    drawn = Drawn()
    for hospital in hospitals:
        random = np.random.default_rng(hospital.seed)
        for number in range(hospital.people):
            person = f"{hospital.site}-{number + 1:03d}"
            level = random.normal(-2.5, 1.6)
            for visit in hospital.visits:
                strength = level + random.normal(0, 1.5, (6, 2, 6))
                margin = strength + hospital.shift + random.normal(0, hospital.noise, strength.shape)
                path = Path(hospital.site) / f"{person}-{visit}"
                _write_score(folder / path, margin, hospital, uid=f"1.2.826.0.{hospital.seed}.{number}.{visit[1:]}")
                row = {"participant": person, "visit": visit, "path": path.as_posix(), "site": hospital.site}
                drawn.studies.append(row)
                for reader, generosity in hospital.readers.items():
                    mood = random.normal(0, 0.5)
                    given = random.random(strength.shape) < expit(strength + generosity + mood)
                    rows = list(item_rows(person, visit, reader, _points(given, hospital.first)))
                    drawn.items += rows
                    total = sum(each["value"] for each in rows)
                    drawn.totals.append(
                        {"participant": person, "visit": visit, "reader": reader, "total": total, "locked": 1}
                    )
    return drawn


def item_rows(person: str, visit: str, reader: str, points: Points, repeat: int = 1) -> Iterator[dict[str, Any]]:
    """Rows of an item table."""
    for place, value in points.items():
        yield {
            "participant": person,
            "visit": visit,
            "reader": reader,
            "repeat": repeat,
            "slice_index": place.slice_index,
            "joint": place.side.value,
            "item": place.item,
            "value": value,
        }


def _points(given: np.ndarray, first: int) -> Points:
    return {
        ItemPlace(first + k, side, item): int(given[k, s, i])
        for k in range(6)
        for s, side in enumerate(Side)
        for i, item in enumerate(ITEMS)
    }


def margins_of(margin: np.ndarray) -> tuple[JointSliceMargins, ...]:
    return tuple(
        JointSliceMargins(
            k,
            side,
            {quadrant: float(np.clip(margin[k, s, i], -8, 8)) for i, quadrant in enumerate(Quadrant)},
            float(np.clip(margin[k, s, 4], -8, 8)),
            float(np.clip(margin[k, s, 5], -8, 8)),
        )
        for k in range(6)
        for s, side in enumerate(Side)
    )


def _write_score(folder: Path, margin: np.ndarray, hospital: Hospital, uid: str) -> None:
    folder.mkdir(parents=True)
    likelihood = score_likelihood(margins_of(margin), CALIBRATION)
    points = _points(margin > 0, hospital.first)
    score = as_score(points)
    joints = [
        {
            "slice": each.slice,
            "side": each.side.value,
            "edema": {q: points[ItemPlace(hospital.first + each.slice, each.side, q)] for q in QUADRANTS},
            **{name: points[ItemPlace(hospital.first + each.slice, each.side, name)] for name in ("intense", "deep")},
            "probability": {
                **{q.value: round(p or 0.0, 4) for q, p in each.edema.items()},
                "intense": round(each.intense or 0.0, 4),
                "deep": round(each.deep or 0.0, 4),
            },
        }
        for each in likelihood.joints
    ]
    document = {
        "schema": "sparcc-score/1",
        "status": "scored",
        "reason": None,
        "study_uid": uid,
        "series_uid": f"{uid}.1",
        "slices": [{"slice_index": hospital.first + k, "sop_instance_uid": f"{uid}.1.{k}"} for k in range(6)],
        "joints": joints,
        "total": score.total,
        "asas_positive": score.asas_positive,
        "expected": round(likelihood.expected, 2),
        "interval_90": list(likelihood.interval_90),
        "probability_remission": round(likelihood.probability_remission, 4),
        "evaluable_maximum": 72,
        "spacing_mm": [4.0, 0.6, 0.6],
        "bones_from": ["STIR"],
        "chosen_by": "transitional slice",
        "provenance": {
            "model": {"name": "made_up", "version": "1", "sha256": hospital.sha256, "engine": "onnx"},
            "input": {"files": 20, "sha256": f"{abs(hash(uid)):064x}"[:64]},
            "created_at": "2026-03-02T09:00:00Z",
        },
    }
    (folder / "score.json").write_text(json.dumps(document))
    facts = {
        "geometry": {"shape": [20, 336, 336]},
        "calibration": asdict(CALIBRATION),
        "edema_threshold": hospital.threshold,
        "bones_from": ["STIR"],
        "series": {
            "person": "ab12",
            "acquired": "2026-02-28T08:15:00",
            "facts": {
                "manufacturer": "Siemens",
                "model": hospital.model,
                "field_strength_t": hospital.field_t,
            },
        },
    }
    np.savez(folder / "study.npz", facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8))


def other(hospital: Hospital, **changes: Any) -> Hospital:
    return replace(hospital, **changes)


def without_columns(rows: Sequence[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]
