"""The page of a morning report; `model` decides what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from sparcc_pipeline import __version__
from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.plot import nights_plot
from sparcc_pipeline.app.nightly.morning.studies import Counts, Delivery, Reason, Site, Standing, StudyNow
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import template
from sparcc_pipeline.app.report.plots import picture
from sparcc_pipeline.app.study.clock import utc_text
from sparcc_pipeline.message import Message

FIRST_SHOWN: Final = 6
"""So many studies of each group are at the top of the page; the others follow below."""

WHOSE, RELEASE, REJECT, RETRY, SUPERSEDE = "whose", "release", "reject", "retry", "supersede"

STANDINGS: Final[Mapping[Standing, Message]] = {
    Standing.IN_WORK: Message("not processed yet"),
    Standing.SCORED: Message("scored"),
    Standing.UNSCORABLE: Message("method does not apply"),
    Standing.QUARANTINED: Message("in quarantine"),
    Standing.REJECTED: Message("rejected"),
    Standing.RETRYING: Message("tried again by itself"),
    Standing.GIVEN_UP: Message("failed"),
}

LINK_NAMES: Final[Mapping[str, Message]] = {
    "report.html": Message("report"),
    "change.html": Message("change since baseline"),
}

_GROUPS: Final = (
    (Standing.QUARANTINED, Message("Decide: in quarantine")),
    (Standing.REJECTED, Message("Ask the site to send again")),
    (Standing.GIVEN_UP, Message("Correct: failed for good")),
)
_SITE_GROUPS: Final = (
    (Standing.QUARANTINED, Message("In quarantine until corrected, or until the coordinator decides")),
    (Standing.REJECTED, Message("Please send again")),
    (Standing.GIVEN_UP, Message("Nothing to do for you: the program failed")),
)


def morning_page(morning: Morning, words: Language, links: Mapping[str, str], site: Site | None = None) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    links : other pages by their names; for the coordinator's page only
    site : the site of the page; None: the coordinator's page, with all sites and with commands
    """
    scored = [] if site is not None else [_linked(s, morning, words, site) for s in morning.scored()]
    return template("morning.html", words).render(
        **morning_view(morning, words, site),
        first_shown=FIRST_SHOWN,
        scored=scored,
        plot=night_plot(morning, words),
        links=links,
        version=__version__,
        created_at=utc_text(morning.made_at),
    )


def morning_view(morning: Morning, words: Language, site: Site | None = None) -> dict[str, Any]:
    """Return what a page shows of a morning, without plot, scores and links: for the report and for the browser."""
    counts = morning.counts()
    stuck = [] if site is not None else [_shown_delivery(s, morning, words) for s in morning.stuck_deliveries()]
    return {
        "site": site,
        "date": _local(morning.made_at, morning, "%Y-%m-%d"),
        "began": _local(morning.began, morning),
        "ended": _local(morning.made_at, morning),
        "zone": morning.made_at.astimezone(morning.zone).strftime("%Z (UTC%z)"),
        "counts": counts,
        "figures": _figures(counts, words),
        "rows": [_site_row(each, morning.of_site(each.code).counts(), words) for each in morning.sites],
        "groups": _groups(morning, words, site),
        "needing": counts.needs_attention + len(stuck),
        "nights": morning.nights_shown,
        "stuck": stuck,
        "problems": morning.problems,
        "deviating": [{**_shown(s, morning, words, site), "reasons": ()} for s in morning.deviating()],
        "not_compared": [
            {**_shown(s, morning, words, site), "reasons": [s.not_compared], "deviations": ()}
            for s in morning.not_compared()
        ],
        "without_score": [{**_shown(s, morning, words, site), "deviations": ()} for s in morning.without_score()],
        "in_work": [_shown(s, morning, words, site) for s in morning.in_work()],
    }


def _groups(morning: Morning, words: Language, site: Site | None) -> list[dict[str, Any]]:
    """Return the studies that need attention, in their groups."""
    return [
        {"standing": standing.value, "name": name, "studies": [_shown(s, morning, words, site) for s in found]}
        for standing, name in (_GROUPS if site is None else _SITE_GROUPS)
        if (found := [s for s in morning.needing_attention() if s.standing is standing])
    ]


