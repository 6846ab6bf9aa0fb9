"""Cases from the ledger of the night: the newest scored version of every study, by its trial codes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.settings import load_settings
from sparcc_pipeline.app.reader.database import Clock
from sparcc_pipeline.app.reader.importing import ManifestRow

READY: Final = (State.SCORED, State.DELIVERED)


def rows_of_ledger(nightly_settings: Path, clock: Clock) -> list[ManifestRow]:
    """What a manifest would say of the studies that the night has scored; rows are numbered as in the ledger.

    A version that a later one superseded is left out, and one whose participant or visit is not known.

    Raises
    ------
    ConfigError : the settings are not those of the night
    OutputError : the ledger cannot be reached
    """
    settings = load_settings(nightly_settings)
    engine = open_database(settings.database_url)
    try:
        versions = Ledger(engine, clock, settings.database.patience_seconds).versions(current=True)
    finally:
        engine.dispose()
    work = settings.paths.work_folder
    return [
        ManifestRow(
            each.id, each.participant, each.visit, work / str(each.study_folder), work / str(each.result_folder)
        )
        for each in versions
        if each.state in READY and each.participant is not None and each.visit is not None
    ]
