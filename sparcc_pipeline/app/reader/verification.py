"""All that can be checked of a reading page: the audit trail, the locked readings, and the stored images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from sparcc_pipeline.app.reader import trail
from sparcc_pipeline.app.reader.database import ReaderDatabase
from sparcc_pipeline.app.reader.picture_store import IMAGES, MACHINE, PictureStore
from sparcc_pipeline.app.reader.tables import AUDIT, VISITS
from sparcc_pipeline.message import Message

_KEPT: Final = {"visit": "visit", "case": "case_id", "known": "known", "machine": "machine"}
"""What the trail says of a time point, by the column that must still hold it."""


def verify_all(database: ReaderDatabase, noted: trail.Head | None = None) -> trail.Verdict:
    """Check everything; `noted` is a head that was written down elsewhere, else the one beside the database."""
    verdict = database.verify(noted)
    with database.reading() as connection:
        return trail.Verdict(verdict.entries, (*verdict.findings, *_images(connection, PictureStore(database.folder))))


def _images(connection: Connection, store: PictureStore) -> Iterator[Message]:
    """Stored files against what the trail says of their import, and what the database says against it, too."""
    entries = connection.execute(select(AUDIT.c.new).where(AUDIT.c.action == "import").order_by(AUDIT.c.seq)).scalars()
    imported = {new["images"]: new for new in map(json.loads, entries)}
    for row in connection.execute(select(VISITS)):
        new = imported.pop(row.images, None)
        if new is None:
            yield Message("time point {number} is there, and the trail does not say so", number=row.id)
            continue
        found = store.digests(IMAGES, row.images)
        if row.machine is not None:
            found |= store.digests(MACHINE, row.machine)
        same = all(new[name] == getattr(row, column) for name, column in _KEPT.items())
        if trail.digest_of(trail.plain(found)) != new["digest"] or not same:
            yield Message("images or the machine's result of time point {number} were changed", number=row.id)
    if imported:
        yield Message("{count} time points were imported and are no longer there", count=len(imported))
