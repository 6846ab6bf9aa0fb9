"""A night whose steps are quick: real ledger, real folders, real renames, no image.

The plan of a study sets what happens to it: each of its states may first lead aside, and a person brings it back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sparcc_pipeline.app.batch.task import StudyTask
from sparcc_pipeline.app.ledger.database import connect
from sparcc_pipeline.app.ledger.ledger import FileRecord, Ledger, StudyVersion, UploadRecord
from sparcc_pipeline.app.ledger.states import NEXT, ChangeState, State, UploadState
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.work.follow_up import ChangeResult, ChangeTask
from sparcc_pipeline.app.nightly.work.night import Night, Steps
from sparcc_pipeline.app.nightly.work.outcome import Context, Done, Failed, Outcome, Quarantined, Rejected, Step
from sparcc_pipeline.app.nightly.work.owner import this_process
from sparcc_pipeline.app.nightly.work.staging import RESULT, publish, remove_staging, staging_folder
from sparcc_pipeline.app.results.rows import BatchRow
from sparcc_pipeline.app.results.store import ResultFolder
from sparcc_pipeline.app.study.config import PipelineConfig, load_config
from sparcc_pipeline.app.study.files import replace_bytes, write_text
from sparcc_pipeline.message import Message

FILES = ("one.txt", "two.txt")
"""The files of a whole folder."""

PLANS: dict[str, dict[State, State]] = {
    "straight": {},
    "quarantined": {state: State.QUARANTINED for state in NEXT if state != State.DEIDENTIFIED},
    "rejected": dict.fromkeys(NEXT, State.REJECTED),
    "failed": dict.fromkeys(NEXT, State.FAILED),
    "refused": {State.RECEIVED: State.QUARANTINED},
    "given up": {State.COMPLETE: State.FAILED},
}
"""Where each state of a study leads at first; a person then rejects `refused` and `given up`, once."""

STUDIES = (
    ("P1", "baseline", "quarantined"),
    ("P1", "week12", "rejected"),
    ("P2", "week12", "failed"),
    ("P2", "baseline", "refused"),
    ("P3", "baseline", "given up"),
)
"""Participant, visit and plan of each; P2's follow-up comes before the baseline, and its change fails at first."""

_STATEMENTS: dict[Any, Any] = {}
"""Compiled once for all nights of a process and its forks."""

WHY = Message("{count} days", count=3)


class InlineWorkers:
    """Runs tasks in this process, one after the other."""

    config: PipelineConfig = load_config()
    model_sha256 = "ab" * 32

    def run(self, function: Any, tasks: Iterator[Any], done: Any, lost: Any) -> None:
        for task in tasks:
            done(task, function(task))

    def close(self) -> None:
        """Nothing to end."""


