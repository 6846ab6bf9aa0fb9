"""Read cases from the ledger of the night: the newest scored version of every study, by its trial codes.

Contents: `NightLedger`, `rows_of_ledger`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.reader.cases.importing import ManifestRow
from sparcc_pipeline.app.reader.database import Clock


@dataclass(frozen=True)
class NightLedger:
    """The ledger of the night: its URL, the time to wait for it, and the folder of its relative paths."""

    database_url: str
    patience_seconds: float
    work_folder: Path


READY: Final = (State.SCORED, State.DELIVERED)


def rows_of_ledger(night: NightLedger, clock: Clock) -> list[ManifestRow]:
    """Return the studies scored by the night as rows of a manifest, numbered as in the ledger.

    A superseded version is left out, and one with an unknown participant or visit.

    Raises
    ------
    OutputError : the ledger cannot be reached
    """
    engine = open_database(night.database_url)
    try:
        versions = Ledger(engine, clock, night.patience_seconds).versions(current=True)
    finally:
        engine.dispose()
    return [
        ManifestRow(
            each.id,
            each.participant,
            each.visit,
            night.work_folder / str(each.study_folder),
            night.work_folder / str(each.result_folder),
        )
        for each in versions
        if each.state in READY and each.participant is not None and each.visit is not None
    ]
