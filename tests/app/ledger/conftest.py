"""A ledger on each kind of database, with a clock that tests set."""

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
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def jump(self, **by: float) -> None:
        self.time += timedelta(**by)


class Driver:
    """Drives a ledger through the steps that tests need often."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger, self.clock = ledger, clock

    def study(
        self, name: str = "a", site: str = "S01", visit: str = "baseline", participant: str = "P1"
    ) -> StudyVersion:
        """Record and assign a study version."""
        self.ledger.record_upload(UploadRecord(f"upload-{site}-{name}", site, "inbox", [FileRecord(f"file-{name}", 7)]))
        version = self.ledger.record_study(site, f"study-{name}", f"content-{name}", [f"upload-{site}-{name}"])
        return self.ledger.assign(version.id, participant, visit)

    def claim(self, state: State, owner: str = "worker") -> StudyVersion:
        """Claim the study that is due in this state."""
        version = self.ledger.claim(state, owner, LEASE, ATTEMPTS)
        assert version is not None
        return version

    def idle(self, state: State) -> bool:
        """Return True if nothing is due in this state."""
        return self.ledger.claim(state, "idle", LEASE, ATTEMPTS) is None

    def score(self, *args: str, **more: str) -> StudyVersion:
        """Bring a study to `scored`; nothing else may be due."""
        self.study(*args, **more)
        for state in (State.RECEIVED, State.COMPLETE, State.DEIDENTIFIED):
            version = self.ledger.finish(self.claim(state))
        return version


@pytest.fixture
def driver(ledger_url: str) -> Iterator[Driver]:
    engine = open_database(ledger_url)
    clock = Clock()
    yield Driver(Ledger(engine, clock, patience_s=5), clock)
    engine.dispose()
