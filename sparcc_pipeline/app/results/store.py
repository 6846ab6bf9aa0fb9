"""The output folder: it is published complete or not at all, and replaces nothing but an earlier result.

Results are written into a staging folder, `.sparcc-XXXXXXXX.partial/` beside their place, and renamed. A killed run
leaves at most the staging folder, which may be deleted; if it was killed while it replaced an earlier result, the
staging folder holds that result.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sparcc_pipeline.app.study.files import PARTIAL_PREFIX, PARTIAL_SUFFIX, SCORE_FILE, fault_of
from sparcc_pipeline.errors import OutputError

SCHEMA_PREFIX: Final = "sparcc-score/"
CHANGE_FILE: Final = "change.json"


@dataclass(frozen=True)
class ResultKind:
    """A kind of result folder: its main file, the prefix of its schema, and all names that it may hold."""

    main_file: str
    schema_prefix: str
    names: re.Pattern[str]


SCORE_RESULT: Final = ResultKind(
    SCORE_FILE,
    SCHEMA_PREFIX,
    re.compile(
        r"score\.(json|csv)|report\.(html|pdf)|run\.toml|study\.npz|row\.json|thumbnail\.png"
        r"|(anatomy|edema|edema_probability)\.nii\.gz"
        r"|overlay(/slice_\d{2,}\.(png|dcm)|/cover\.dcm)?"
        r"|(seg|(score|volumes)\.sr|report\.pdf|presentation_\d+)\.dcm"
    ),
)
CHANGE_RESULT: Final = ResultKind(CHANGE_FILE, "sparcc-change/", re.compile(r"change\.(json|csv|html)|run\.toml"))


class ResultFolder:
    """A staging folder: fill `path`, then call `publish`. Without that call nothing remains.

    Entering the context creates the staging folder, so that missing rights show before the slow work.

    Parameters
    ----------
    out : place of the result
    force : replace an earlier result
    kind : kind that an earlier result must have

    Raises
    ------
    OutputError : `out` exists and may not be replaced, or cannot be written
    """

    def __init__(self, out: Path, *, force: bool, kind: ResultKind = SCORE_RESULT) -> None:
        self._out = Path(os.path.realpath(out))
        self._force, self._kind = force, kind
        self._partial: Path | None = None

    @property
    def path(self) -> Path:
        """The staging folder to write into (inside the context only)."""
        if self._partial is None:
            raise OutputError("expected an open result folder, found a closed one; enter it with `with`")
        return self._partial / "result"

    def __enter__(self) -> Self:
        _require_free(self._out, self._kind, force=self._force)
        try:
            parent = next(p for p in self._out.parents if p.exists())
            self._partial = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, suffix=PARTIAL_SUFFIX, dir=parent))
            # A folder inside it, because that of mkdtemp is readable by one user only.
            self.path.mkdir()
        except OSError as error:
            raise OutputError(
                f"expected a place where results can be written, found {self._out.parent} {fault_of(error)}; "
                "choose another --out or change its rights"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._partial is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial = None

    def publish(self) -> None:
        """Publish the filled folder (see `publish_folder`).

        Raises
        ------
        OutputError : the place was taken in the meantime, or the move failed (an earlier result stays as it was)
        """
        _require_free(self._out, self._kind, force=self._force)
        try:
            publish_folder(self.path, self._out)
        except OSError as error:
            raise OutputError(
                f"expected to move the result to {self._out}, found it {fault_of(error)}; choose another --out"
            ) from error


def publish_folder(staged: Path, place: Path) -> None:
    """Move a finished folder to its place.

    An earlier folder there is first moved beside the staged one, as `replaced`, and moved back if publishing fails.

    Raises
    ------
    OSError : a folder cannot be moved
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    replaced = staged.with_name("replaced")
    if place.exists():
        place.rename(replaced)
    try:
        staged.rename(place)
    except OSError:
        if replaced.exists():
            replaced.rename(place)
        raise


def _require_free(out: Path, kind: ResultKind, *, force: bool) -> None:
    """Reject a place that is not empty; with `force`, allow an earlier result of this kind."""
    try:
        if not out.exists():
            return
        if not out.is_dir():
            raise OutputError(f"expected a folder for the results, found a file at {out}; choose another --out")
        if out == Path.cwd():
            raise OutputError(
                f"expected a folder of its own for the results, found the current one ({out}); name a new --out"
            )
        entries = sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))
        is_result = _is_result(out, kind)
    except OSError as error:
        raise OutputError(
            f"expected a new or a readable folder, found {out} {fault_of(error)}; "
            "choose another --out or change its rights"
        ) from error
    if not entries:
        return
    if not force:
        remedy = "add --force to replace that result" if is_result else "nothing was changed: choose another --out"
        raise OutputError(f"expected an empty or new folder, found {out} with {len(entries)} entries; {remedy}")
    foreign = [entry for entry in entries if not kind.names.fullmatch(entry)]
    if foreign or not is_result:
        # Files are counted, not named: names of folders and files often hold the name of a patient.
        what = f"{len(foreign)} files or folders of other origin" if foreign else f"no {kind.main_file} of this program"
        raise OutputError(
            f"expected an earlier result that --force may replace, found {what}, in {out}; "
            "nothing was changed: choose another --out"
        )


def _is_result(out: Path, kind: ResultKind) -> bool:
    """True if the folder holds a result of this program and this kind."""
    try:
        content = json.loads((out / kind.main_file).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(content, dict) and str(content.get("schema")).startswith(kind.schema_prefix)
