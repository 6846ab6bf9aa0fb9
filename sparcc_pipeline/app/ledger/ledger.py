"""The ledger in one class; each part of it is a module."""

from __future__ import annotations

from sparcc_pipeline.app.ledger.changes import ChangeRepository
from sparcc_pipeline.app.ledger.decisions import DecisionRepository
from sparcc_pipeline.app.ledger.intake import IntakeRepository
from sparcc_pipeline.app.ledger.queries import QueryRepository
from sparcc_pipeline.app.ledger.records import Change, Event, FileRecord, StudyVersion, Upload, UploadRecord
from sparcc_pipeline.app.ledger.work import WorkRepository

__all__ = ["Change", "Event", "FileRecord", "Ledger", "StudyVersion", "Upload", "UploadRecord"]


class Ledger(IntakeRepository, WorkRepository, ChangeRepository, DecisionRepository, QueryRepository):
    """Every upload, file, study version, state, attempt, lease, reason and time.

    Each method is one transaction, and may raise LedgerLostError. For the parameters see `Repository`; the engine comes
    from `database.open_database`.
    """
