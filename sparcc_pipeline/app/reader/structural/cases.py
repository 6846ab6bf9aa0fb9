"""Cases that can be read for structural lesions.

Contents: `with_t1`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.tables import VISITS


def with_t1(connection: Connection, store: PictureStore, cases: Sequence[int]) -> list[int]:
    """Return the cases of which every time point has T1."""
    lacking = {
        row.case_id
        for row in connection.execute(select(VISITS.c.case_id, VISITS.c.images).where(VISITS.c.case_id.in_(cases)))
        if store.view(row.images).series.t1 is None
    }
    return [case for case in cases if case not in lacking]
