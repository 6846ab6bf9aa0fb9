"""Sentences for a source without a series to score."""

from __future__ import annotations

from functools import reduce
from typing import Final

from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.dicom.input.discover import Discovery, SeriesCandidate
from sparcc_pipeline.message import Message

LISTED: Final = 12
"""Series that an error lists; a study of the spine has fewer."""

FLAG: Final = "--accept-fat-suppressed"


def no_images(discovery: Discovery) -> Message:
    """Return what a source without a DICOM image holds instead, and the remedy."""
    unreadable, others = discovery.unreadable, discovery.not_dicom
    forms = {str(each.reason.fields["form"]) for each in unreadable if "form" in each.reason.fields}
    named = Message(
        "{files}{more}",
        files=tuple(each.name for each in unreadable[:3]),
        more=Message(" and more") if len(unreadable) > 3 else "",
    )
    if discovery.files == 0:
        return Message("expected DICOM images, found an empty source; check the path and that the study was exported")
    if forms:
        return Message(
            "expected DICOM images, found {count} packed files ({forms}: {files}); unpack them and give the folder",
            count=sum("form" in each.reason.fields for each in unreadable),
            forms=tuple(sorted(forms)),
            files=named,
        )
    if unreadable:
        return Message(
            "expected DICOM images, found {count} damaged, cut off or missing DICOM files ({files}); "
            "export or copy the study again",
            count=len(unreadable),
            files=named,
        )
    if discovery.directories:
        return Message(
            "expected DICOM images, found a DICOMDIR without images; give the folder with the images that it lists"
        )
    return Message(
        "expected DICOM images, found no DICOM among {count} files; give the folder, zip or DICOMDIR that the "
        "scanner or PACS exported",
        count=others,
    )


def no_stir(discovery: Discovery) -> Message:
    """Return the sentence for a source without STIR: the kind of each series and why."""
    order = list(SeriesKind)
    nearest = sorted(discovery.series, key=lambda s: order.index(s.kind))
    found = [Message("{series}: {reasons}", series=s.describe(), reasons=s.reasons) for s in nearest[:LISTED]]
    if len(nearest) > LISTED:
        found.append(Message("{count} more", count=len(nearest) - LISTED))
    if discovery.damaged:
        found.append(Message("{count} damaged files that were left out", count=len(discovery.damaged)))
    listed = reduce(lambda first, next_: Message("{first}; {next}", first=first, next=next_), found)
    if any(s.kind is SeriesKind.FAT_SUPPRESSED for s in discovery.series):
        return Message(
            "expected a STIR series, found {found}; add {flag} to score the fat-suppressed series, marked as such",
            found=listed,
            flag=FLAG,
        )
    return Message("expected a STIR series, found {found}; send the STIR series", found=listed)


def partial(best: SeriesCandidate, fitting: list[SeriesCandidate]) -> Message:
    return Message(
        "expected the whole stack in one series, found {series}, whose slices continue each other under different "
        "series numbers and names; export them as one series, or choose one with --series UID",
        series=listed([s for s in fitting if s.partial] or [best]),
    )


def wanted(kinds: set[SeriesKind]) -> str:
    return "STIR or fat-suppressed T2" if SeriesKind.FAT_SUPPRESSED in kinds else "STIR"


def listed(series: list[SeriesCandidate] | tuple[SeriesCandidate, ...]) -> str:
    return ", ".join(s.describe() for s in series[:LISTED]) + _more(len(series))


def _more(count: int) -> str:
    return f" and {count - LISTED} more" if count > LISTED else ""
