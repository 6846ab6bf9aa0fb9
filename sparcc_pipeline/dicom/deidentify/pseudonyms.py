"""What stands in the place of an identity: UIDs, codes and dates made with the secret key of the intake.

Without the key a pseudonym cannot be traced to its identity, nor can a known UID or number be tried against it
([DicomPS3.15] E.1.1). With the key the same identity always has the same pseudonym, so that references between
images hold, also of those that come a year later.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from typing import Final

from sparcc_pipeline.dicom.uids import UID_ROOT

DAYS_SHIFTED: Final = (365, 3650)
"""Dates are moved back by one to ten years: further than a trial's visits lie apart, never into the future."""


def keyed_hash(key: bytes, purpose: str, *parts: str) -> bytes:
    """Return the HMAC-SHA256 of the parts.

    The purpose keeps uses of the key apart, and parts cannot be shifted into each other. A part may be a file name that
    is no UTF-8.
    """
    encoded = [part.encode("utf-8", "surrogateescape") for part in (purpose, *parts)]
    content = b"".join(len(raw).to_bytes(4, "big") + raw for raw in encoded)
    return hmac.new(key, content, hashlib.sha256).digest()


def keyed_uid(key: bytes, site: str, uid: str) -> str:
    """Return the UID in place of `uid` of a site: 2.25. and a UUID ([DicomPS3.5] B.2). Each site has its own."""
    digest = keyed_hash(key, "uid", site, uid.strip(" \0"))
    return UID_ROOT + str(uuid.UUID(bytes=digest[:16], version=4).int)


def keyed_code(key: bytes, purpose: str, *parts: str) -> str:
    """A code of 16 hexadecimal digits, which fits a short string (SH)."""
    return keyed_hash(key, purpose, *parts).hex()[:16]


def days_shifted(key: bytes, participant: str) -> int:
    """By how many days a participant's dates are moved: negative, the same at every visit and every site."""
    low, high = DAYS_SHIFTED
    number = int.from_bytes(keyed_hash(key, "dates", participant)[:8], "big")
    return -(low + number % (high - low + 1))
