"""UIDs derived from content: the same content has the same UID, other content another one.

A PACS answers "success" and keeps the old object when changed content comes under a known UID.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

UID_ROOT: Final = "2.25."
"""Root for UIDs made from a number ([DicomPS3.5] B.2)."""


def derived_uid(*parts: object) -> str:
    """Return a UID that depends on `parts` only (2.25. and 120 bits of their SHA-256)."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return UID_ROOT + str(int.from_bytes(digest[:15], "big"))


@dataclass(frozen=True)
class ResultUids:
    """The UIDs of one result: its objects belong together, so any change of the result changes all of them.

    Parameters
    ----------
    series_uid : the series that was scored
    fingerprint : hash of the inputs and the content of the result
    """

    series_uid: str
    fingerprint: str

    def series(self, kind: str) -> str:
        """SeriesInstanceUID of the objects of one kind."""
        return derived_uid("sparcc result", self.series_uid, self.fingerprint, kind)

    def instance(self, kind: str, number: int = 1) -> str:
        """SOPInstanceUID of the object `number` (from 1) of one kind."""
        return derived_uid("sparcc result", self.series_uid, self.fingerprint, kind, number)

    def tracking(self, finding: str) -> str:
        """Tracking UID of a finding of this series: stable, whatever model or settings measure it."""
        return derived_uid("sparcc finding", self.series_uid, finding)
