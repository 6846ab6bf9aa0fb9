"""The page and the tables of a morning report. What they show is decided in `report_model`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sparcc_pipeline import __version__
from sparcc_pipeline.app.nightly.morning.model import Counts, Delivery, Morning, Reason, Site, Standing, StudyNow
from sparcc_pipeline.app.nightly.morning.plot import nights_plot
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import template
from sparcc_pipeline.app.report.plots import picture
from sparcc_pipeline.app.results.tables import rows_as_csv
from sparcc_pipeline.app.study.clock import utc_text
from sparcc_pipeline.message import Message

FIRST_SHOWN: Final = 6
"""So many studies of each group stand at the top of the page; the others follow in full below."""

SITE_COLUMNS: Final = (
    "site", "received", "scored", "method_does_not_apply", "delivered", "quarantined", "rejected", "failed", "retrying",
    "not_processed_yet", "deliveries_pending", "versions_superseded", "protocol_deviations", "to_score_median_minutes",
    "to_score_worst_minutes", "oldest_waiting_hours",
)  # fmt: skip
"""Columns of `sites.csv`."""

STUDY_COLUMNS: Final = (
    "study", "site", "participant", "visit", "version", "standing", "superseded", "received_at", "since", "scored_at",
    "total", "delivery", "attempts", "next_try", "reason", "remedy", "deviations",
)  # fmt: skip
"""Columns of `studies.csv`. Times are UTC."""

STANDINGS: Final[Mapping[Standing, Message]] = {
    Standing.IN_WORK: Message("not processed yet"),
    Standing.SCORED: Message("scored"),
    Standing.UNSCORABLE: Message("method does not apply"),
    Standing.QUARANTINED: Message("in quarantine"),
    Standing.REJECTED: Message("rejected"),
    Standing.RETRYING: Message("tried again by itself"),
    Standing.GIVEN_UP: Message("failed"),
}

_GROUPS: Final = (
    (Standing.QUARANTINED, Message("Decide: in quarantine")),
    (Standing.REJECTED, Message("Ask the site to send again")),
    (Standing.GIVEN_UP, Message("Mend: failed for good")),
)
_SITE_GROUPS: Final = (
    (Standing.QUARANTINED, Message("In quarantine until mended, or until the coordinator decides")),
    (Standing.REJECTED, Message("Please send again")),
    (Standing.GIVEN_UP, Message("Nothing to do for you: the program failed")),
)


def morning_page(morning: Morning, words: Language, links: Mapping[str, str], site: Site | None = None) -> str:
    """The page as HTML.

    Parameters
    ----------
    links : pages beside this one, by their names; of the coordinator's page only
    site : whose page it is; None is that of the coordinator, who sees all sites and what to type
    """
    groups = [
        {"standing": standing.value, "name": name, "studies": [_shown(s, morning, words, site) for s in found]}
        for standing, name in (_GROUPS if site is None else _SITE_GROUPS)
        if (found := [s for s in morning.needing_somebody() if s.standing is standing])
    ]
    counts = morning.counts()
    stuck = [] if site is not None else [_shown_delivery(s, morning, words) for s in morning.stuck_deliveries()]
    return template("morning.html", words).render(
        site=site,
        date=_local(morning.made_at, morning, "%Y-%m-%d"),
        began=_local(morning.began, morning),
        ended=_local(morning.made_at, morning),
        zone=morning.made_at.astimezone(morning.zone).strftime("%Z (UTC%z)"),
        counts=counts,
        figures=_figures(counts, words),
        rows=[_site_row(each, morning.of_site(each.code).counts(), words) for each in morning.sites],
        groups=groups,
        needing=counts.needs_somebody + len(stuck),
        first_shown=FIRST_SHOWN,
        nights=morning.nights_shown,
        stuck=stuck,
        problems=morning.problems,
        deviating=[{**_shown(s, morning, words, site), "reasons": ()} for s in morning.deviating()],
        not_compared=[
            {**_shown(s, morning, words, site), "reasons": [s.not_compared], "deviations": ()}
            for s in morning.not_compared()
        ],
        without_score=[{**_shown(s, morning, words, site), "deviations": ()} for s in morning.without_score()],
        plot=_plot(morning, words),
        links=links,
        version=__version__,
        created_at=utc_text(morning.made_at),
    )


def summary_text(morning: Morning, words: Language) -> str:
    """The report in a few lines, for a mail: figures, and the first of what needs somebody."""
    counts = morning.counts()
    lines = [
        words.say("Night until {ended}", ended=_local(morning.made_at, morning)),
        "",
        *(words.sentence(problem) for problem in morning.problems),
        *(f"{words.say(name)}: {value}" for name, value in _figures(counts, words)),
    ]
    for standing, name in _GROUPS:
        found = [s for s in morning.needing_somebody() if s.standing is standing]
        if found:
            lines += ["", f"{words.say(name)} ({len(found)})"]
            lines += [f"- {_label(s, words)}: {_reason_words(s.reasons, words)}" for s in found[:FIRST_SHOWN]]
            if len(found) > FIRST_SHOWN:
                lines.append(words.say("- and {count} more in the page", count=len(found) - FIRST_SHOWN))
    lines += ["", words.say("Research use only. Not for diagnosis or treatment.")]
    return "\n".join(lines) + "\n"


def sites_csv(morning: Morning) -> str:
    """One row a site, figures of the night."""
    rows = []
    for site in morning.sites:
        c = morning.of_site(site.code).counts()
        values = (
            site.code, c.received, c.scored, c.unscorable, c.delivered, c.quarantined, c.rejected, c.failed, c.retrying,
            c.in_work, c.deliveries_pending, c.superseded, c.deviations, _number(c.to_score_median, 60),
            _number(c.to_score_worst, 60), _number(c.oldest_waiting, 3600),
        )  # fmt: skip
        rows.append(dict(zip(SITE_COLUMNS, values, strict=True)))
    return rows_as_csv(SITE_COLUMNS, rows)


def studies_csv(morning: Morning) -> str:
    """One row a study: of the night, or still open."""
    needing = set(morning.needing_somebody())
    listed = [
        s
        for s in morning.studies
        if s in needing
        or morning.in_night(s.received_at)
        or morning.in_night(s.since)
        or s.standing in (Standing.IN_WORK, Standing.RETRYING)
        or s.delivery in (Delivery.PENDING, Delivery.GIVEN_UP)
    ]
    return rows_as_csv(
        STUDY_COLUMNS, [_study_row(s) for s in sorted(listed, key=lambda s: (s.site, s.received_at, s.study))]
    )


def duration(span: timedelta | None, words: Language) -> str:
    """A span as people say it: minutes, hours or days."""
    if span is None:
        return "–"
    minutes = span.total_seconds() / 60
    if minutes < 90:
        return words.say("{minutes} min", minutes=max(1, round(minutes)))
    if minutes < 48 * 60:
        return words.say("{hours} h", hours=round(minutes / 60))
    return words.say("{days} days", days=round(minutes / 60 / 24))


def _figures(counts: Counts, words: Language) -> list[tuple[Message, str]]:
    return [
        (Message("Received"), str(counts.received)),
        (Message("Scored"), str(counts.scored)),
        (Message("Delivered"), str(counts.delivered)),
        (Message("Still in work"), str(counts.in_work + counts.retrying)),
        (Message("Until scored, median"), duration(counts.to_score_median, words)),
        (Message("worst"), duration(counts.to_score_worst, words)),
    ]


def _site_row(site: Site, counts: Counts, words: Language) -> dict[str, Any]:
    return {
        "site": site,
        "counts": counts,
        "to_score_median": duration(counts.to_score_median, words),
        "to_score_worst": duration(counts.to_score_worst, words),
        "oldest_waiting": duration(counts.oldest_waiting, words),
    }


def _shown(study: StudyNow, morning: Morning, words: Language, site: Site | None) -> dict[str, Any]:
    return {
        "study": study.study,
        "label": _label(study, words, with_site=site is None),
        "version": study.version,
        "age": duration(morning.made_at - study.since, words),
        "new": morning.in_night(study.since),
        "files": study.files,
        "reasons": [_for_whom(reason, study, site) for reason in study.reasons],
        "deviations": study.deviations,
        "commands": [] if site is not None else _commands(study),
    }


def _plot(morning: Morning, words: Language) -> str | None:
    nights = morning.nights()
    if not any(night.received for night in nights):
        return None
    return picture(nights_plot(nights, morning.zone, words))


def _for_whom(reason: Reason, study: StudyNow, site: Site | None) -> Reason:
    """Where the program failed, what is to be done concerns no site."""
    return replace(reason, remedy=None) if site is not None and study.standing is Standing.GIVEN_UP else reason


def _shown_delivery(study: StudyNow, morning: Morning, words: Language) -> dict[str, Any]:
    given_up = study.delivery is Delivery.GIVEN_UP
    return {
        **_shown(study, morning, words, None),
        "reasons": [] if study.delivery_reason is None else [study.delivery_reason],
        "next_try": None if study.next_try is None or given_up else _local(study.next_try, morning),
        "commands": [f"sparcc nightly retry {study.study}"] if given_up else [],
    }


def _commands(study: StudyNow) -> list[str]:
    """What a coordinator may type about a study."""
    whose = [] if study.is_upload else [f"sparcc nightly whose {study.study}"]
    match study.standing:
        case Standing.QUARANTINED if study.waits_for_manifest:
            return whose
        case Standing.QUARANTINED:
            return [*whose, f'sparcc nightly release {study.study} --by NAME --reason "..."']
        case Standing.GIVEN_UP:
            return [f"sparcc nightly retry {study.study}"]
        case _:
            return []


def _label(study: StudyNow, words: Language, *, with_site: bool = True) -> str:
    """Participant and visit where they are known, else that they are not."""
    site = f"{study.site} · " if with_site else ""
    if study.participant is None:
        return f"{site}{words.say('not assigned to a participant')}"
    return f"{site}{study.participant}" + (f" · {study.visit}" if study.visit else "")


def _reason_words(reasons: Iterable[Reason], words: Language) -> str:
    said = [words.say(r.what) + (f" -> {words.say(r.remedy)}" if r.remedy is not None else "") for r in reasons]
    return "; ".join(said)


def _study_row(study: StudyNow) -> dict[str, object]:
    return {
        "study": study.study,
        "site": study.site,
        "participant": study.participant,
        "visit": study.visit,
        "version": study.version,
        "standing": study.standing.value,
        "superseded": int(study.superseded),
        "received_at": _utc(study.received_at),
        "since": _utc(study.since),
        "scored_at": _utc(study.scored_at),
        "total": study.total,
        "delivery": study.delivery.value,
        "attempts": study.attempts,
        "next_try": _utc(study.next_try),
        "reason": " | ".join(str(reason.what) for reason in study.reasons),
        "remedy": " | ".join(str(reason.remedy) for reason in study.reasons if reason.remedy is not None),
        "deviations": " | ".join(study.deviations),
    }


def _local(moment: datetime, morning: Morning, form: str = "%Y-%m-%d %H:%M") -> str:
    return moment.astimezone(morning.zone).strftime(form)


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)


def _number(span: timedelta | None, unit_s: float) -> float | None:
    return None if span is None else round(span.total_seconds() / unit_s, 1)
