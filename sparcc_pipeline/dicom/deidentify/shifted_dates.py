"""Shift the dates of an examination by a number of days; other dates are removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sparcc_pipeline.dicom.deidentify.confidentiality import kept_time

LONGEST_EXAMINATION: Final = timedelta(days=31)
"""Largest distance of a date from that of the study; a later repeat of a scan is another study."""


@dataclass(frozen=True)
class DateShift:
    """The days by which dates move, the date of the study, and the date of birth; None where not valid."""

    days: int
    studied: datetime | None
    born: datetime | None

    def shifted(self, text: str, vr: str) -> str:
        """Return a date (DA) or date and time (DT), moved by the days; empty if it must not stay.

        A date far from that of the study may be a birth date in the wrong element, and so may any date if there is no
        StudyDate. Moved by the same days as the others, it would show the exact age.
        """
        day = day_of(text, vr)
        if day is None or day == self.born or self.studied is None:
            return ""
        if abs(day - self.studied) > LONGEST_EXAMINATION:
            return ""
        try:
            moved = day + timedelta(days=self.days)
        except OverflowError:
            return ""
        # Remove the offset from UTC: it shows the region of the hospital.
        clock = kept_time(text.strip(" \0")[8:].split("+")[0].split("-")[0]) if vr == "DT" else ""
        return f"{moved.year:04d}{moved:%m%d}{clock}"


def day_of(text: str, vr: str) -> datetime | None:
    """Return the day of a date (DA) or of a date and time (DT); None if it is not valid."""
    plain = text.strip(" \0")
    if vr == "DA":
        plain = plain.replace(".", "").replace("-", "")
    try:
        return datetime.strptime(plain[:8], "%Y%m%d") if vr == "DT" or len(plain) == 8 else None
    except ValueError:
        return None
