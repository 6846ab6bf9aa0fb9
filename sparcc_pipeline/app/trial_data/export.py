"""Write tables as CSV and Parquet, with a codebook and a CDISC mapping, into one folder, complete or not at all.

Contents: `write_tables`, `TRIAL_RESULT`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.results.tables import Table, csv_text, parquet_bytes
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.app.trial_data import columns as out

SCHEMA: Final = "sparcc-trial/1"
MAIN_FILE: Final = "trial.json"

TRIAL_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-trial/",
    re.compile(
        r"trial\.json|(participants|visits|instruments|readings|items|scores|queries|status|eligibility|steps|codebook"
        r"|structural_agreement"
        r"|cdisc_mapping)\.(csv|parquet)"
    ),
)
"""The folder of a trial's tables."""


def write_tables(folder: Path, tables: Mapping[str, Table], facts: Mapping[str, Any], *, force: bool) -> None:
    """Write tables, codebook, CDISC mapping and `trial.json` into a folder.

    Parameters
    ----------
    facts : content of `trial.json`, besides the number of rows of each table
    force : replace an earlier result

    Raises
    ------
    OutputError : the folder is not empty, or cannot be written
    """
    described = {name: table.columns for name, table in tables.items()}
    with ResultFolder(folder, force=force, kind=TRIAL_RESULT) as result:
        for name, table in tables.items():
            write_text(result.path / f"{name}.csv", csv_text(table))
            write_bytes(result.path / f"{name}.parquet", parquet_bytes(table))
        write_text(result.path / "codebook.csv", csv_text(Table(out.CODEBOOK, out.codebook_rows(described))))
        write_text(result.path / "cdisc_mapping.csv", csv_text(Table(out.CDISC, out.cdisc_rows(described))))
        rows = {name: len(table.rows) for name, table in tables.items()}
        main = {"schema": SCHEMA, "research_use_only": True, **facts, "rows": rows}
        write_text(result.path / MAIN_FILE, json_text(main))
        result.publish()
