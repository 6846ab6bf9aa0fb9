"""The audit trail: who did what to what and when, old and new value, and why. Each entry is chained to the one before.

The hash of an entry is an HMAC of its content and of the hash before it; the key is outside the database. Changing,
deleting or reordering entries in the database alone breaks the chain. Removing the newest entries leaves a valid chain:
therefore a file also holds the head (number and hash of the newest entry), signed with the key and written after each
commit. A write that finds another head than the kept one adds an entry about it, so that a cut end stays visible.

Not detected: changes by a person who can write the database and read the key, or who puts back an older state of the
database with its own head file (keep heads elsewhere, see `sparcc reader audit verify --head`), and loss of entries in
the moment between a commit and the writing of its head.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from sparcc_pipeline.app.reader.tables import AUDIT, READINGS, STATE
from sparcc_pipeline.app.study.files import replace_bytes
from sparcc_pipeline.message import Message

SIGNED: Final = ("at", "who", "action", "subject", "old", "new", "reason")
"""Columns in the hash of an entry, besides its number and the hash before it."""

LOCKED_ACTIONS: Final = ("lock", "lock_revision")
"""Actions that lock a reading; their new value holds its digest."""

END_LOST: Final = "end_lost"
"""Action of the entry that is added where the trail does not continue the kept head."""


@dataclass(frozen=True)
class Head:
    """The newest entry: its number (0 for none) and its hash."""

    seq: int
    hash: str


@dataclass(frozen=True)
class Verdict:
    """Result of a check of the trail; sound if there is no finding."""

    entries: int
    findings: tuple[Message, ...]

    @property
    def sound(self) -> bool:
        return not self.findings


def stamp(moment: datetime) -> str:
    """Return a time as stored: ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def plain(value: Mapping[str, Any] | None) -> str:
    """Return a value as stored in the trail: canonical JSON, empty for None."""
    return "" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest_of(text: str) -> str:
    """Return the SHA-256 of a stored text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def reading_digest(row: Row[Any]) -> str:
    """Return the digest of a locked reading, over everything that must never change."""
    parts = (row.assignment_id, row.kind, row.version, row.content, row.reasons, row.reason, row.locked_at)
    # A malformed row may hold bytes: it has another digest, and raises nothing.
    return digest_of(json.dumps(parts, ensure_ascii=False, default=repr))


def append(connection: Connection, key: bytes, entry: Mapping[str, str]) -> Head:
    """Append an entry (all of `SIGNED`) in the transaction of its change, which already holds the row of the head."""
    before = head_of(connection)
    head = Head(before.seq + 1, _hash(key, before.seq + 1, before.hash, entry))
    connection.execute(AUDIT.insert().values(seq=head.seq, hash=head.hash, **entry))
    connection.execute(update(STATE).values(seq=head.seq, hash=head.hash))
    return head


def head_of(connection: Connection) -> Head:
    """Return the head stored in the database."""
    row = connection.execute(select(STATE.c.seq, STATE.c.hash)).one()
    return Head(row.seq, row.hash)


def write_head(file: Path, head: Head, key: bytes) -> None:
    """Write the head, signed, to the file beside the database."""
    content = {"seq": head.seq, "hash": head.hash, "signature": _signature(head, key)}
    replace_bytes(file, json.dumps(content).encode())


def read_head(file: Path, key: bytes) -> Head | None:
    """Return the head in a file; None if the file is missing, not valid, or not signed with the key."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        head = Head(int(content["seq"]), str(content["hash"]))
        return head if _is_same(str(content["signature"]), _signature(head, key)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def continues(connection: Connection, kept: Head | None) -> bool:
    """Return True if the trail in the database holds the entry of the kept head."""
    if kept is None:
        return False
    found = connection.execute(select(AUDIT.c.hash).where(AUDIT.c.seq == kept.seq)).scalar_one_or_none()
    return kept.seq == 0 or found == kept.hash


def value_of(text: Any) -> dict[str, Any]:
    """Return a value of the trail; empty if there is none or it is malformed, which the hash of its entry shows."""
    try:
        found = json.loads(text) if text else {}
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def verify(connection: Connection, key: bytes, kept: Head | None, noted: Head | None = None) -> Verdict:
    """Check every entry, the heads, and every locked reading against the entry that locked it.

    Parameters
    ----------
    kept : the head beside the database; None if it is missing
    noted : an earlier head, noted elsewhere
    """
    findings: list[Message] = []
    expected, before, hashes = 1, "", {0: ""}
    locked: dict[str, str] = {}
    for row in connection.execute(select(AUDIT).order_by(AUDIT.c.seq)):
        if row.seq != expected:
            findings.append(Message("entries {first} to {last} are missing", first=expected, last=row.seq - 1))
        # After a gap the hash before is unknown, so this entry cannot match; the finding of the gap is enough.
        elif not _is_intact(row, key, before):
            findings.append(Message("entry {seq} was changed, moved or inserted", seq=row.seq))
        if row.action == END_LOST:
            findings.append(Message("entry {seq} does not continue the head kept before it", seq=row.seq))
        expected, before = row.seq + 1, row.hash
        hashes[row.seq] = row.hash
        if row.action in LOCKED_ACTIONS:
            locked.update(value_of(row.new).get("readings", {}))
    newest = Head(expected - 1, before)
    findings += _head_findings(newest, _stored_head(connection), kept)
    for head in (kept, noted):
        if head is not None:
            findings += _against(head, newest, hashes)
    findings += _reading_findings(connection, locked)
    return Verdict(newest.seq, tuple(findings))


def _is_intact(row: Row[Any], key: bytes, before: str) -> bool:
    entry = {name: getattr(row, name) for name in SIGNED}
    if not all(isinstance(value, str) for value in (*entry.values(), row.hash, before)):
        return False
    return _is_same(row.hash, _hash(key, row.seq, before, entry))


def _stored_head(connection: Connection) -> Head | None:
    """Return the head stored in the database; None if its row is missing or doubled."""
    rows = connection.execute(select(STATE.c.seq, STATE.c.hash)).all()
    return Head(rows[0].seq, rows[0].hash) if len(rows) == 1 else None


def _head_findings(newest: Head, stored: Head | None, kept: Head | None) -> Iterator[Message]:
    if stored is None:
        yield Message("the row of the trail's head is missing or doubled")
    elif newest != stored:
        yield Message("the newest entry is {seq}, but the database holds {stored}", seq=newest.seq, stored=stored.seq)
    if kept is None:
        yield Message("no signed head of the trail is kept beside the database: a missing end cannot be detected")


def _against(head: Head, newest: Head, hashes: Mapping[int, str]) -> Iterator[Message]:
    if head.seq > newest.seq:
        yield Message("entries {first} to {last} were cut off", first=newest.seq + 1, last=head.seq)
    elif hashes.get(head.seq) != head.hash:
        yield Message("entry {seq} differs from the kept hash", seq=head.seq)


def _reading_findings(connection: Connection, locked: Mapping[str, str]) -> Iterator[Message]:
    left = dict(locked)
    for row in connection.execute(select(READINGS).where(READINGS.c.state == "locked").order_by(READINGS.c.id)):
        digest = left.pop(str(row.id), None)
        if digest is None:
            yield Message("reading {reading} is locked, but not in the trail", reading=row.id)
        elif digest != reading_digest(row):
            yield Message("reading {reading} was changed after it was locked", reading=row.id)
    for reading in left:
        yield Message("reading {reading} was locked and is missing or open now", reading=reading)


def _signature(head: Head, key: bytes) -> str:
    return hmac.new(key, f"head/{head.seq}/{head.hash}".encode(), hashlib.sha256).hexdigest()


def _is_same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode(errors="surrogatepass"), second.encode())


def _hash(key: bytes, seq: int, before: str, entry: Mapping[str, str]) -> str:
    content = json.dumps([seq, before, *(entry[name] for name in SIGNED)], ensure_ascii=False)
    return hmac.new(key, content.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
