"""The audit trail: who did what to what and when, old and new value, and why. Each entry is chained to the one before.

The hash of an entry is an HMAC of its content and of the hash before it; the key is outside the database. Changing,
deleting or reordering entries in the database alone breaks the chain. Removing the newest entries leaves a valid chain:
therefore a file also holds the head (number and hash of the newest entry), written after each commit.

Not detected: changes by a person who can write the database, the key and the head file (keep a head elsewhere, see
`sparcc reader audit verify --head`), and loss of entries in the moment between a commit and the writing of its head.
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
    return hashlib.sha256(text.encode()).hexdigest()


def reading_digest(row: Row[Any]) -> str:
    """Return the digest of a locked reading, over everything that must never change."""
    parts = (row.assignment_id, row.kind, row.version, row.content, row.reasons, row.reason, row.locked_at)
    return digest_of(json.dumps(parts, ensure_ascii=False))


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


def write_head(file: Path, head: Head) -> None:
    """Write the head to the file beside the database."""
    replace_bytes(file, json.dumps({"seq": head.seq, "hash": head.hash}).encode())


def read_head(file: Path) -> Head | None:
    """Return the head in a file; None if the file is missing or not valid."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Head(int(content["seq"]), str(content["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
        entry = {name: getattr(row, name) for name in SIGNED}
        # After a gap the hash before is unknown, so this entry cannot match; the finding of the gap is enough.
        if row.seq == expected and not hmac.compare_digest(row.hash, _hash(key, row.seq, before, entry)):
            findings.append(Message("entry {seq} was changed, moved or inserted", seq=row.seq))
        expected, before = row.seq + 1, row.hash
        hashes[row.seq] = row.hash
        if row.action in LOCKED_ACTIONS:
            locked.update(json.loads(row.new).get("readings", {}) if row.new else {})
    newest = Head(expected - 1, before)
    findings += _head_findings(newest, head_of(connection), kept)
    for head in (kept, noted):
        if head is not None:
            findings += _against(head, newest, hashes)
    findings += _reading_findings(connection, locked)
    return Verdict(newest.seq, tuple(findings))


def _head_findings(newest: Head, stored: Head, kept: Head | None) -> Iterator[Message]:
    if newest != stored:
        yield Message("the newest entry is {seq}, but the database holds {stored}", seq=newest.seq, stored=stored.seq)
    if kept is None:
        yield Message("no head of the trail is kept beside the database: a missing end cannot be detected")


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
        yield Message("reading {reading} was locked and is missing or open now", reading=int(reading))


def _hash(key: bytes, seq: int, before: str, entry: Mapping[str, str]) -> str:
    content = json.dumps([seq, before, *(entry[name] for name in SIGNED)], ensure_ascii=False)
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()
