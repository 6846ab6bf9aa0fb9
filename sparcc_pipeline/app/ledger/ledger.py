"""The ledger in one class: each part of it is a module of its own."""

from __future__ import annotations

from sparcc_pipeline.app.ledger.changes import ChangeBook
from sparcc_pipeline.app.ledger.decisions import DecisionBook
from sparcc_pipeline.app.ledger.intake import IntakeBook
from sparcc_pipeline.app.ledger.reading import ReadingBook
from sparcc_pipeline.app.ledger.records import Change, Event, FileRecord, StudyVersion, Upload, UploadRecord
from sparcc_pipeline.app.ledger.work import WorkBook

__all__ = ["Change", "Event", "FileRecord", "Ledger", "StudyVersion", "Upload", "UploadRecord"]


class Ledger(IntakeBook, WorkBook, ChangeBook, DecisionBook, ReadingBook):
    """Every upload, file, study version, state, attempt, lease, reason and time.

    Made with an engine (`database.open_database`), a clock (the time now, UTC), and how long a database that is locked
    or gone is waited for. Each method is one transaction; each may raise LedgerLostError when that wait was in vain.
    """
