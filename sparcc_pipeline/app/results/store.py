"""The output folder: it appears complete or not at all, and never over something that is not ours.

Results are written into `.sparcc-XXXXXXXX.partial/` beside their place and renamed. A run that is killed leaves at
most such a folder. It may be deleted; killed in the very moment of replacing, it holds the earlier result.
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
    """What a folder of results holds: the file that says so, its schema, and all names that are ours."""

    main_file: str
    schema_prefix: str
    names: re.Pattern[str]


SCORE_RESULT: Final = ResultKind(
    SCORE_FILE,
    SCHEMA_PREFIX,
    re.compile(
        r"score\.(json|csv)|report\.(html|pdf)|run\.toml|study\.npz|row\.json|thumbnail\.png"
        r"|(anatomy|edema|edema_probability)\.nii\.gz"
        r"|overlay(/slice_\d{2,}\.(png|dcm))?|(seg|(score|volumes)\.sr|presentation_\d+)\.dcm"
    ),
)
CHANGE_RESULT: Final = ResultKind(CHANGE_FILE, "sparcc-change/", re.compile(r"change\.(json|csv|html)|run\.toml"))


class ResultFolder:
    """A folder in the making: fill `path`, then `publish`; left without that, nothing remains.

    Entering the context makes the temporary folder, so that missing rights show before the slow work.

    Parameters
    ----------
    out : where the result shall be
    force : replace an earlier result
    kind : of what kind the earlier result must be

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
        """The temporary folder to write into (inside the context only)."""
        if self._partial is None:
            raise OutputError("expected an open result folder, found a closed one; enter it with `with`")
        return self._partial / "result"

    def __enter__(self) -> Self:
        _require_free(self._out, self._kind, force=self._force)
        try:
            parent = next(p for p in self._out.parents if p.exists())
            self._partial = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, suffix=PARTIAL_SUFFIX, dir=parent))
            # A folder of its own inside: mkdtemp's is readable by one user only.
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
        """Move the filled folder to its place; an earlier result is moved out of the way first.

        Raises
        ------
        OutputError : the place was taken in the meantime, or the move failed (an earlier result stays as it was)
        """
        _require_free(self._out, self._kind, force=self._force)
        replaced = self.path.with_name("replaced")
        try:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            if self._out.exists():
                self._out.rename(replaced)
            try:
                self.path.rename(self._out)
            except OSError:
                if replaced.exists():
                    replaced.rename(self._out)
                raise
        except OSError as error:
            raise OutputError(
                f"expected to move the result to {self._out}, found it {fault_of(error)}; choose another --out"
            ) from error


def _require_free(out: Path, kind: ResultKind, *, force: bool) -> None:
    """Refuse a place that holds anything but, with `force`, an earlier result."""
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
        ours = _is_result(out, kind)
    except OSError as error:
        raise OutputError(
            f"expected a new or a readable folder, found {out} {fault_of(error)}; "
            "choose another --out or change its rights"
        ) from error
    if not entries:
        return
    if not force:
        remedy = "add --force to replace that result" if ours else "nothing was changed: choose another --out"
        raise OutputError(f"expected an empty or new folder, found {out} with {len(entries)} entries; {remedy}")
    foreign = [entry for entry in entries if not kind.names.fullmatch(entry)]
    if foreign or not ours:
        # Files are counted, not named: names of folders and files often hold a patient's name.
        what = f"{len(foreign)} files or folders of other origin" if foreign else f"no {kind.main_file} of ours"
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
