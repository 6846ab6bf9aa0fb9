"""Whose images a page shows, and when they were taken: what the user and the settings allow, on pages only.

Nothing of it enters `score.json` or a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparcc_pipeline.app.study import saved_study
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.images import Study
from sparcc_pipeline.message import Message
from sparcc_pipeline.volume import SeriesRef


@dataclass(frozen=True)
class Whose:
    """The line of a page that names its images; None is left out.

    Parameters
    ----------
    label : text of the user, or participant and visit
    date : day of the images, as the scanner wrote it
    accession : AccessionNumber, if the settings allow it and the study was read with its headers
    """

    label: str | None = None
    date: str | None = None
    series: Message | None = None
    accession: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The known parts in words."""
        date = None if self.date is None else Message("images of {date}", date=self.date)
        accession = None if self.accession is None else Message("accession {number}", number=self.accession)
        return tuple(part for part in (self.label, date, self.series, accession) if part)


def whose(study: Study, config: PipelineConfig, label: str | None = None) -> Whose:
    """Return what the settings allow of this study."""
    accession = study.header.accession if config.page_accession and study.header is not None else ""
    return Whose(
        label=label or None,
        date=day_of(study.stir.series) if config.page_date else None,
        series=series_of(study.stir.series),
        accession=accession or None,
    )


def whose_result(folder: Path, config: PipelineConfig) -> Whose:
    """Return what the settings allow of a finished score; nothing if the folder has none."""
    series = saved_study.series_of(folder)
    if series is None:
        return Whose()
    return Whose(date=day_of(series) if config.page_date else None, series=series_of(series))


def day_of(series: SeriesRef) -> str | None:
    """Return the day of the acquisition; None where the source gives none."""
    return None if series.acquired is None else series.acquired[:10]


def series_of(series: SeriesRef) -> Message | None:
    """Return number and kind of a series; None where it has no number."""
    number = series.facts.get("series_number")
    if number is None:
        return None
    return Message("series {number} ({kind})", number=f"{number:g}", kind=series.facts.get("kind", "STIR"))
