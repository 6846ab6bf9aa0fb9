"""Send the DICOM results of finished scores to a PACS (`sparcc send`)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer

from sparcc_pipeline.app.study.files import PARTIAL_SUFFIX, SCORE_FILE
from sparcc_pipeline.dicom.network.send import Entity, Receipt, parse_target, read_outgoing
from sparcc_pipeline.errors import ConfigError, InputError

RESULT_PATTERNS: Final = ("seg.dcm", "*.sr.dcm", "report.pdf.dcm", "overlay/*.dcm", "presentation_*.dcm")
"""Files to send, in order: an object is sent before those that refer to it."""

LONGEST_TITLE: Final = 16


def run_send(folder: Path, to: str, title: str, timeout_s: float) -> None:
    """Send all DICOM results below `folder` and print the outcome.

    Raises
    ------
    ConfigError : `to` or `title` is not valid
    InputError : there are no DICOM results
    OutputError : the PACS did not take all of them
    """
    target = parse_target(to)
    if not title.strip() or len(title) > LONGEST_TITLE or not title.isascii() or "\\" in title:
        raise ConfigError(
            f"expected --from as an application entity title of 1 to {LONGEST_TITLE} characters, found {title!r}; "
            "change it"
        )
    objects = read_outgoing(find_results(folder))
    if isinstance(target, Entity):
        from sparcc_pipeline.dicom.network.cstore import send_by_cstore

        receipt = send_by_cstore(objects, target, title, timeout_s)
    else:
        from sparcc_pipeline.dicom.network.stow import send_by_stow

        receipt = send_by_stow(objects, target, timeout_s)
    typer.echo(_summary(receipt, str(target)))


def find_results(folder: Path) -> list[Path]:
    """Return the DICOM results of every finished score at or below `folder`.

    Raises
    ------
    InputError : there are none
    """
    scores = sorted(
        path.parent
        for path in folder.rglob(SCORE_FILE)
        if not any(part.endswith(PARTIAL_SUFFIX) for part in path.relative_to(folder).parts)
    )
    files = [file for score in scores for pattern in RESULT_PATTERNS for file in sorted(score.glob(pattern))]
    if not files:
        one = "1 result" if len(scores) == 1 else f"{len(scores)} results"
        what = f"{one} without DICOM files" if scores else "no finished result"
        raise InputError(
            f"expected a folder with DICOM results, found {what} there; score the study with --dicom, or name the "
            "folder given as --out"
        )
    return files


def _summary(receipt: Receipt, target: str) -> str:
    if receipt.found_again is None:
        return f"{receipt.stored} objects stored by {target}. Not found again: {receipt.note}."
    return f"{receipt.stored} objects stored by {target}, all {receipt.found_again} found there again."
