"""A night with real intake and delivery, over two small studies that a site dropped: a zip and a folder."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparcc_pipeline.app.batch.task import StudyTask
from sparcc_pipeline.app.ledger.database import connect
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.work.night import Night, Steps
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.app.nightly.work.owner import this_process
from sparcc_pipeline.app.nightly.work.steps import real_steps
from sparcc_pipeline.app.results.rows import BatchRow
from sparcc_pipeline.app.results.store import ResultFolder
from sparcc_pipeline.app.study.files import SCORE_FILE, write_text

if TYPE_CHECKING or __package__:
    from .stub_night import InlineWorkers
else:
    from stub_night import InlineWorkers  # beside this file: a program uses both


def drop(folder: Path, studies: dict[str, Path]) -> None:
    """Put studies into the inbox of the site, by patient identifier: the first as a zip, the others as folders."""
    inbox = folder / "inbox"
    inbox.mkdir()
    rows = "".join(f"{patient},P{number},baseline\n" for number, patient in enumerate(studies))
    (folder / "S01.csv").write_text(f"patient_id,participant,visit\n{rows}")
    first, *others = studies
    shutil.make_archive(str(inbox / first), "zip", studies[first])
    for patient in others:
        shutil.copytree(studies[patient], inbox / patient)


class RealNight:
    """A night in which only the score is invented."""

    def __init__(self, folder: Path, url: str) -> None:
        site = {"code": "S01", "name": "One", "inbox": folder / "inbox", "manifest": folder / "S01.csv"}
        self.settings = NightlySettings.model_validate(
            {
                "paths": {"identity_folder": folder / "identity", "work_folder": folder / "work"},
                "site": [site],
                "intake": {"quiet_minutes": 0.0},
                "deliver": {"folder": folder / "delivered"},
                "run": {"attempts": 100, "retry_minutes": 0.0},
            }
        )
        self._engine = connect(url)
        self.ledger = Ledger(self._engine, _now, patience_s=30)
        context = Context(self.settings, self.ledger, _now, lambda event, **fields: None)
        steps = Steps(**{**vars(real_steps()), "score": _score})
        self.night = Night(context, steps, InlineWorkers(), this_process(), threading.Event())

    def until_delivered(self) -> None:
        self.night.run()
        assert self.night.problems == []

    def close(self) -> None:
        self._engine.dispose()


def _now() -> datetime:
    return datetime.now(UTC)


def _score(task: StudyTask) -> BatchRow:
    content: dict[str, Any] = {"schema": "sparcc-score/1", "status": "scored"}
    with ResultFolder(task.folder, force=True) as result:
        write_text(result.path / SCORE_FILE, json.dumps(content))
        write_text(result.path / "seg.dcm", "of " + task.study.key)
        result.publish()
    return BatchRow(study=task.study.key, status="scored", total=1)
