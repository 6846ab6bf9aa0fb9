"""Dates and times of an acquisition."""

from __future__ import annotations

import re
from datetime import date, time
from typing import Final

from pydicom.dataset import Dataset

from sparcc_pipeline.dicom.input.elements import text_of

_DATE: Final = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")
_TIME: Final = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.\d*)?")
"""DICOM date and time ([DicomPS3.5] 6.2: later parts of a time may be left out), with the separators of older files."""


def acquired(ds: Dataset) -> str | None:
    """Return when the acquisition began, as `volume.SeriesRef` has it; else series or study; None if not stated."""
    together = re.sub(r"[+-]\d{4}$", "", text_of(ds, "AcquisitionDateTime"))  # without the offset from UTC
    stated = (
        (text_of(ds, "AcquisitionDate"), text_of(ds, "AcquisitionTime")),
        (together[:8], together[8:]),
        (text_of(ds, "SeriesDate"), text_of(ds, "SeriesTime")),
        (text_of(ds, "StudyDate"), text_of(ds, "StudyTime")),
    )
    return next((moment for day, clock in stated if (moment := _moment(day, clock))), None)


def _moment(day: str, clock: str) -> str | None:
    """Return ISO date and time of a DICOM date and time; without an invalid time, None for an invalid date."""
    found_day, found_clock = _DATE.fullmatch(day), _TIME.fullmatch(clock)
    if found_day is None:
        return None
    try:
        iso = date.fromisoformat("-".join(found_day.groups())).isoformat()
    except ValueError:
        return None
    try:
        return f"{iso}T{time.fromisoformat(':'.join(found_clock.groups('00'))).isoformat()}" if found_clock else iso
    except ValueError:
        return iso