class StubNight:
    """A night over `STUDIES` in a folder, with a ledger by URL whose tables are there.

    Parameters
    ----------
    sent : the studies that came
    changes : steps that replace those of `Steps`
    """

    def __init__(self, folder: Path, url: str, sent: Any = STUDIES, **changes: Any) -> None:
        self._engine = connect(url).execution_options(compiled_cache=_STATEMENTS)
        self._offset = timedelta()
        self._sent = sent
        paths = {"identity_folder": folder / "identity", "work_folder": folder / "work"}
        run = {"retry_minutes": 30.0, "attempts": 100, "lease_seconds": 600.0}
        site = {"code": "S01", "name": "One", "manifest": folder / "none.csv"}
        self.settings = NightlySettings.model_validate({"paths": paths, "run": run, "site": [site]})
        self.ledger = Ledger(self._engine, self.clock, patience_s=30)
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.context = Context(self.settings, self.ledger, self.clock, self._log)
        steps = {
            "take_in": self._take_in,
            "check_complete": _step(State.RECEIVED, _nothing),
            "deidentify": _step(State.COMPLETE, _write_study),
            "score": self._score,
            "compare": self._compare,
            "deliver": _step(State.SCORED, _deliver),
        }
        self.night = Night(self.context, Steps(**steps | changes), InlineWorkers(), this_process(), threading.Event())

    def clock(self) -> datetime:
        """Real time, and the hours between rounds."""
        return datetime.now(UTC) + self._offset

    def close(self) -> None:
        self._engine.dispose()

    def until_delivered(self, rounds: int = 40) -> None:
        """Run rounds, an hour apart, with a person's decisions between them."""
        for _ in range(rounds):
            self.night.round()
            self._decide()
            self._offset += timedelta(hours=1)
            done = all(each.state == State.DELIVERED for each in self.ledger.versions())
            if done and all(each.state == ChangeState.MADE for each in self.ledger.changes()):
                return

    def _decide(self) -> None:
        for each in self.ledger.versions():
            plan = each.facts["plan"]
            if each.state == State.QUARANTINED and plan == "quarantined":
                self.ledger.release(each.id, "seen", "Li")
            elif each.state == State.REJECTED:
                self.ledger.retry(each.id, "Li")
            elif each.state in (State.QUARANTINED, State.FAILED) and plan in ("refused", "given up"):
                self.ledger.refuse(each.id, "not of this trial", "Li")

    def _log(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))

    def _take_in(self, context: Context) -> None:
        known = {each.id for each in context.ledger.uploads(UploadState.SORTED)}
        for participant, visit, plan in self._sent:
            name = f"{participant}-{visit}"
            if name in known:
                continue
            context.ledger.record_upload(UploadRecord(name, "S01", "inbox", [FileRecord(name, 3, name)]))
            version = context.ledger.record_study("S01", name, name, [name], {"plan": plan})
            context.ledger.assign(version.id, participant, visit)
            context.ledger.close_upload(name, UploadState.SORTED)

    def _score(self, task: StudyTask) -> BatchRow:
        version = self.ledger.version(int(task.study.key.removeprefix("study-")))
        aside = _aside(self.context, version, State.DEIDENTIFIED)
        row = BatchRow(study=task.study.key, status="scored", total=version.id)
        if aside == State.FAILED:
            return replace(row, status="failed", reason="no memory", reason_kind="Output")
        with ResultFolder(task.folder, force=True) as result:
            _fill(result.path)
            result.publish()
        if aside == State.REJECTED:
            return replace(row, status="rejected", reason="no STIR", reason_kind="NotStir", total=None)
        return row

    def _compare(self, task: ChangeTask) -> ChangeResult:
        number = int(task.key.removeprefix("change-"))
        failed = [e for e in self.ledger.history(event="moved") if (e.change_id, e.to_state) == (number, "failed")]
        if "P2" in task.baseline.parts and not failed:
            return ChangeResult(ChangeState.FAILED, WHY)
        for folder in (task.baseline, task.follow_up):
            assert is_whole(folder)
        task.folder.mkdir()
        _fill(task.folder)
        return ChangeResult(ChangeState.MADE, facts={"total": -1})


def is_whole(folder: Path) -> bool:
    """Return True if a published folder holds all its files and nothing else."""
    return {path.name: path.read_text() for path in folder.iterdir()} == {name: name for name in FILES}


def _fill(folder: Path) -> None:
    for name in FILES:
        write_text(folder / name, name)


def _aside(context: Context, version: StudyVersion, state: State) -> State | None:
    """Return the state to which the plan leads first; None once the study was there."""
    aside = PLANS[version.facts["plan"]].get(state)
    went = [
        e for e in context.ledger.history(version.id, event="moved") if (e.from_state, e.to_state) == (state, aside)
    ]
    return None if went else aside


def _step(state: State, work: Callable[[Context, StudyVersion], None]) -> Step:
    def step(context: Context, version: StudyVersion) -> Outcome:
        match _aside(context, version, state):
            case State.QUARANTINED:
                return Quarantined(WHY)
            case State.REJECTED:
                return Rejected(WHY)
            case State.FAILED:
                return Failed(WHY)
        work(context, version)
        return Done({f"after_{state}": True})

    return step


def _nothing(context: Context, version: StudyVersion) -> None:
    """The study is complete."""


def _write_study(context: Context, version: StudyVersion) -> None:
    work = context.settings.paths.work_folder
    folder = staging_folder(work, "study", version) / RESULT
    folder.mkdir()
    _fill(folder)
    publish(folder, work / str(version.study_folder))
    remove_staging(folder.parent)


def _deliver(context: Context, version: StudyVersion) -> None:
    place = context.settings.paths.work_folder / "delivered"
    place.mkdir(exist_ok=True)
    replace_bytes(place / str(version.id), str(version.facts["total"]).encode())
