"""Pseudonyms: UIDs, codes and dates that derive from an identity and the secret key of the intake.

Without the key, a pseudonym cannot be traced to its identity, nor a known UID or number be tested against it. With the
key, the same identity always has the same pseudonym, so references between images stay valid, even a year later.
Source: [DicomPS3.15] E.1.1.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from typing import Final

from sparcc_pipeline.dicom.uids import UID_ROOT

DAYS_SHIFTED: Final = (365, 3650)
"""Fewest and most days by which dates move back: more than the time between visits, and never into the future."""


def keyed_hash(key: bytes, purpose: str, *parts: str) -> bytes:
    """Return the HMAC-SHA256 of the parts.

    The purpose separates the uses of the key, and the length of each part counts, so "ab", "c" differs from "a", "bc".
    A part may be a file name that is not UTF-8.
    """
    encoded = [part.encode("utf-8", "surrogateescape") for part in (purpose, *parts)]
    content = b"".join(len(raw).to_bytes(4, "big") + raw for raw in encoded)
    return hmac.new(key, content, hashlib.sha256).digest()


def keyed_uid(key: bytes, site: str, uid: str) -> str:
    """Return the UID in place of `uid` of a site: 2.25. and a UUID ([DicomPS3.5] B.2). Each site has its own."""
    digest = keyed_hash(key, "uid", site, uid.strip(" \0"))
    return UID_ROOT + str(uuid.UUID(bytes=digest[:16], version=4).int)


def keyed_code(key: bytes, purpose: str, *parts: str) -> str:
    """Return a code of 16 hexadecimal digits, which fits a short string (SH)."""
    return keyed_hash(key, purpose, *parts).hex()[:16]


def days_shifted(key: bytes, participant: str) -> int:
    """Return the days by which a participant's dates move: negative, the same at every visit and site."""
    low, high = DAYS_SHIFTED
    number = int.from_bytes(keyed_hash(key, "dates", participant)[:8], "big")
    return -(low + number % (high - low + 1))
