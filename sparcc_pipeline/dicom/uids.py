"""UIDs derived from content: the same content has the same UID, other content has another.

This matters because a PACS such as Orthanc answers "success" but keeps the old object when changed content arrives
under a known UID.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

UID_ROOT: Final = "2.25."
"""Root of UIDs that are derived from a number. Source: [DicomPS3.5] B.2."""


def derived_uid(*parts: object) -> str:
    """Return a UID that depends on `parts` only: the root and 120 bits of their SHA-256."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return UID_ROOT + str(int.from_bytes(digest[:15], "big"))


@dataclass(frozen=True)
class ResultUids:
    """The UIDs of the objects of one result. They refer to each other, so any change of the result changes all UIDs.

    Parameters
    ----------
    series_uid : the scored series
    fingerprint : hash of the inputs and the content of the result
    """

    series_uid: str
    fingerprint: str

    def series(self, kind: str) -> str:
        """Return the SeriesInstanceUID of the objects of one kind."""
        return derived_uid("sparcc result", self.series_uid, self.fingerprint, kind)

    def instance(self, kind: str, number: int = 1) -> str:
        """Return the SOPInstanceUID of the object `number` (from 1) of one kind."""
        return derived_uid("sparcc result", self.series_uid, self.fingerprint, kind, number)

    def tracking(self, finding: str) -> str:
        """Return the tracking UID of a finding of this series; it is the same for every model and setting."""
        return derived_uid("sparcc finding", self.series_uid, finding)
