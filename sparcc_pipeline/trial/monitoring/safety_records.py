"""Records of safety: adverse events, laboratory values after entry, deviations that a site recorded.

No type here has a field for the arm or the dose. Days count from the baseline visit (day 0). A grade is the one that
the site gives; none is derived from a value.
"""

from __future__ import annotations

from dataclasses import dataclass

HIGHEST_GRADE = 5
"""Highest grade of the Common Terminology Criteria for Adverse Events: death. Source: [Ctcae5]."""

SEVERE_GRADE = 3
"""Grades from here on are severe. Source: [Ctcae5]."""


@dataclass(frozen=True)
class AdverseEvent:
    """One adverse event.

    More than ten fields: they are the columns of the table of adverse events.

    Parameters
    ----------
    category : body system, as the site codes it
    first_day, last_day : days since the baseline; None where the date or the baseline is unknown
    start_date, end_date : the dates as text, YYYY-MM-DD, for export
    grade : CTCAE grade 1-5 as given; None where the site gave none
    """

    participant: str
    term: str
    category: str | None = None
    first_day: int | None = None
    last_day: int | None = None
    start_date: str | None = None
    end_date: str | None = None
    grade: int | None = None
    serious: bool | None = None
    related: bool | None = None
    special_interest: bool | None = None
    outcome: str | None = None

    @property
    def before_baseline(self) -> bool:
        """True if the event began before the baseline visit; an unknown day counts as after it."""
        return self.first_day is not None and self.first_day < 0


@dataclass(frozen=True)
class LaboratoryValue:
    """One laboratory value of a visit, in the unit of the data dictionary.

    Parameters
    ----------
    lower, upper : limits of normal of the laboratory
    grade : CTCAE grade 0-5 as given; None where the site gave none
    """

    participant: str
    visit: str
    test: str
    value: float
    unit: str
    lower: float | None = None
    upper: float | None = None
    grade: int | None = None

    @property
    def side(self) -> int | None:
        """-1 below the limits, 1 over them, 0 within; None where a limit that would decide is unknown."""
        if self.lower is not None and self.value < self.lower:
            return -1
        if self.upper is not None and self.value > self.upper:
            return 1
        return None if self.lower is None and self.upper is None else 0


@dataclass(frozen=True)
class Deviation:
    """One protocol deviation.

    Parameters
    ----------
    source : "site" if the site recorded it, "data" if it follows from the data
    major : as the site records it; None where it follows from the data, because only a person can judge it
    """

    participant: str
    visit: str | None
    kind: str
    found: str
    source: str
    date: str | None = None
    major: bool | None = None
