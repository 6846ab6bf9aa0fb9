"""The morning report as files, metrics and mail: `write_report`.

Each call replaces `work_folder/reports/DATE/` as a whole: `report.en.html`, `report.zh.html`, `site-CODE.html` in the
language of the site, `sites.csv`, `studies.csv`, `morning.json`.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.nightly.morning.figures import night_metrics
from sparcc_pipeline.app.nightly.morning.ledger import morning_of
from sparcc_pipeline.app.nightly.morning.mail import Letter, send_letter
from sparcc_pipeline.app.nightly.morning.metrics import write_metrics
from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.page import morning_page, summary_text
from sparcc_pipeline.app.nightly.morning.studies import Site
from sparcc_pipeline.app.nightly.morning.tables import sites_csv, studies_csv
from sparcc_pipeline.app.nightly.morning.webhook import post_figures
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.work.outcome import Context, Log
from sparcc_pipeline.app.report.language import Language, language
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.errors import OutputError, SparccError
from sparcc_pipeline.message import Message

MAIN_FILE: Final = "morning.json"
SCHEMA: Final = "sparcc-morning/1"
MORNING_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-morning/",
    re.compile(r"morning\.json|report\.(en|zh)\.html|site-[A-Za-z0-9_-]+\.html|(sites|studies)\.csv"),
)
LANGUAGES: Final[dict[LanguageCode, str]] = {"en": "English", "zh": "中文"}
"""The languages of the coordinator's page, by their own names."""

MAILED_FOLDER: Final = "mailed"
"""Below `reports`: an empty file for each mail sent, so that a second run sends nothing twice."""


def write_report(context: Context, problems: Sequence[Message] = ()) -> Path:
    """Write report and metrics, mail the report unless it was mailed today, and return the coordinator's page.

    Parameters
    ----------
    problems : errors of the night as a whole

    Raises
    ------
    ConfigError : the settings name an unknown time zone
    OutputError : the ledger does not answer, or a file cannot be written
    """
    settings, ledger = context.settings, context.ledger
    morning = morning_of(ledger, settings, context.clock(), tuple(problems))
    page = write_morning_report(settings, morning)
    runs = ledger.history(event="run")
    work = settings.paths.work_folder
    write_metrics(night_metrics(morning, work, runs[-1] if runs else None), work / "metrics")
    mailed = mail_report(settings, morning, context.log)
    post_report(settings, morning, context.log)
    context.log("report written", step="report", count=mailed)
    return page


def write_morning_report(settings: NightlySettings, morning: Morning) -> Path:
    """Write the report of the date, replacing an earlier one, and return the coordinator's page in their language.

    Raises
    ------
    OutputError : a file cannot be written; an earlier report stays
    """
    folder = _folder(settings, morning)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected a folder for reports at {folder.parent}, found the place not usable "
            f"({(error.strerror or type(error).__name__).lower()}); free space or change its rights"
        ) from error
    with ResultFolder(folder, force=True, kind=MORNING_RESULT) as result:
        for name, text in _files(morning).items():
            write_text(result.path / name, text)
        result.publish()
    return folder / f"report.{settings.run.lang}.html"


def mail_report(settings: NightlySettings, morning: Morning, log: Log) -> int:
    """Mail the written report to the coordinator and the sites, and return how many mails were sent.

    Each mail is sent once a date; the next call tries a failed one again. A failure of a mail is logged, never raised.
    """
    mail, sent = settings.mail, 0
    if mail.host is None or morning.made_at.astimezone(morning.zone).hour < mail.from_hour:
        return 0
    folder = _folder(settings, morning)
    sites = {site.code: site for site in morning.sites}
    letters: list[tuple[str, list[str], Site | None]] = [("all", list(mail.to), None)]
    letters += [(f"site-{each.code}", list(each.mail), sites[each.code]) for each in settings.site]
    for name, to, site in letters:
        mark = folder.parent / MAILED_FOLDER / f"{folder.name}-{name}"
        try:
            with _one_at_a_time(mark.parent):
                if to and not mark.exists():
                    send_letter(_letter(morning, to, site, folder, settings.run.lang), mail)
                    write_bytes(mark, b"")
                    sent += 1
        except (SparccError, OSError) as error:
            log("report could not be mailed", step="mail", error=error)
    return sent


def post_report(settings: NightlySettings, morning: Morning, log: Log) -> None:
    """Post the figures once a date, not before the hour of the mail; log a failure, which the next call tries again."""
    folder, webhook = _folder(settings, morning), settings.webhook
    mark = folder.parent / MAILED_FOLDER / f"{folder.name}-webhook"
    if webhook.url is None or morning.made_at.astimezone(morning.zone).hour < settings.mail.from_hour:
        return
    try:
        with _one_at_a_time(mark.parent):
            if not mark.exists():
                figures = {**_document(morning), "problems": len(morning.problems)}
                post_figures(webhook, figures, _subject(morning, folder.name, language(settings.run.lang)))
                write_bytes(mark, b"")
    except (SparccError, OSError) as error:
        log("figures could not be posted", step="webhook", error=error)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process sends mail: each would find the mark of a mail missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _folder(settings: NightlySettings, morning: Morning) -> Path:
    date = morning.made_at.astimezone(morning.zone).strftime("%Y-%m-%d")
    return settings.paths.work_folder / "reports" / date


def _files(morning: Morning) -> dict[str, str]:
    """Return the content of every file of the folder by its name."""
    files = {}
    sites = {site.name: f"site-{site.code}.html" for site in morning.sites}
    for code in LANGUAGES:
        others = {name: f"report.{other}.html" for other, name in LANGUAGES.items() if other != code}
        files[f"report.{code}.html"] = morning_page(morning, language(code), {**others, **sites})
    for site in morning.sites:
        files[f"site-{site.code}.html"] = morning_page(morning.of_site(site.code), language(site.language), {}, site)
    return {
        **files,
        "sites.csv": sites_csv(morning),
        "studies.csv": studies_csv(morning),
        MAIN_FILE: json_text(_document(morning)),
    }


def _document(morning: Morning) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "research_use_only": True,
        "began": morning.began.isoformat(),
        "made_at": morning.made_at.isoformat(),
        "problems": list(morning.problems),
        "sites": {site.code: _plain(asdict(morning.of_site(site.code).counts())) for site in morning.sites},
        "all": _plain(asdict(morning.counts())),
    }


def _plain(counts: dict[str, Any]) -> dict[str, Any]:
    """Return the figures with spans as seconds."""
    return {name: value.total_seconds() if isinstance(value, timedelta) else value for name, value in counts.items()}


def _letter(morning: Morning, to: list[str], site: Site | None, folder: Path, code: LanguageCode) -> Letter:
    words = language(code if site is None else site.language)
    seen = morning if site is None else morning.of_site(site.code)
    page = folder / (f"report.{code}.html" if site is None else f"site-{site.code}.html")
    attached = (f"{folder.name}-{page.name}", "text/html", page.read_bytes())
    return Letter(to, _subject(seen, folder.name, words), summary_text(seen, words), (attached,))


def _subject(morning: Morning, date: str, words: Language) -> str:
    """Return the report in one line: no study, no participant."""
    counts = morning.counts()
    figures = {"date": date, "count": counts.needs_attention, "scored": counts.scored}
    if morning.problems:
        return words.say(
            "SPARCC {date}: {problems} parts of the night failed, {count} need you, {scored} scored",
            problems=len(morning.problems),
            **figures,
        )
    return words.say(
        "SPARCC {date}: {count} need you, {received} received, {scored} scored", received=counts.received, **figures
    )
