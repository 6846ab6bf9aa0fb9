"""The machine's side: score folders with their points, probabilities, calibration and scanner.

Contents: `ScoredStudy`, `read_scored_studies`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.results.store import SCHEMA_PREFIX
from sparcc_pipeline.app.study.files import SCORE_FILE
from sparcc_pipeline.app.study.saved_study import saved_facts
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.scores.imaging import score_points
from sparcc_pipeline.app.validation.material.by_place import compact_by_place, item_place
from sparcc_pipeline.app.validation.material.studies import StudyKey, StudyRow
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.trial.items import ItemPlace, ItemReading
from sparcc_pipeline.trial.records import QueryKind
from sparcc_pipeline.volume import T1

_LONGEST_NAME: Final = 40
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9 .+-]+")
"""Characters that the name of a scanner cannot have in a report."""


@dataclass(frozen=True)
class Acquisition:
    """What is known of the scan; None where the score folder does not record it."""

    scanner: str | None = None
    field_t: float | None = None
    spacing_mm: float | None = None
    slices: int | None = None


@dataclass(frozen=True)
class ScoredStudy:
    """The machine's score of one study.

    Parameters
    ----------
    items : its points
    first : index of the first of its six slices
    probability : probability of each point, where the model is calibrated
    calibration : the lines and the spread that gave `probability`
    model : name, version and hash of the model
    threshold : probability from which the model called edema; None where the score folder does not record it
    with_t1 : T1 helped to find the bones
    """

    row: StudyRow
    folder: Path
    items: ItemReading
    total: int
    first: int
    asas_positive: bool
    interval_90: tuple[int, int] | None
    probability: Mapping[ItemPlace, float] = field(repr=False)
    calibration: Calibration | None
    acquisition: Acquisition
    model: tuple[str, str, str]
    threshold: float | None = None
    with_t1: bool = False

    @property
    def key(self) -> StudyKey:
        """Participant and visit."""
        return self.row.key


def read_scored_studies(folders: Sequence[tuple[StudyRow, Path]], queries: Queries) -> list[ScoredStudy]:
    """Return the scored studies; the same images under two keys do not count, and no score becomes a query."""
    found: list[tuple[ScoredStudy, tuple[str, ...]]] = []
    for row, folder in folders:
        try:
            document = json.loads((folder / SCORE_FILE).read_text(encoding="utf-8"))
            if not str(document["schema"]).startswith(SCHEMA_PREFIX):
                raise ValueError("another schema")
            if document["status"] != "scored":
                _ask_about_no_score(row, document, queries)
                continue
            found.append((_scored(row, folder, document), _marks(document)))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            _ask(
                row,
                queries,
                QueryKind.UNREADABLE,
                Message("a {file} of `sparcc score`", file=SCORE_FILE),
                Message("a damaged or another file"),
                Message("score the study again"),
            )
    return _each_once(found, queries)


def _each_once(found: Sequence[tuple[ScoredStudy, tuple[str, ...]]], queries: Queries) -> list[ScoredStudy]:
    images: dict[str, set[StudyKey]] = defaultdict(set)
    for study, marks in found:
        for mark in marks:
            images[mark].add(study.key)
    kept = []
    for study, marks in found:
        if all(len(images[mark]) == 1 for mark in marks):
            kept.append(study)
            continue
        _ask(
            study.row,
            queries,
            QueryKind.DUPLICATE,
            Message("each study once"),
            Message("the same images in another row"),
            Message("correct the row that is wrong; none of them counts"),
        )
    return kept


def _marks(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the marks that two scores of the same images share: study UID, hash of the input."""
    source = (document.get("provenance") or {}).get("input") or {}
    return tuple(str(mark) for mark in (document.get("study_uid"), source.get("sha256")) if mark)


def _scored(row: StudyRow, folder: Path, document: Mapping[str, Any]) -> ScoredStudy:
    facts = saved_facts(folder) or {}
    interval, model = document.get("interval_90"), (document.get("provenance") or {}).get("model") or {}
    calibration = facts.get("calibration")
    return ScoredStudy(
        row=row,
        folder=folder,
        items=ItemReading(row.key.participant, row.key.visit, None, compact_by_place(score_points(document))),
        total=int(document["total"]),
        first=int(document["slices"][0]["slice_index"]),
        asas_positive=bool(document["asas_positive"]),
        interval_90=None if interval is None else (int(interval[0]), int(interval[1])),
        probability=_probability(document),
        calibration=None if calibration is None else Calibration.from_json(calibration),
        acquisition=_acquisition(document, facts),
        model=(str(model.get("name")), str(model.get("version")), str(model.get("sha256"))),
        threshold=None if facts.get("edema_threshold") is None else float(facts["edema_threshold"]),
        with_t1=T1 in (document.get("bones_from") or ()),
    )


def _probability(document: Mapping[str, Any]) -> Mapping[ItemPlace, float]:
    found: dict[ItemPlace, float] = {}
    for joint in document["joints"]:
        index = int(document["slices"][joint["slice"]]["slice_index"])
        for item, value in (joint.get("probability") or {}).items():
            if value is not None:
                found[item_place(index, Side(joint["side"]), item)] = float(value)
    return compact_by_place(found)


def _acquisition(document: Mapping[str, Any], facts: Mapping[str, Any]) -> Acquisition:
    shown = (facts.get("series") or {}).get("facts") or {}
    names = [str(shown[name]) for name in ("manufacturer", "model") if shown.get(name)]
    scanner = " ".join(_NOT_IN_A_NAME.sub(" ", " ".join(names)).split())[:_LONGEST_NAME]
    shape, spacing = (facts.get("geometry") or {}).get("shape"), document.get("spacing_mm")
    return Acquisition(
        scanner=scanner or None,
        field_t=None if shown.get("field_strength_t") is None else round(float(shown["field_strength_t"]), 1),
        spacing_mm=None if not spacing else float(spacing[0]),
        slices=None if shape is None else int(shape[0]),
    )


def _ask_about_no_score(row: StudyRow, document: Mapping[str, Any], queries: Queries) -> None:
    _ask(
        row,
        queries,
        QueryKind.MISSING,
        Message("a study that can be scored"),
        Message("{status}: {reason}", status=str(document["status"]), reason=str(document.get("reason_kind"))),
        Message("look at its score.json; it does not count"),
    )


def _ask(row: StudyRow, queries: Queries, kind: QueryKind, expected: Message, found: Message, remedy: Message) -> None:
    queries.ask(kind, row.row, "path", expected, found, remedy, left_out="row", visit=row.visit)
