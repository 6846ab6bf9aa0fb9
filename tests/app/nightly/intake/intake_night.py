"""Two sites with inboxes, a real ledger and the real intake; `night` also runs the real night after it."""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.work.night import Night, Part
from sparcc_pipeline.app.nightly.work.outcome import Clock, Context, Log
from sparcc_pipeline.app.nightly.work.owner import this_process
from sparcc_pipeline.app.nightly.work.steps import real_steps
from sparcc_pipeline.dicom.write import write_mr_series

from ...conftest import make_stir
from ..work.stub_night import InlineWorkers


class IntakeNight:
    """A trial with the sites S01 and S02 in a folder.

    Parameters
    ----------
    tables : more tables of the settings
    """

    def __init__(self, folder: Path, **tables: Any) -> None:
        self.folder, self.identity, self.work = folder, folder / "identity", folder / "work"
        self.identity.mkdir(mode=0o700)
        self._offset = timedelta(hours=1)
        self.logged: list[tuple[str, dict[str, Any]]] = []
        sites = []
        for code in ("S01", "S02"):
            (folder / f"inbox-{code}").mkdir()
            manifest = self.identity / f"{code}.csv"
            names = {"code": code, "name": code, "ae_title": f"AE-{code}", "language": "zh"}
            sites.append({**names, "inbox": folder / f"inbox-{code}", "manifest": manifest})
        content = {"paths": {"identity_folder": self.identity, "work_folder": self.work}, "site": sites} | tables
        self.settings = NightlySettings.model_validate(content)
        self.engine = open_database(self.settings.database_url)
        self.ledger = Ledger(self.engine, self.clock, 30)
        self.context = self.make_context(self.clock, self._log)
        for code in ("S01", "S02"):
            self.manifest(code)

    def make_context(self, clock: Clock, log: Log) -> Context:
        return Context(self.settings, self.ledger, clock, log)

    def clock(self) -> datetime:
        """Return the real time plus an hour, so that a new upload is quiet already."""
        return datetime.now(UTC) + self._offset

    def pass_time(self, **duration: float) -> None:
        self._offset += timedelta(**duration)

    def _log(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))

    def manifest(self, site: str, *rows: tuple[str, str, str, str, str]) -> None:
        """Write rows of patient, first and last day, participant and visit."""
        with (self.identity / f"{site}.csv").open("w", encoding="utf-8") as opened:
            writer = csv.writer(opened)
            writer.writerow(["patient_id", "study_from", "study_to", "participant", "visit"])
            writer.writerows(rows)

    def drop(self, source: Path, name: str, site: str = "S01", *, zipped: bool = False) -> None:
        """Put a folder into a site's inbox, as folder or zip."""
        target = self.folder / f"inbox-{site}" / name
        if zipped:
            shutil.make_archive(str(target), "zip", source)
        else:
            shutil.copytree(source, target)

    def night(self, part: Part = Part.ALL) -> Night:
        return Night(self.context, real_steps(), InlineWorkers(), this_process(), Event(), part)

    def run(self, *, problems: int = 0) -> list[StudyVersion]:
        """Run the intake until nothing moves, with so many problems in its last round; return all study versions."""
        night = self.night(Part.INTAKE)
        night.run()
        assert len(night.problems) == problems, night.problems
        return self.ledger.versions()

    def files(self, version: StudyVersion) -> list[Path]:
        assert version.study_folder is not None
        return sorted((self.work / version.study_folder).iterdir())

    def close(self) -> None:
        self.engine.dispose()


def write_study(
    folder: Path, patient: str = "P1", acquired: str = "2026-03-01", seed: str = "intake", **more: Any
) -> Path:
    """Write a small study whose score is known."""
    write_mr_series(make_stir(), folder, style="siemens", patient_id=patient, seed=seed, acquired=acquired, **more)
    return folder
