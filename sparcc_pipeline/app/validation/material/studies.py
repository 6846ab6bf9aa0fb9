"""The list of studies: one row a participant and visit, with the place of its images or of its score.

Contents: `StudyRow`, `read_studies`. Columns: participant, visit, path, and perhaps site and outline. A path is
relative to the list's own folder, and names a study or a folder of `sparcc score`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sparcc_pipeline.app.results.table_reader import read_table
from sparcc_pipeline.app.trial_data.read.fields import Place
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows
from sparcc_pipeline.app.trial_data.read.spelling import ask_about_alike, likeness
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.records import QueryKind


class StudyKey(NamedTuple):
    """Participant and visit, by which studies and readings are paired; spelling does not matter."""

    participant: str
    visit: str


def study_key(participant: str, visit: str) -> StudyKey:
    """Return the key of a study.

    Examples
    --------
    >>> study_key("P-001", "w0 ") == study_key("p1", "W0")
    True
    """
    return StudyKey(likeness(participant), " ".join(visit.casefold().split()))


@dataclass(frozen=True)
class StudyRow:
    """One study of the list."""

    key: StudyKey
    row: CheckedRow
    path: Path
    site: str | None = None
    outline: Path | None = None

    @property
    def participant(self) -> str:
        """The participant as the list spells it."""
        return self.row.participant

    @property
    def visit(self) -> str:
        """The visit as the list spells it."""
        return str(self.row.values["visit"])


def read_studies(files: Sequence[Path], queries: Queries) -> list[StudyRow]:
    """Return the studies of the lists; a participant and visit that occurs twice does not count at all.

    Raises
    ------
    InputError : a list cannot be read, or lacks a column
    """
    rows: list[StudyRow] = []
    first: dict[str, CheckedRow] = {}
    for file in files:
        for row in checked_rows(read_table(file), queries, Place.MANIFEST, required=("participant", "visit", "path")):
            first.setdefault(row.participant, row)
            key = study_key(row.participant, str(row.values["visit"]))
            outline = row.values.get("outline")
            place = None if outline is None else file.parent / str(outline)
            rows.append(StudyRow(key, row, file.parent / str(row.values["path"]), row.values.get("site"), place))
    ask_about_alike(first, queries)
    counts = Counter(each.key for each in rows)
    for each in (each for each in rows if counts[each.key] > 1):
        queries.ask(
            QueryKind.DUPLICATE,
            each.row,
            "visit",
            Message("each study once"),
            Message("more than one study of {visit}", visit=each.visit),
            Message("keep one row, or give repeated scans visits of their own; none of them counts"),
            left_out="row",
            visit=each.visit,
        )
    return [each for each in rows if counts[each.key] == 1]
