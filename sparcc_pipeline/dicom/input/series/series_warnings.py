"""Warnings about a series: what was lost, left out, joined or odd in its headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sparcc_pipeline.dicom.input.files.other_files import Unreadable
from sparcc_pipeline.dicom.input.series.cut import END_WORDS, Cut
from sparcc_pipeline.dicom.input.series.grouping import Part
from sparcc_pipeline.message import Message


def series_warnings(
    part: Part, others: Sequence[Part], copies: Sequence[str], lost: Sequence[Unreadable], cut: Cut
) -> list[Message]:
    """Return what a reader should know about how a series was put together, beside its classification.

    Parameters
    ----------
    others : other images under the UIDs of the series
    copies : names of files that were dropped as copies
    lost : files of the source that may have held its slices
    """
    return [*_lost(lost, cut), *_left_out(others), *_copies(part, copies), *_joined(part), *_odd_headers(part)]


def _lost(lost: Sequence[Unreadable], cut: Cut) -> list[Message]:
    warnings = []
    if lost:
        warnings.append(
            Message(
                "{count} damaged or missing files in the source (first: {file}, {reason}): slices of this series may "
                "be lost",
                count=len(lost),
                file=lost[0].name,
                reason=lost[0].reason,
            )
        )
    if cut.ends:
        warnings.append(
            Message(
                "slices may be missing at the {ends} end of the stack: {reasons}",
                ends=tuple(END_WORDS[end] for end in sorted(cut.ends)),
                reasons=cut.reasons,
            )
        )
    return warnings


def _left_out(others: Sequence[Part]) -> list[Message]:
    if not others:
        return []
    kinds: Counter[Message] = Counter()
    for other in others:
        kinds[_why(other)] += len(other.frames)
    return [
        Message(
            "the series holds images of several kinds: {count} were left out ({reasons})",
            count=sum(kinds.values()),
            reasons=tuple(kinds),
        )
    ]


def _why(part: Part) -> Message:
    return Message("{kind}: {reasons}", kind=part.classification.kind.value, reasons=part.classification.reasons)


def _copies(part: Part, copies: Sequence[str]) -> list[Message]:
    uids = {file.name for file in part.files}
    again = [name for name in copies if name not in uids]
    if not again:
        return []
    return [Message("{count} copies of images were left out (first: {file})", count=len(again), file=again[0])]


def _joined(part: Part) -> list[Message]:
    studies, series = {study for study, _ in part.uids}, {series for _, series in part.uids}
    if len(part.uids) < 2:
        return []
    return [
        Message(
            "one stack under {series} SeriesInstanceUIDs and {studies} StudyInstanceUIDs was joined",
            series=len(series),
            studies=len(studies),
        )
    ]


def _odd_headers(part: Part) -> list[Message]:
    warnings = []
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        count = sum(keyword in file.missing_uids for file in part.files)
        if count:
            warnings.append(
                Message(
                    "{keyword} is missing in {count} files: one was derived from the header",
                    keyword=keyword,
                    count=count,
                )
            )
    commas = sorted({keyword for file in part.files for keyword in file.decimal_commas})
    if commas:
        warnings.append(Message("{keywords} has decimal commas: read as decimal points", keywords=tuple(commas)))
    return warnings
