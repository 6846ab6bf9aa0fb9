"""The desk of the night for a page in the browser: what waits and why, and the decisions of a coordinator.

Each decision is the one of the command line (`sparcc nightly release`, `reject`, `retry`, `supersede`, `whose`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion, Upload
from sparcc_pipeline.app.nightly.intake.steps import whose
from sparcc_pipeline.app.nightly.morning.ledger import morning_of
from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.page import morning_view, night_plot
from sparcc_pipeline.app.nightly.settings import NightlySettings, load_settings
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.errors import ConfigError

PATIENCE_S: Final = 5.0
"""How long a page waits for a ledger that does not answer; a night waits for minutes."""

SHOWN_IN_WORK: Final = 50

PLOT_AGE: Final = timedelta(seconds=60)


class NightDesk:
    """One night, by its settings file, which is read for each call: a change of a site needs no restart.

    Nothing is opened before the first call: a ledger that is down must not stop the reading page.
    """

    def __init__(self, file: Path, clock: Callable[[], datetime]) -> None:
        self._file, self._clock = file, clock
        self._plots: dict[tuple[str, str | None], tuple[datetime, str | None]] = {}

    @property
    def shows_identity(self) -> bool:
        """True if the settings let coordinators ask in the browser whose a study is."""
        return self._settings.report.whose_in_browser

    def site_of(self, user: str) -> str | None:
        """Return the code of the site of an account of the reading page; None if no site names it."""
        return next((site.code for site in self._settings.site if user in site.users), None)

    def newest(self, site: str | None) -> int:
        """Return a number that changes whenever something happens, at one site if it is given."""
        return self._ledger.newest_event(site)

    def view(self, words: Language, site: str | None) -> Mapping[str, Any]:
        """Return what the page shows now: of one site if it is given, else of all. No score is in it.

        Raises
        ------
        ConfigError : the settings are not valid
        OutputError : the ledger does not answer
        """
        settings, newest = self._settings, self.newest(site)
        morning = morning_of(self._ledger, settings, self._clock(), tuple(self._ledger.problems()))
        chosen = None if site is None else next(each for each in morning.sites if each.code == site)
        shown = morning if chosen is None else morning.of_site(chosen.code)
        view = morning_view(shown, words, chosen)
        in_work = view["in_work"]
        return view | {
            "newest": newest,
            "plot": self._plot(shown, words, site),
            "in_work": in_work[:SHOWN_IN_WORK],
            "in_work_count": len(in_work),
        }

    def release(self, study: str, reason: str, by: str) -> None:
        """Release a study or an upload from quarantine (errors of all decisions: ConfigError if it does not fit)."""
        release(self._ledger, study, reason, by)

    def reject(self, study: int, reason: str, by: str) -> None:
        """Reject a study that is in quarantine or failed."""
        self._ledger.refuse(study, reason, by)

    def retry(self, study: int, by: str) -> None:
        """Try a failed or rejected study again at the next run."""
        self._ledger.retry(study, by)

    def supersede(self, old: int, new: int, by: str) -> None:
        """Let one of two studies of a visit replace the other."""
        self._ledger.supersede(old, new, by)

    def whose(self, study: int) -> list[tuple[str, str, str]]:
        """Return (patient identifier, accession number, study date) of a study.

        Raises
        ------
        ConfigError : no such study, not allowed by the settings, or the identity folder is closed to this user
        """
        if not self.shows_identity:
            raise ConfigError("expected whose_in_browser = true in [report], found false; use sparcc nightly whose")
        return whose(self._settings, self._ledger.version(study))

    @property
    def _settings(self) -> NightlySettings:
        return load_settings(self._file)

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(open_database(self._settings.database_url), self._clock, PATIENCE_S)

    def _plot(self, morning: Morning, words: Language, site: str | None) -> str | None:
        """Return the plot of the nights, drawn at most `PLOT_AGE` ago: drawing takes longer than the page."""
        known = self._plots.get((words.code, site))
        if known is None or known[1] is None or abs(morning.made_at - known[0]) > PLOT_AGE:
            known = morning.made_at, night_plot(morning, words)
            self._plots[words.code, site] = known
        return known[1]


def release(ledger: Ledger, study: str, reason: str, by: str) -> StudyVersion | Upload:
    """Release a study, by its number, or an upload, by its ID, from quarantine.

    Raises
    ------
    ConfigError : there is none, or it does not wait
    """
    return ledger.release(int(study), reason, by) if study.isdecimal() else ledger.release_upload(study, reason, by)
