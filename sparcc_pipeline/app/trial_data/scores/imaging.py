"""Read the score folders of a trial, listed by a manifest or by the ledger of the night: scores with their points.

Contents: `ScoreFolder`, `named_by_manifest`, `read_scores`, `score_points`. A manifest (CSV or Excel) has the columns
participant, visit and path, the folder of `sparcc score`. A score of another participant, or a second score of the same
visit, does not count and becomes a query.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.results.store import SCHEMA_PREFIX
from sparcc_pipeline.app.results.table_reader import read_table
from sparcc_pipeline.app.study.files import SCORE_FILE
from sparcc_pipeline.app.study.saved_study import person_of
from sparcc_pipeline.app.trial_data.read.fields import Place
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows
from sparcc_pipeline.app.trial_data.read.visit_names import known_visit
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.items import ItemPlace, ItemReading
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import MachineScore
from sparcc_pipeline.trial.records import QueryKind

BASELINE_SLICES = "baseline"
"""Value of `chosen_by` in a score that uses the slices of the baseline."""

_NO_SCORE = ("unscorable", "rejected")


@dataclass(frozen=True)
class ScoreFolder:
    """A folder of `sparcc score` with its participant and visit; `row` is the row that names it."""

    row: CheckedRow
    visit: str
    folder: Path


@dataclass(frozen=True)
class _Found:
    """The content of a score folder."""

    row: CheckedRow
    visit: str
    document: dict[str, Any]
    points: Mapping[ItemPlace, int | None]
    person: str | None


def named_by_manifest(
    manifest: Path, participants: Sequence[str], protocol: Protocol, queries: Queries
) -> list[ScoreFolder]:
    """Return the score folders that a manifest names.

    Parameters
    ----------
    participants : the participants of the trial

    Raises
    ------
    InputError : the manifest cannot be read, or lacks a column
    """
    rows = checked_rows(read_table(manifest), queries, Place.MANIFEST, required=("participant", "visit", "path"))
    found = []
    for row in rows:
        visit = known_visit(row, participants, protocol, queries)
        if visit is not None and not _names_another_person(row, participants, queries):
            found.append(ScoreFolder(row, visit, manifest.parent / str(row.values["path"])))
    return found


def read_scores(
    folders: Sequence[ScoreFolder], protocol: Protocol, queries: Queries
) -> tuple[list[MachineScore], list[ItemReading]]:
    """Return the machine's scores in these folders, and their points."""
    found = [read for each in folders if (read := _read_folder(each, queries)) is not None]
    found = _once(found, queries)
    found = _of_one_person(found, queries)
    for each in found:
        _ask_about_rules(each, protocol, queries)
    points = [ItemReading(each.row.participant, each.visit, None, each.points) for each in found if each.points]
    return [_machine_score(each) for each in found], points


def _names_another_person(row: CheckedRow, participants: Sequence[str], queries: Queries) -> bool:
    """Return True, with a query, if a folder of the path is the number of another participant."""
    parts = set(Path(str(row.values["path"])).parts)
    others = sorted(parts & set(participants) - {row.participant})
    if others and row.participant not in parts:
        queries.ask(
            QueryKind.WRONG_PERSON,
            row,
            "path",
            Message("a score of {participant}", participant=row.participant),
            Message("a folder of {participant}", participant=others[0]),
            Message("correct participant or path"),
            left_out="row",
        )
        return True
    return False


def _read_folder(named: ScoreFolder, queries: Queries) -> _Found | None:
    """Return the content of `score.json`, checked as far as a trial needs it."""
    row, visit = named.row, named.visit
    try:
        document = json.loads((named.folder / SCORE_FILE).read_text(encoding="utf-8"))
        points = score_points(document)
        sound = (
            str(document["schema"]).startswith(SCHEMA_PREFIX)
            and document["status"] in ("scored", *_NO_SCORE)
            and (document["status"] in _NO_SCORE or isinstance(document["total"], int))
        )
    except FileNotFoundError:
        queries.ask(
            QueryKind.MISSING,
            row,
            "path",
            Message("a folder with {file}", file=SCORE_FILE),
            Message("none"),
            Message("score the study, or correct the path (relative to the folder of the manifest)"),
            left_out="row",
            visit=visit,
        )
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        sound = False
    if not sound:
        queries.ask(
            QueryKind.UNREADABLE,
            row,
            "path",
            Message("a {file} of `sparcc score`", file=SCORE_FILE),
            Message("a damaged or another file"),
            Message("score the study again"),
            left_out="row",
            visit=visit,
        )
        return None
    return _Found(row, visit, dict(document), points, person_of(named.folder))


def score_points(document: Mapping[str, Any]) -> dict[ItemPlace, int | None]:
    """Return every point of a score, by its slice of the series."""
    points: dict[ItemPlace, int | None] = {}
    for joint in document.get("joints") or []:
        index = int(document["slices"][joint["slice"]]["slice_index"])
        for item, point in {**joint["edema"], "intense": joint["intense"], "deep": joint["deep"]}.items():
            points[ItemPlace(index, Side(joint["side"]), item)] = None if point is None else int(point)
    return points


