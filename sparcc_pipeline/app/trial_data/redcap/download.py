"""`sparcc trial redcap`: download the records of a REDCap project as one table; a broken download continues.

Contents: `run_redcap`. The records are read in parts. Each part is kept in `parts/` until all are there, so the same
command after a fault reads only what is missing. Every part is searched for words of arm and dose before it is stored.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.table_reader import RawRow, RawTable
from sparcc_pipeline.app.results.tables import rows_as_csv
from sparcc_pipeline.app.study.clock import utc_now, utc_text
from sparcc_pipeline.app.study.files import make_folder, replace_bytes
from sparcc_pipeline.app.trial_data.read.blinding import require_blinded
from sparcc_pipeline.app.trial_data.read.dictionary import field_of_column
from sparcc_pipeline.app.trial_data.read.field_table import CLINICAL
from sparcc_pipeline.app.trial_data.redcap.api import RedcapProject, read_token
from sparcc_pipeline.errors import InputError, OutputError

SCHEMA: Final = "sparcc-redcap/1"
STATE_FILE: Final = "download.json"
TABLE_FILE: Final = "redcap.csv"
PARTS: Final = "parts"


@dataclass(frozen=True)
class Wanted:
    """What to download.

    Parameters
    ----------
    forms : names of the forms; empty for all
    batch : records in one request
    """

    url: str
    forms: tuple[str, ...]
    batch: int


def run_redcap(url: str, token_file: Path, out: Path, forms: Sequence[str], batch: int) -> None:
    """Download the records into `redcap.csv`, which every command reads as a clinical table.

    Raises
    ------
    ConfigError : address or token file are wrong
    InputError : the server refuses or does not answer
    BlindingError : a field or a text would reveal the arm
    OutputError : the folder holds another download, or cannot be written
    """
    wanted = Wanted(url, tuple(forms), batch)
    project = RedcapProject(url, read_token(token_file))
    state = _state(project, wanted, out)
    names, parts = state["records"], out / PARTS
    for number, first in enumerate(range(0, len(names), batch)):
        file = parts / f"{number:05d}.json"
        if not file.exists():
            rows = project.rows_of(names[first : first + batch], forms)
            _require_blinded(rows, number)
            replace_bytes(file, json.dumps(rows, ensure_ascii=False).encode())
        typer.echo(f"{min(first + batch, len(names))} of {len(names)} records", err=True)
    rows = [row for file in sorted(parts.glob("*.json")) for row in json.loads(file.read_bytes())]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    replace_bytes(out / TABLE_FILE, rows_as_csv(columns, rows).encode())
    done = {**state, "finished_at": utc_text(utc_now()), "rows": len(rows)}
    replace_bytes(out / STATE_FILE, json_text(done).encode())
    shutil.rmtree(parts)
    typer.echo(f"{len(names)} records, {len(rows)} rows: {out / TABLE_FILE}")


def _state(project: RedcapProject, wanted: Wanted, out: Path) -> dict[str, Any]:
    """Return the state of the download in this folder, or begin one.

    Raises
    ------
    OutputError : the folder holds a finished download, one of something else, or other files
    """
    file = out / STATE_FILE
    same: dict[str, Any] = {"url": wanted.url, "forms": list(wanted.forms), "batch": wanted.batch}
    if file.exists():
        state: dict[str, Any] = json.loads(file.read_bytes())
        if "finished_at" in state:
            raise OutputError(f"expected a new folder or a broken download, found a finished one in {out}; use another")
        if {key: state.get(key) for key in same} != same:
            raise OutputError(f"expected the download that began in {out}, found another address, form or batch")
        return state
    make_folder(out, "download")
    if any(out.iterdir()):
        raise OutputError(f"expected an empty folder, found files in {out}; use another one")
    fields = project.fields()
    if not fields:
        raise InputError(f"expected the fields of the project from {wanted.url}, found none; check the project")
    state = {
        "schema": SCHEMA,
        **same,
        "redcap_version": project.version(),
        "started_at": utc_text(utc_now()),
        "records": project.records(fields[0]),
    }
    (out / PARTS).mkdir()
    # The state comes last: a folder with a state has everything that a new start needs.
    replace_bytes(file, json_text(state).encode())
    return state


def _require_blinded(rows: Sequence[dict[str, Any]], number: int) -> None:
    """Raise an error before a part is stored that would reveal the arm."""
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    known = frozenset(name for name in columns if field_of_column(name, *CLINICAL) is not None)
    raw = tuple(RawRow(k, {name: str(cell) for name, cell in row.items()}) for k, row in enumerate(rows, 2))
    require_blinded(RawTable(f"part {number} of the download", columns, raw), known)
