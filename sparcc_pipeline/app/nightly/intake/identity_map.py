"""The identity map: a database of the files, patients and UIDs of a site and their codes.

It is in the identity folder beside the key, so that one owner and one mode guard both. The ledger never reads it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Final

from sparcc_pipeline.errors import ConfigError, OutputError

SCHEMA_VERSION: Final = 1
PATIENCE_S: Final = 30.0
"""How long to wait for a map that another program writes."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS instance (
    site TEXT NOT NULL, upload TEXT NOT NULL, file TEXT NOT NULL, study_key TEXT NOT NULL, instance_key TEXT NOT NULL,
    digest TEXT NOT NULL, study_uid TEXT NOT NULL, series_uid TEXT NOT NULL, patient_id TEXT NOT NULL,
    accession TEXT NOT NULL, study_date TEXT NOT NULL, arrived_at REAL NOT NULL, modality TEXT NOT NULL,
    PRIMARY KEY (site, upload, file)
);
CREATE INDEX IF NOT EXISTS instance_study ON instance (site, study_key);
CREATE TABLE IF NOT EXISTS participant (
    site TEXT NOT NULL, patient_id TEXT NOT NULL, participant TEXT NOT NULL, days INTEGER NOT NULL,
    PRIMARY KEY (site, patient_id, participant)
);
CREATE TABLE IF NOT EXISTS uid (
    site TEXT NOT NULL, original TEXT NOT NULL, pseudonym TEXT NOT NULL, PRIMARY KEY (site, original)
);
CREATE TABLE IF NOT EXISTS pulled (
    site TEXT NOT NULL, study_key TEXT NOT NULL, expected INTEGER, PRIMARY KEY (site, study_key)
);
PRAGMA user_version = 1;
"""


@dataclass(frozen=True)
class Instance:
    """One DICOM file of an upload; `arrived_at` in seconds since 1970, `file` relative to the upload's folder.

    It has a field for each column of the table `instance`, hence more than ten.
    """

    site: str
    upload: str
    file: str = field(repr=False)
    study_key: str
    instance_key: str
    digest: str
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    accession: str = field(repr=False)
    study_date: str = field(repr=False)
    arrived_at: float
    modality: str


_COLUMNS: Final = ", ".join(each.name for each in fields(Instance))


class IdentityMap:
    """The open map; every call is a transaction, safe with several programs at once.

    Raises
    ------
    ConfigError : a newer program made the map
    OutputError (from every call) : the map is locked for too long, damaged, or cannot be written
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as database:
            found = int(database.execute("PRAGMA user_version").fetchone()[0])
            if found > SCHEMA_VERSION:
                raise ConfigError(
                    f"expected an identity map of version {SCHEMA_VERSION}, found {found}; install the newer program"
                )
            if found < SCHEMA_VERSION:
                database.executescript(_SCHEMA)
        file.chmod(0o600)

    def add(self, instances: Iterable[Instance]) -> None:
        """Store the files of an upload; known files stay as they are."""
        marks = ", ".join("?" * len(fields(Instance)))
        with self._open() as database:
            database.executemany(
                f"INSERT OR IGNORE INTO instance ({_COLUMNS}) VALUES ({marks})", (astuple(each) for each in instances)
            )

    def instances(self, site: str, study_key: str) -> list[Instance]:
        """Return the files of a study, each image once.

        An image that came again in a later upload replaces the earlier one. Different images with one UID in one
        upload all stay: reading the stack reports the error.
        """
        with self._open() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM instance WHERE site = ? AND study_key = ? ORDER BY arrived_at, upload, file",
                (site, study_key),
            ).fetchall()
        newest: dict[str, dict[str, Instance]] = {}
        for each in (Instance(*row) for row in rows):
            same = newest.setdefault(each.instance_key, {})
            if any(other.upload != each.upload for other in same.values()):
                same.clear()
            same[each.digest] = each
        return [each for same in newest.values() for each in same.values()]

    def uploads(self, site: str, study_key: str) -> list[str]:
        """Return the uploads that hold files of a study."""
        with self._open() as database:
            rows = database.execute(
                "SELECT DISTINCT upload FROM instance WHERE site = ? AND study_key = ? ORDER BY upload",
                (site, study_key),
            ).fetchall()
        return [str(row[0]) for row in rows]

    def remember(self, site: str, patient_id: str, participant: str, days: int, uids: Mapping[str, str]) -> None:
        """Store the patient of a participant's code, the shift of dates in days, and the new UIDs."""
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO participant VALUES (?, ?, ?, ?)", (site, patient_id, participant, days)
            )
            database.executemany(
                "INSERT OR IGNORE INTO uid VALUES (?, ?, ?)", ((site, old, new) for old, new in uids.items())
            )

    def original_uid(self, pseudonym: str) -> tuple[str, str] | None:
        """Return (site, original UID) of a new UID; None for a foreign UID."""
        with self._open() as database:
            row = database.execute("SELECT site, original FROM uid WHERE pseudonym = ?", (pseudonym,)).fetchone()
        return None if row is None else (str(row[0]), str(row[1]))

    def patients(self, participant: str) -> list[tuple[str, str, int]]:
        """Return (site, patient identifier, shift of dates in days) of a participant."""
        with self._open() as database:
            rows = database.execute(
                "SELECT site, patient_id, days FROM participant WHERE participant = ? ORDER BY site, patient_id",
                (participant,),
            ).fetchall()
        return [(str(site), str(patient), int(days)) for site, patient, days in rows]

    def expect(self, site: str, study_key: str, count: int | None) -> None:
        """Store how many images of a study a PACS reports; None: it reports no number."""
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO pulled VALUES (?, ?, ?)", (site, study_key, count))

    def expected(self, site: str, study_key: str) -> int | None:
        """Return how many images of a study a PACS reported; None: unknown."""
        with self._open() as database:
            row = database.execute(
                "SELECT expected FROM pulled WHERE site = ? AND study_key = ?", (site, study_key)
            ).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._file, timeout=PATIENCE_S)) as database, database:
                yield database
        except sqlite3.Error as error:
            # The text of the error may quote a value.
            raise OutputError(
                f"expected to use the identity map at {self._file}, found that impossible "
                f"({getattr(error, 'sqlite_errorname', type(error).__name__)}); free space, check its owner, or put "
                "back a copy"
            ) from None
