"""Options that several commands share, each defined once. Only typer is imported here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sparcc_pipeline.app.study.config import PipelineConfig
    from sparcc_pipeline.app.study.images import Request


class EngineName(StrEnum):
    """The engines that can run the networks."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCH = "torch"


class LanguageName(StrEnum):
    """The languages of reports and pages."""

    ENGLISH = "en"
    CHINESE = "zh"


# readable=False: the check of typer would exit with 2 and another wording.
ResultFolderOption = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder for the results. The command creates it.", readable=False)
]
SlicesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FIRST-LAST",
        help="Score these six slices, for example 7-12. Slice 1 is the most anterior one.",
    ),
]
FatSuppressedOption = Annotated[
    bool,
    typer.Option(
        "--accept-fat-suppressed", help="Also score SPAIR, SPIR or Dixon water T2; the result carries a warning."
    ),
]
PdfOption = Annotated[bool, typer.Option("--pdf", help="Also write each report as PDF.")]
DicomOption = Annotated[
    bool, typer.Option("--dicom/--no-dicom", help="Also write DICOM results for a PACS (see sparcc send).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print only the result, as JSON.")]
LabelOption = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="TEXT",
        help="Text for the pages, for example a participant code. It is written on the pages only.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an earlier result in --out.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file (TOML) that overrides the defaults.", readable=False),
]
EngineOption = Annotated[EngineName | None, typer.Option("--engine", help="Engine that runs the networks.")]
LanguageOption = Annotated[
    LanguageName | None,
    typer.Option("--lang", help="Language of the reports: en (English) or zh (Simplified Chinese)."),
]


def settings_from(config: Path | None, engine: EngineName | None, lang: LanguageName | None) -> PipelineConfig:
    """Return the settings that these options select.

    Raises
    ------
    ConfigError : see `config.load_config`
    """
    from sparcc_pipeline.app.study.config import resolve_config

    return resolve_config(config, engine.value if engine else None, lang.value if lang else None)


def request_from(slices: str | None, series: str | None, accept_fat_suppressed: bool) -> Request:
    """Return the request that these options make.

    Raises
    ------
    ConfigError : `slices` is not six consecutive slices
    """
    from sparcc_pipeline.app.study.images import Request, parse_slices

    return Request(None if slices is None else parse_slices(slices), series, accept_fat_suppressed)


Allocation = Annotated[
    Path | None,
    typer.Option(
        "--unblind",
        metavar="ALLOCATION",
        help="UNBLINDED: results by arm, from this table of participant, arm.",
        readable=False,
    ),
]
Dosing = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="With --unblind: table with the columns participant, visit, dose_step.", readable=False
    ),
]


def require_unblinded(dosing: Path | None, unblind: Path | None) -> None:
    """Refuse --dosing without --unblind."""
    if dosing is not None and unblind is None:
        raise typer.BadParameter("--dosing needs --unblind: dose steps show the arm")