def summary_text(morning: Morning, words: Language) -> str:
    """Return the report in a few lines for a mail: figures, and the first studies that need attention."""
    counts = morning.counts()
    lines = [
        *(words.sentence(problem) for problem in morning.problems),
        words.say("Night until {ended}", ended=_local(morning.made_at, morning)),
        "",
        *(f"{words.say(name)}: {value}" for name, value in _figures(counts, words)),
    ]
    for standing, name in _GROUPS:
        found = [s for s in morning.needing_attention() if s.standing is standing]
        if found:
            lines += ["", f"{words.say(name)} ({len(found)})"]
            lines += [f"- {_label(s, words)}: {_reason_words(s.reasons, words)}" for s in found[:FIRST_SHOWN]]
            if len(found) > FIRST_SHOWN:
                lines.append(words.say("- and {count} more in the page", count=len(found) - FIRST_SHOWN))
    lines += ["", words.say("Research use only. Not for diagnosis or treatment.")]
    return "\n".join(lines) + "\n"


def duration(span: timedelta | None, words: Language) -> str:
    """Return a span in minutes, hours or days."""
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
        "actions": [] if site is not None else actions_for(study),
        "rivals": rivals_of(study),
    }


def _linked(study: StudyNow, morning: Morning, words: Language, site: Site | None) -> dict[str, Any]:
    """Return a scored study with links from the folder of the report, which is two below the work folder."""
    links = [(LINK_NAMES[place.rpartition("/")[2]], f"../../{quote(place)}") for place in study.links]
    return {**_shown(study, morning, words, site), "links": links}


def night_plot(morning: Morning, words: Language) -> str | None:
    """Return the plot of the last nights as a data URL; None if nothing came in them."""
    nights = morning.nights()
    if not any(night.received for night in nights):
        return None
    return picture(nights_plot(nights, morning.zone, words))


def _for_whom(reason: Reason, study: StudyNow, site: Site | None) -> Reason:
    """Return the reason for a reader: a site has nothing to do if the program failed, and sees no path of the server.

    A sentence of the program is English: a page in another language leaves it out.
    """
    if site is None:
        return reason
    quoted = "" if site.language != "en" or "/" in reason.quoted else reason.quoted
    return replace(reason, quoted=quoted, remedy=None if study.standing is Standing.GIVEN_UP else reason.remedy)


def _shown_delivery(study: StudyNow, morning: Morning, words: Language) -> dict[str, Any]:
    given_up = study.delivery is Delivery.GIVEN_UP
    return {
        **_shown(study, morning, words, None),
        "reasons": [] if study.delivery_reason is None else [study.delivery_reason],
        "next_try": None if study.next_try is None or given_up else _local(study.next_try, morning),
        "commands": [f"sparcc nightly retry {study.study}"] if given_up else [],
        "actions": [RETRY] if given_up else [],
    }


def actions_for(study: StudyNow) -> list[str]:
    """Return the decisions that fit the standing of a study, by the names of their commands."""
    match study.standing:
        case Standing.QUARANTINED | Standing.REJECTED if study.is_upload:
            return [RELEASE]
        case Standing.QUARANTINED if study.waits_for_manifest:
            return [WHOSE, REJECT]
        case Standing.QUARANTINED:
            return [WHOSE, SUPERSEDE if rivals_of(study) else RELEASE, REJECT]
        case Standing.REJECTED:
            return [WHOSE, RETRY]
        case Standing.GIVEN_UP:
            return [RETRY, REJECT]
        case _:
            return []


def rivals_of(study: StudyNow) -> tuple[int, ...]:
    """Return the other studies of the same visit, for a study that waits because of them."""
    found = (reason.what.fields.get("others", ()) for reason in study.reasons if isinstance(reason.what, Message))
    return tuple(int(other) for others in found for other in others)


def _commands(study: StudyNow) -> list[str]:
    """Return the commands that a coordinator may type for a study."""
    if study.standing is Standing.REJECTED:
        return []
    commands = {
        WHOSE: f"sparcc nightly whose {study.study}",
        RELEASE: f'sparcc nightly release {study.study} --by NAME --reason "..."',
        SUPERSEDE: f"sparcc nightly supersede {rivals_of(study)[0] if rivals_of(study) else 'OLD'} {study.study}",
        RETRY: f"sparcc nightly retry {study.study}",
    }
    return [commands[action] for action in actions_for(study) if action in commands]


def _label(study: StudyNow, words: Language, *, with_site: bool = True) -> str:
    """Return participant and visit, or a text for a study without them."""
    site = f"{study.site} · " if with_site else ""
    if study.participant is None:
        return f"{site}{words.say('not assigned to a participant')}"
    return f"{site}{study.participant}" + (f" · {study.visit}" if study.visit else "")


def _reason_words(reasons: Iterable[Reason], words: Language) -> str:
    parts = [words.say(r.what) + (f" -> {words.say(r.remedy)}" if r.remedy is not None else "") for r in reasons]
    return "; ".join(parts)


def _local(moment: datetime, morning: Morning, form: str = "%Y-%m-%d %H:%M") -> str:
    return moment.astimezone(morning.zone).strftime(form)
