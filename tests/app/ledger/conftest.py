"""A ledger on each kind of database, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import FileRecord, Ledger, StudyVersion, UploadRecord
from sparcc_pipeline.app.ledger.states import State

LEASE = timedelta(minutes=10)
ATTEMPTS = 3


class Clock:
    """A clock that is where it was put."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def jump(self, **by: float) -> None:
        self.time += timedelta(**by)


class Books:
    """A ledger with short names for what tests do often."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger, self.clock = ledger, clock

    def study(
        self, name: str = "a", site: str = "S01", visit: str = "baseline", participant: str = "P1"
    ) -> StudyVersion:
        """A study version, received and assigned."""
        self.ledger.record_upload(UploadRecord(f"upload-{site}-{name}", site, "inbox", [FileRecord(f"file-{name}", 7)]))
        version = self.ledger.record_study(site, f"study-{name}", f"content-{name}", [f"upload-{site}-{name}"])
        return self.ledger.assign(version.id, participant, visit)

    def claim(self, state: State, owner: str = "worker") -> StudyVersion:
        """The study that is due in this state."""
        version = self.ledger.claim(state, owner, LEASE, ATTEMPTS)
        assert version is not None
        return version

    def idle(self, state: State) -> bool:
        """True if nothing is due in this state."""
        return self.ledger.claim(state, "idle", LEASE, ATTEMPTS) is None

    def score(self, *args: str, **more: str) -> StudyVersion:
        """A study that went all the way to `scored`; nothing else may be due."""
        self.study(*args, **more)
        for state in (State.RECEIVED, State.COMPLETE, State.DEIDENTIFIED):
            version = self.ledger.finish(self.claim(state))
        return version


@pytest.fixture
def books(ledger_url: str) -> Iterator[Books]:
    engine = open_database(ledger_url)
    clock = Clock()
    yield Books(Ledger(engine, clock, patience_s=5), clock)
    engine.dispose()
