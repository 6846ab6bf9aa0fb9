"""The settings of the night: one TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from sparcc_pipeline.app.nightly.settings_tables import (
    DatabaseSettings,
    DeliverSettings,
    IntakeSettings,
    MailSettings,
    Paths,
    PullSettings,
    ReceiveSettings,
    ReportSettings,
    RunSettings,
    SettingsTable,
    SiteSettings,
    WebhookSettings,
)
from sparcc_pipeline.app.study.config import read_toml, settings_error
from sparcc_pipeline.errors import ConfigError


class NightlySettings(SettingsTable):
    """All tables of the settings file."""

    paths: Paths
    database: DatabaseSettings = DatabaseSettings()
    site: list[SiteSettings] = Field(min_length=1)
    receive: ReceiveSettings = ReceiveSettings()
    intake: IntakeSettings = IntakeSettings()
    pull: list[PullSettings] = []
    deliver: DeliverSettings = DeliverSettings()
    report: ReportSettings = ReportSettings()
    mail: MailSettings = MailSettings()
    webhook: WebhookSettings = WebhookSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        codes = [site.code.lower() for site in self.site]
        titles = [site.ae_title for site in self.site if site.ae_title is not None]
        if len(set(codes)) < len(codes) or len(set(titles)) < len(titles):
            raise ValueError("each site needs a code and an ae_title of its own")
        users = [user for site in self.site for user in site.users]
        if len(set(users)) < len(users):
            raise ValueError("an account of the reading page belongs to one site")
        if unknown := {pull.site.lower() for pull in self.pull} - set(codes):
            raise ValueError(f"a pull names a site that is not listed: {', '.join(sorted(unknown))}")
        identity, work = self.paths.identity_folder, self.paths.work_folder
        if identity == work or identity in work.parents or work in identity.parents:
            raise ValueError("identity_folder and work_folder must be apart: neither may hold the other")
        if (self.receive.tls_certificate is None) != (self.receive.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        return self

    @property
    def database_url(self) -> str:
        """URL of the ledger."""
        return self.database.url or f"sqlite:///{self.paths.work_folder / 'ledger.sqlite'}"

    def site_of(self, code: str) -> SiteSettings:
        """Return the site with this code.

        Raises
        ------
        ConfigError : no site has this code
        """
        for site in self.site:
            if site.code == code:
                return site
        raise ConfigError(f"expected a [[site]] with code {code!r} in the settings, found none; add it")


def load_settings(file: Path) -> NightlySettings:
    """Return the settings of a file; its relative paths are relative to it.

    Raises
    ------
    ConfigError : the file is missing or no TOML, a key is unknown, or a value is not allowed; names file and key
    """
    content = read_toml(file)
    try:
        return NightlySettings.model_validate(content, context=file.resolve().parent)
    except ValidationError as error:
        raise settings_error(error, file) from error
