"""Logs as JSON lines without identity: one object a line, with listed fields and plain values only.

`work_folder/log/YYYY-MM-DD-NAME.jsonl` is one file for each day (UTC) and program. Several processes may write to it:
each line is one write. An event is a constant text without arguments, since a value may be a name; values are fields
with one of the names in `FIELDS`:

    log("study scored", site="S01", study=12, seconds=8.1)
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.work.outcome import Clock, Log
from sparcc_pipeline.app.study.faults import place_of

LOGGER: Final = "sparcc.nightly"
"""The parent of the loggers of a night."""

FIELDS: Final = frozenset(
    (
        *("site", "study", "version", "upload", "state", "from_state", "attempt", "owner", "step"),
        *("kind", "reason_kind", "exit_code", "port", "peer_title", "pid"),
        *("count", "files", "bytes", "seconds", "studies", "scored", "failed", "left_out"),
    )
)
"""Fields that a line may hold beside time, level, logger, event, and class and place of an exception."""

KEPT_DAYS: Final = 90

REFUSED: Final = "(left out)"
"""Replaces a value that is not plain."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")
"""Codes, states, titles and keys. Names have blanks, carets or other letters, which do not match."""
_FILE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})-[a-z]+\.jsonl")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON with the fields of `FIELDS` only."""

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, logger, event, the allowed fields and, of an exception, class and place."""
        line: dict[str, Any] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            # The template, without its arguments.
            "event": record.msg if isinstance(record.msg, str) else type(record.msg).__name__,
        }
        line |= {name: _plain(record.__dict__[name]) for name in sorted(FIELDS & record.__dict__.keys())}
        if record.exc_info and record.exc_info[1] is not None:
            line |= _exception(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True)


class DailyFile(logging.Handler):
    """Appends lines to the file of their day, and removes files older than `KEPT_DAYS` days.

    A full disk or missing rights stop no work: the line is lost, and standard error reports that without its content.
    """

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self._folder, self._name = folder, name
        self._day, self._descriptor = "", -1
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line in one write, so that lines of several processes do not mix."""
        try:
            line = self.format(record).encode("ascii") + b"\n"
            day = _time(record).strftime("%Y-%m-%d")
            if day != self._day:
                self._open(day)
            os.write(self._descriptor, line)
        except OSError as error:
            sys.stderr.write(f"sparcc: a line of the log could not be written ({type(error).__name__})\n")

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._day, self._descriptor = "", -1
        super().close()

    def _open(self, day: str) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._day, self._descriptor = "", -1
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{day}-{self._name}.jsonl"
        self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640)
        self._day = day
        oldest = (datetime.fromisoformat(day) - timedelta(days=KEPT_DAYS)).strftime("%Y-%m-%d")
        for other in self._folder.iterdir():
            match = _FILE.fullmatch(other.name)
            if match is not None and match[1] < oldest:
                other.unlink(missing_ok=True)


def open_log(settings: NightlySettings, clock: Clock, program: str = "run") -> Log:
    """Return `log(event, **fields)`, which writes a line below the work folder: a constant event and `FIELDS`.

    Other fields are not written; the line has their number as `left_out`.

    Parameters
    ----------
    program : name in small letters, for instance "run" or "receive"; part of the file's name
    """
    logger = logging.getLogger(f"{LOGGER}.{program}")
    for earlier in list(logger.handlers):
        logger.removeHandler(earlier)
        earlier.close()
    logger.addHandler(DailyFile(settings.paths.work_folder / "log", program))
    logger.setLevel(logging.INFO)
    logger.propagate = False

    def log(event: str, *, error: BaseException | None = None, **fields: object) -> None:
        extra = {name: value for name, value in fields.items() if name in FIELDS}
        if others := len(fields) - len(extra):
            extra["left_out"] = others
        level = logging.INFO if error is None else logging.ERROR
        logger.log(level, event, extra={**extra, "clock": clock()}, exc_info=error)

    return log


def _time(record: logging.LogRecord) -> datetime:
    """Return the time by the clock of the program, or else by that of the machine."""
    given = getattr(record, "clock", None)
    return given.astimezone(UTC) if isinstance(given, datetime) else datetime.fromtimestamp(record.created, UTC)


def _plain(value: object) -> object:
    match value:
        case None | bool() | int():
            return value
        case float():
            return round(value, 3)
        case str() if _PLAIN.fullmatch(value):
            return str(value)
        case _:
            return REFUSED


def _exception(error: BaseException) -> dict[str, str]:
    """Return class and place only: the text of an exception may quote a header, a path or a query."""
    file, line = place_of(error)
    return {"exception": type(error).__name__, "where": f"{file}:{line}" if file else ""}
