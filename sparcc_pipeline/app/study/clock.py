"""The clock of the program, and how it writes a time."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """Return a time as "YYYY-MM-DDTHH:MM:SSZ", in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