def _once(found: Sequence[_Found], queries: Queries) -> list[_Found]:
    """Keep scores whose visit and images occur once; a visit or images that occur twice do not count at all."""
    visits = Counter((each.row.participant, each.visit) for each in found)
    images: dict[str, list[_Found]] = defaultdict(list)
    for each in found:
        for mark in _marks(each):
            images[mark].append(each)
    kept = []
    for each in found:
        twin = next((t for mark in _marks(each) for t in images[mark] if t is not each), None)
        if visits[each.row.participant, each.visit] > 1:
            queries.ask(
                QueryKind.DUPLICATE,
                each.row,
                "visit",
                Message("one score a visit"),
                Message("more than one of {visit}", visit=each.visit),
                Message("keep one line"),
                left_out="row",
                visit=each.visit,
            )
        elif twin is not None:
            _ask_about_twin(each, twin, queries)
        else:
            kept.append(each)
    return kept


def _ask_about_twin(found: _Found, twin: _Found, queries: Queries) -> None:
    """Ask about a score whose images are those of another row."""
    row = found.row
    same = twin.row.participant == row.participant
    kind = QueryKind.DUPLICATE if same else QueryKind.WRONG_PERSON
    expected = Message("images of {participant} at {visit} alone", participant=row.participant, visit=found.visit)
    where = Message("the same images in row {row}, for another participant", row=twin.row.number)
    if same:
        where = Message("the same images in row {row}, for another visit", row=twin.row.number)
    remedy = Message("correct the line that is wrong")
    queries.ask(kind, row, "path", expected, where, remedy, left_out="row", visit=found.visit)


def _marks(found: _Found) -> list[str]:
    """Return the marks that two scores of the same images share: study UID, hash of the input."""
    source = (found.document.get("provenance") or {}).get("input") or {}
    return [str(mark) for mark in (found.document.get("study_uid"), source.get("sha256")) if mark]


def _of_one_person(found: Sequence[_Found], queries: Queries) -> list[_Found]:
    """Keep scores whose patient identifier agrees with most scores of the participant; without a majority, none."""
    persons: dict[str, Counter[str]] = defaultdict(Counter)
    for each in found:
        if each.person is not None:
            persons[each.row.participant][each.person] += 1
    kept = []
    for each in found:
        known = persons[each.row.participant]
        most = known.most_common(2)
        agreed = most[0][0] if most and (len(most) == 1 or most[0][1] > most[1][1]) else None
        if each.person is None or each.person == agreed:
            kept.append(each)
            continue
        queries.ask(
            QueryKind.WRONG_PERSON,
            each.row,
            "path",
            Message("images of one person for {participant}", participant=each.row.participant),
            Message("a patient identifier that differs from that of the other visits"),
            Message("check whose images these are, and correct participant or path"),
            left_out="row",
            visit=each.visit,
        )
    return kept


def _ask_about_rules(found: _Found, protocol: Protocol, queries: Queries) -> None:
    """Ask about a score that does not follow the protocol."""
    rules, document = protocol.imaging, found.document
    if document["status"] in _NO_SCORE:
        return
    chosen = document.get("chosen_by")
    if chosen not in (rules.slice_anchor, BASELINE_SLICES):
        queries.ask(
            QueryKind.NOT_ALLOWED,
            found.row,
            "path",
            Message("slices chosen by {rule} or baseline", rule=rules.slice_anchor),
            Message("slices chosen by {rule}", rule=str(chosen)),
            Message("score it again without --slices, or record the deviation"),
            left_out="nothing",
            visit=found.visit,
        )
    reference = document.get("reference_signal") or {}
    if reference and reference.get("kind") != rules.intensity_reference:
        queries.ask(
            QueryKind.NOT_ALLOWED,
            found.row,
            "path",
            Message("intensity against {reference}", reference=rules.intensity_reference),
            Message("intensity against {reference}", reference=str(reference.get("kind"))),
            Message("score it again, or record the deviation"),
            left_out="nothing",
            visit=found.visit,
        )


def _machine_score(found: _Found) -> MachineScore:
    document = found.document
    interval, spacing = document.get("interval_90"), document.get("spacing_mm")
    model = (document.get("provenance") or {}).get("model") or {}
    return MachineScore(
        participant=found.row.participant,
        visit=found.visit,
        total=document["total"],
        reason=document.get("reason"),
        asas_positive=document.get("asas_positive"),
        expected=_finite(document.get("expected")),
        interval_90=(float(interval[0]), float(interval[1])) if interval else None,
        probability_remission=_finite(document.get("probability_remission")),
        evaluable_maximum=document.get("evaluable_maximum"),
        spacing_mm=float(spacing[0]) if spacing else None,
        study_uid=document.get("study_uid"),
        model=f"{model['name']} {model['version']}" if model else None,
    )


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
