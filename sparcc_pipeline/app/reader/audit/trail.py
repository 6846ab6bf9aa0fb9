"""The audit trail: who did what, when, to what, old and new value, and why; each entry is chained to the one before.

An entry's hash is an HMAC of its content and of the hash before it, with a key that lies outside the database. Whoever
changes, deletes or reorders entries in the database alone breaks the chain. Cutting off the newest entries leaves a
valid chain: therefore the head (number and hash of the newest entry) is also kept in a file, written after each commit.

Not found: what someone does who can write to the database, the key and the head file alike (keep a head elsewhere:
`sparcc reader audit verify --head`), and the loss of entries between a commit and the writing of its head (a moment).
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
"""Columns that an entry's hash covers, beside its number and the hash before it."""

LOCKED_ACTIONS: Final = ("lock", "lock_revision")
"""Actions whose new value holds the digest of the reading that they locked."""


@dataclass(frozen=True)
class Head:
    """The newest entry: its number (0 for none) and its hash."""

    seq: int
    hash: str


@dataclass(frozen=True)
class Verdict:
    """What a check of the trail found; sound if nothing."""

    entries: int
    findings: tuple[Message, ...]

    @property
    def sound(self) -> bool:
        return not self.findings


def stamp(moment: datetime) -> str:
    """A moment as it is stored: ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def plain(value: Mapping[str, Any] | None) -> str:
    """A value as the trail stores it: canonical JSON, empty for none."""
    return "" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest_of(text: str) -> str:
    """The SHA-256 of a stored text."""
    return hashlib.sha256(text.encode()).hexdigest()


def reading_digest(row: Row[Any]) -> str:
    """What the trail keeps of a locked reading: everything that must never change."""
    parts = (row.assignment_id, row.kind, row.version, row.content, row.reasons, row.reason, row.locked_at)
    return digest_of(json.dumps(parts, ensure_ascii=False))


def append(connection: Connection, key: bytes, entry: Mapping[str, str]) -> Head:
    """Append an entry (all of `SIGNED`) in the transaction of what it tells; the row of the head was taken before."""
    before = head_of(connection)
    head = Head(before.seq + 1, _hash(key, before.seq + 1, before.hash, entry))
    connection.execute(AUDIT.insert().values(seq=head.seq, hash=head.hash, **entry))
    connection.execute(update(STATE).values(seq=head.seq, hash=head.hash))
    return head


def head_of(connection: Connection) -> Head:
    """The head that the database knows."""
    row = connection.execute(select(STATE.c.seq, STATE.c.hash)).one()
    return Head(row.seq, row.hash)


def write_head(file: Path, head: Head) -> None:
    """Keep the head beside the database."""
    replace_bytes(file, json.dumps({"seq": head.seq, "hash": head.hash}).encode())


def read_head(file: Path) -> Head | None:
    """A kept head; None where the file is missing or no head."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Head(int(content["seq"]), str(content["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def verify(connection: Connection, key: bytes, kept: Head | None, noted: Head | None = None) -> Verdict:
    """Check every entry, the heads, and every locked reading against the entry that locked it.

    Parameters
    ----------
    kept : the head beside the database; None where it is missing
    noted : an earlier head that was written down elsewhere
    """
    findings: list[Message] = []
    expected, before, hashes = 1, "", {0: ""}
    locked: dict[str, str] = {}
    for row in connection.execute(select(AUDIT).order_by(AUDIT.c.seq)):
        if row.seq != expected:
            findings.append(Message("entries {first} to {last} are missing", first=expected, last=row.seq - 1))
        entry = {name: getattr(row, name) for name in SIGNED}
        # After a gap the hash before is not known: the entry is bound to break, and one finding is enough.
        if row.seq == expected and not hmac.compare_digest(row.hash, _hash(key, row.seq, before, entry)):
            findings.append(Message("entry {seq} was changed, moved or put in", seq=row.seq))
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
        yield Message("the newest entry is {seq}, and the database says {stored}", seq=newest.seq, stored=stored.seq)
    if kept is None:
        yield Message("no head of the trail is kept beside the database: whether its end is missing cannot be said")


def _against(head: Head, newest: Head, hashes: Mapping[int, str]) -> Iterator[Message]:
    if head.seq > newest.seq:
        yield Message("entries {first} to {last} were cut off", first=newest.seq + 1, last=head.seq)
    elif hashes.get(head.seq) != head.hash:
        yield Message("entry {seq} is not the one whose hash was kept", seq=head.seq)


def _reading_findings(connection: Connection, locked: Mapping[str, str]) -> Iterator[Message]:
    left = dict(locked)
    for row in connection.execute(select(READINGS).where(READINGS.c.state == "locked").order_by(READINGS.c.id)):
        digest = left.pop(str(row.id), None)
        if digest is None:
            yield Message("reading {reading} is locked, and the trail does not say so", reading=row.id)
        elif digest != reading_digest(row):
            yield Message("reading {reading} was changed after it was locked", reading=row.id)
    for reading in left:
        yield Message("reading {reading} was locked and is no longer there as such", reading=int(reading))


def _hash(key: bytes, seq: int, before: str, entry: Mapping[str, str]) -> str:
    content = json.dumps([seq, before, *(entry[name] for name in SIGNED)], ensure_ascii=False)
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()
