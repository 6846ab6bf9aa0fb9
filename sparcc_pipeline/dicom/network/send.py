"""The parts that sending by C-STORE (cstore.py) and by DICOMweb (stow.py) share: targets, files and receipts.

Sending is safe to repeat, because the same result has the same UIDs. Local files are neither deleted nor changed, so
objects that a PACS did not store can be sent again.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset

from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, quiet_pydicom
from sparcc_pipeline.errors import ConfigError, InputError, OutputError

READ_BACK_WAITS_S: Final = (0.0, 1.0, 3.0, 6.0)
"""Seconds to wait before each check: a PACS may list stored objects only after a while."""

_ENTITY: Final = re.compile(r"([^@\s\\][^@\\]{0,15})@(\[[0-9a-fA-F:.]+\]|[^\s@:/\[\]]+):(\d{1,5})")
_LARGEST_PORT: Final = 65535


@dataclass(frozen=True)
class Entity:
    """A DICOM application entity: its title, host and port."""

    title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


@dataclass(frozen=True)
class WebService:
    """A DICOMweb service: the URL before `/studies`."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Outgoing:
    """One file to send, and the UIDs that identify it."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str

    def dataset(self) -> Dataset:
        """Return the whole file, for use inside this package only."""
        with quiet_pydicom():
            return pydicom.dcmread(self.path)


@dataclass(frozen=True)
class Receipt:
    """The result of sending: all objects were stored.

    Parameters
    ----------
    found_again : number of objects that the PACS lists; None if it could not be queried, for the reason in `note`
    """

    stored: int
    found_again: int | None
    note: str = ""


def parse_target(text: str) -> Entity | WebService:
    """Return the target of a text: `AET@HOST:PORT`, or the URL of a DICOMweb service.

    Raises
    ------
    ConfigError : it is neither, or the URL holds a password
    """
    if re.match(r"https?://", text):
        if "@" in text.split("/")[2]:
            raise ConfigError(
                "expected a URL without a user and password, which other users of this machine could read; put them "
                "into ~/.netrc"
            )
        return WebService(text.rstrip("/"))
    match = _ENTITY.fullmatch(text)
    if match is None or not 0 < int(match[3]) <= _LARGEST_PORT:
        raise ConfigError(
            f"expected --to as AET@HOST:PORT (a title of at most 16 characters, for instance PACS@10.1.2.3:104) or as "
            f"https://..., found {text!r}; change it"
        )
    return Entity(match[1], match[2].strip("[]"), int(match[3]))


def read_outgoing(paths: Iterable[Path]) -> list[Outgoing]:
    """Return the files to send, in the same order.

    Raises
    ------
    InputError : a file is missing, or no longer a DICOM file
    """
    found = []
    for path in paths:
        try:
            with quiet_pydicom():
                tags = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"]
                ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
                found.append(
                    Outgoing(path, ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID)
                )
        except PARSE_ERRORS as error:
            raise InputError(
                f"expected a readable DICOM file, found it missing or damaged ({path.name}); score the study again "
                "with --dicom --force"
            ) from error
    return found


def _by_series(objects: Iterable[Outgoing]) -> dict[tuple[str, str], set[str]]:
    """Return SOP instance UIDs by (study UID, series UID)."""
    series: dict[tuple[str, str], set[str]] = defaultdict(set)
    for outgoing in objects:
        series[outgoing.study_uid, outgoing.series_uid].add(outgoing.sop_instance_uid)
    return dict(series)


def require_all_stored(refused: dict[str, list[str]], stored: int, target: object) -> None:
    """Raise if the PACS refused objects; `refused` holds their file names by its reason.

    Raises
    ------
    OutputError
    """
    if refused:
        reasons = "; ".join(f"{len(names)} refused ({reason}): {', '.join(names)}" for reason, names in refused.items())
        raise OutputError(
            f"expected {target} to store all objects, found {stored} stored and {reasons}; the files are still in "
            "their folder: ask the administrator of the PACS, then send again"
        )


CountMissing = Callable[[str, str, set[str]], int | None]
"""Of a study UID, a series UID and SOP instance UIDs: how many the PACS does not list; None if it cannot be queried."""


def count_lacking(objects: Sequence[Outgoing], count_missing: CountMissing) -> int | None:
    """Return the number of objects that the PACS does not list, or None if it cannot be queried."""
    found = [count_missing(study, series, uids) for (study, series), uids in _by_series(objects).items()]
    known = [number for number in found if number is not None]
    return sum(known) if len(known) == len(found) else None


def read_back(
    objects: Sequence[Outgoing],
    target: object,
    count_missing: CountMissing,
    no_answer: str,
) -> Receipt:
    """Query the objects after growing pauses until the PACS lists all of them.

    Parameters
    ----------
    count_missing : see `CountMissing`
    no_answer : the note of the receipt if it cannot be queried

    Raises
    ------
    OutputError : after the last pause the PACS still lacks objects that it confirmed
    """
    count = missing = len(objects)
    for wait in READ_BACK_WAITS_S:
        time.sleep(wait)
        lacking = count_lacking(objects, count_missing)
        if lacking is None:
            return Receipt(count, None, no_answer)
        if not lacking:
            return Receipt(count, count)
        missing = lacking
    raise OutputError(
        f"expected {target} to hold the {count} objects that it reported as stored, found {missing} of them "
        "missing in its list; the files are still in their folder: check the PACS, then send again"
    )
