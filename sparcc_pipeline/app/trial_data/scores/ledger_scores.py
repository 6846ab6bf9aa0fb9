"""Find the scores of a trial in the ledger of the night.

Contents: `LedgerSource`, `ledger_source`, `named_by_ledger`. The newest version of a study counts, if it is scored or
delivered and not superseded. The ledger is only read. Its participants and visits are checked like those of a table;
the row in a query is the number of the study version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sparcc_pipeline.app.ledger.database import connect, shown
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.ledger.records import StudyVersion
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.ledger.tables import study_version
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.trial_data.read.visit_names import known_visit
from sparcc_pipeline.app.trial_data.scores.imaging import ScoreFolder
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import MachineScore
from sparcc_pipeline.trial.records import QueryKind

NAME: Final = "ledger"
"""Name of the ledger in queries and reports: its URL may contain a password."""

HAS_SCORE: Final = (State.SCORED, State.DELIVERED)

STATES: Final = {
    State.RECEIVED: Message("a study that is received, not scored yet"),
    State.COMPLETE: Message("a study that is complete, not scored yet"),
    State.DEIDENTIFIED: Message("a study that is de-identified, not scored yet"),
    State.QUARANTINED: Message("a study in quarantine"),
    State.FAILED: Message("a study whose processing failed"),
}
"""Each state without a score, as a message."""

PATIENCE_S: Final = 20.0


@dataclass(frozen=True)
class LedgerSource:
    """A ledger by its URL, and the night's work folder, which holds the results."""

    url: str
    work_folder: Path


def ledger_source(url: str, work_folder: Path | None) -> LedgerSource:
    """Return the ledger of these options; without `work_folder`, use the folder of a SQLite ledger.

    Raises
    ------
    ConfigError : the work folder is not given and cannot be derived
    """
    file = sqlite_file(url)
    if work_folder is None and file is None:
        raise ConfigError("expected the work folder of the night beside --ledger, found none; give --work-folder DIR")
    return LedgerSource(url, work_folder or (file or Path()).parent)


@dataclass(frozen=True)
class LedgerScores:
    """Score folders of a ledger, visits whose study has no score with the reason, and a hash of the rows read."""

    folders: tuple[ScoreFolder, ...]
    without: tuple[MachineScore, ...]
    sha256: str


def named_by_ledger(
    source: LedgerSource, participants: Sequence[str], protocol: Protocol, queries: Queries
) -> LedgerScores:
    """Return the score folders of the newest versions of all studies that are assigned to a visit.

    Parameters
    ----------
    participants : the participants of the trial

    Raises
    ------
    ConfigError : no such URL, no driver for it, or no ledger there
    OutputError : the database does not answer
    """
    folders: list[ScoreFolder] = []
    without: list[MachineScore] = []
    versions = [each for each in _current(source.url) if each.participant is not None and each.visit is not None]
    for version in versions:
        row = _row(version)
        visit = known_visit(row, participants, protocol, queries)
        if visit is None:
            continue
        if version.state in HAS_SCORE and version.result_folder is not None:
            folders.append(ScoreFolder(row, visit, source.work_folder / version.result_folder))
        elif version.state is State.REJECTED:
            without.append(MachineScore(row.participant, visit, None, reason=version.reason or version.state.value))
        else:
            queries.ask(
                QueryKind.MISSING,
                row,
                "state",
                Message("a scored study"),
                STATES.get(version.state, version.state.value),
                Message("see the report of the night, and import again once it is scored"),
                left_out="nothing",
                visit=visit,
            )
    lines = [f"{v.id} {v.participant} {v.visit} {v.state.value} {v.content_key}\n" for v in versions]
    return LedgerScores(tuple(folders), tuple(without), hashlib.sha256("".join(lines).encode()).hexdigest())


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite ledger; None for any other URL."""
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError:
        return None
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def _row(version: StudyVersion) -> CheckedRow:
    values = {"participant": version.participant, "visit": version.visit}
    columns = {"participant": "participant", "visit": "visit", "path": "result_folder", "state": "state"}
    return CheckedRow(NAME, version.id, values, columns, {})


def _current(url: str) -> list[StudyVersion]:
    """Return the study versions that are not superseded, without creating or upgrading the ledger."""
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        raise ConfigError(f"expected a ledger at {file}, found no such file; check --ledger")
    engine = connect(url)
    try:
        if not sqlalchemy.inspect(engine).has_table(study_version.name):
            raise ConfigError(
                f"expected a ledger at {shown(engine)}, found a database without its tables; check --ledger"
            )
        return Ledger(engine, utc_now, PATIENCE_S).versions(current=True)
    except SQLAlchemyError as error:
        raise ConfigError(
            f"expected a ledger at {shown(engine)}, found none that can be read ({type(error).__name__}); check "
            "--ledger, and that the database runs"
        ) from error
    finally:
        engine.dispose()
