"""One clock and one time format."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import sparcc_pipeline
from sparcc_pipeline.app.study.clock import utc_now, utc_text

APP = Path(sparcc_pipeline.__file__).parent / "app"


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    beijing = datetime(2026, 3, 1, 18, 0, 5, 999, tzinfo=timezone(timedelta(hours=8)))
    assert utc_text(beijing) == "2026-03-01T10:00:05Z"
    assert utc_now().tzinfo is UTC


def test_no_other_module_has_a_clock_or_a_format_of_its_own() -> None:
    own = re.compile(r"datetime\.now\(|%SZ|datetime\.utcnow")
    found = [file.name for file in sorted(APP.rglob("*.py")) if own.search(file.read_text(encoding="utf-8"))]
    assert found == ["clock.py"]
