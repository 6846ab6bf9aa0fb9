"""Identifiers that differ only in their spelling: P1 and p1, 001 and 1, P-01 and P01.

Contents: `likeness`, `ask_about_alike`, `Readers`. Two such identifiers are one person or a mistake, so none of them
counts as two people without a query.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.records import QueryKind


def likeness(identifier: str) -> str:
    """Return an identifier without case, leading zeros, and signs beside a letter.

    Examples
    --------
    >>> likeness("P-001") == likeness("p1"), likeness("001") == likeness("1"), likeness("1-1") == likeness("11")
    (True, True, False)
    """
    plain = re.sub(r"(?<!\d)[-_]+|[-_]+(?!\d)", "", identifier.casefold())
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


def ask_about_alike(rows: Mapping[str, CheckedRow], queries: Queries) -> None:
    """Ask about participants that differ only in their spelling; `rows` holds the first row of each."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in rows:
        alike[likeness(name)].append(name)
    for names in alike.values():
        for name in names[1:]:
            queries.ask(
                QueryKind.DUPLICATE,
                rows[name],
                "participant",
                Message("one spelling of a participant"),
                Message("{participant} beside {other}", participant=name, other=names[0]),
                Message("write the number alike in all tables; if they are two people, give one another number"),
                left_out="nothing",
            )


@dataclass
class Readers:
    """Readers by their first spelling: other spellings are taken as the same reader, with a query for each."""

    names: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def name(self, row: CheckedRow, queries: Queries) -> str:
        """Return the reader of a row by the first spelling."""
        spelled = str(row.values["reader"])
        first = self.names.setdefault(likeness(spelled), spelled)
        if spelled != first and spelled not in self.asked:
            self.asked.add(spelled)
            queries.ask(
                QueryKind.DUPLICATE,
                row,
                "reader",
                Message("one spelling of a reader"),
                Message("{reader} beside {other}", reader=spelled, other=first),
                Message("write the reader alike in all tables; both are taken as {other}", other=first),
                left_out="nothing",
            )
        return first
