"""The settings of the night: one TOML file; what it leaves out is safe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from sparcc_pipeline.app.study.config import LanguageCode, read_toml, settings_error
from sparcc_pipeline.errors import ConfigError


def _path(value: Any, info: ValidationInfo) -> Any:
    """A path of the file; the context is the folder of that file."""
    return Path(info.context or ".") / Path(value).expanduser() if isinstance(value, str) else value


Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
"""A code that is a part of paths."""

AeTitle = Annotated[str, Field(pattern=r"^[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?$")]
"""An application entity title: 1 to 16 characters, no backslash, no space at either end."""

Port = Annotated[int, Field(ge=1, le=65535)]
SettingsPath = Annotated[Path, BeforeValidator(_path)]
Seconds = Annotated[float, Field(gt=0)]
Minutes = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Paths(_Table):
    """Where everything lies; relative ones are relative to the settings file.

    Parameters
    ----------
    identity_folder : the identity store: key, identity map, raw and quarantined files; mode 0700
    work_folder : studies, results, reports, log and metrics; holds no identity
    """

    identity_folder: SettingsPath
    work_folder: SettingsPath


class DatabaseSettings(_Table):
    """The ledger.

    Parameters
    ----------
    url : SQLAlchemy URL; None: `ledger.sqlite` in the work folder. A password may be left to ~/.pgpass
    patience_seconds : how long a database that is locked or gone is waited for
    """

    url: str | None = None
    patience_seconds: Seconds = 120.0


class SiteSettings(_Table):
    """A site that sends studies.

    Parameters
    ----------
    code : the trial's code of the site
    name : its name, as reports show it
    ae_title : application entity title that it calls with; None: it does not send by C-STORE
    inbox : folder that it drops zips and folders into; None: it has none
    manifest : table (CSV or TOML) that says which participant and visit a study is of
    language : in which its reasons and its report are
    mail : where its own report goes
    """

    code: Code
    name: str
    ae_title: AeTitle | None = None
    inbox: SettingsPath | None = None
    manifest: SettingsPath
    language: LanguageCode = "en"
    mail: list[str] = []


class ReceiveSettings(_Table):
    """The DICOM node.

    Parameters
    ----------
    host : address that it listens on; loopback unless said otherwise
    max_pdu_bytes : largest PDU that a peer may send
    max_instances, max_bytes : that one association may send
    idle_seconds : an association that is silent for so long is ended
    tls_certificate, tls_key : PEM files; with both the node speaks TLS only
    tls_ca : PEM file; callers must then show a certificate that it signed
    """

    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AeTitle = "SPARCC"
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=2**20)] = 131072
    max_associations: Annotated[int, Field(ge=1, le=200)] = 20
    max_instances: Count = 5000
    max_bytes: Count = 4 * 2**30
    idle_seconds: Seconds = 60.0
    tls_certificate: SettingsPath | None = None
    tls_key: SettingsPath | None = None
    tls_ca: SettingsPath | None = None


class IntakeSettings(_Table):
    """Limits of an upload, and when it is complete.

    Parameters
    ----------
    trial : registration number or name of the trial (64 ASCII characters), written into de-identified images
    quiet_minutes : no file of a study came for so long
    max_files, max_bytes, max_file_bytes : of one upload, unpacked
    keep_raw_days : how long raw files of finished studies stay in the identity folder; None: for ever
    """

    trial: Annotated[str, Field(pattern=r"^[!-~](?:[ -~]{0,62}[!-~])?$")] = "SPARCC trial"
    quiet_minutes: Minutes = 10.0
    max_files: Count = 5000
    max_bytes: Count = 4 * 2**30
    max_file_bytes: Count = 128 * 2**20
    keep_raw_days: Count | None = None


class PullSettings(_Table):
    """A PACS that studies are fetched from.

    Parameters
    ----------
    site : code of the site whose studies these are
    pacs : AET@HOST:PORT (C-FIND and C-MOVE, to our own node) or the URL of its DICOMweb service
    days : studies of the last so many days; None: only by accession
    accessions : CSV file with a column `accession`; None: only by date
    """

    site: Code
    pacs: str
    ae_title: AeTitle = "SPARCC"
    days: Count | None = None
    accessions: SettingsPath | None = None
    timeout_seconds: Seconds = 60.0

    @model_validator(mode="after")
    def _by_something(self) -> Self:
        if self.days is None and self.accessions is None:
            raise ValueError("one of `days` and `accessions` says which studies to fetch")
        return self


class DeliverSettings(_Table):
    """Where results go; with neither a study is delivered when its results are in the work folder.

    Parameters
    ----------
    pacs : AET@HOST:PORT (C-STORE) or the URL of a DICOMweb service
    folder : gets a copy of each result
    source_images : the de-identified images go too, where the PACS lacks them
    """

    pacs: str | None = None
    folder: SettingsPath | None = None
    source_images: bool = False
    ae_title: AeTitle = "SPARCC"
    timeout_seconds: Seconds = 30.0


class ReportSettings(_Table):
    """The morning's report, and what counts as a deviation from the imaging protocol.

    Parameters
    ----------
    nights : how many nights its plot shows
    least_spacing_mm, most_spacing_mm : distance of slices
    coverage_mm : least depth of the stack; None: any
    field_strength_tesla : allowed ones; empty: any
    t1_expected : a study without T1 is a deviation
    time_zone : IANA name of the zone that reports show times in; None: that of the machine
    """

    nights: Annotated[int, Field(ge=1, le=366)] = 30
    least_spacing_mm: float = 3.0
    most_spacing_mm: float = 5.0
    coverage_mm: float | None = None
    field_strength_tesla: list[float] = []
    t1_expected: bool = True
    time_zone: str | None = None


class MailSettings(_Table):
    """How the report is mailed; without `host` it is not.

    Parameters
    ----------
    security : "tls" from the first byte, "starttls", or "none" (loopback only)
    password_file, password_variable : the file whose first line, or the environment variable that, is the password
    ca_file : PEM file of the authority that signed the server's certificate; None: those of the system
    to : who gets the report over all sites
    from_hour : no mail before this hour of the day, in the zone of the report
    """

    host: str | None = None
    port: Port = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: str | None = None
    password_file: SettingsPath | None = None
    password_variable: str | None = None
    ca_file: SettingsPath | None = None
    sender: str | None = None
    to: list[str] = []
    from_hour: Annotated[int, Field(ge=0, le=23)] = 0
    timeout_seconds: Seconds = 30.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.password_file is not None and self.password_variable is not None:
            raise ValueError("the password is in a file or in a variable, not in both")
        if self.host is not None and (self.sender is None or not self.to):
            raise ValueError("with a host, `sender` and `to` are needed")
        return self


class RunSettings(_Table):
    """How the night works.

    Parameters
    ----------
    workers : processes that score; None: one a core
    limit_memory : for all of them together, such as "4GB"
    scheduler : address of an existing dask cluster instead
    lease_seconds : a worker that was silent for so long has died, and its study is given to another
    attempts : how often a study is tried before it waits for a person
    retry_minutes : wait before the second attempt; doubled with each further one, to at most a day
    poll_seconds : how often `sparcc nightly watch` looks for work
    baseline_visit : code of the visit that follow-ups are compared with
    accept_fat_suppressed, dicom, pdf, lang : as the options of `sparcc batch` and `sparcc score`
    """

    workers: Annotated[int | None, Field(ge=1, le=1024)] = None
    limit_memory: str | None = None
    scheduler: str | None = None
    lease_seconds: Annotated[float, Field(ge=1)] = 600.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    retry_minutes: Minutes = 10.0
    poll_seconds: Seconds = 30.0
    baseline_visit: Code = "baseline"
    accept_fat_suppressed: bool = False
    dicom: bool = True
    pdf: bool = False
    lang: LanguageCode = "en"


class NightlySettings(_Table):
    """All tables of the file."""

    paths: Paths
    database: DatabaseSettings = DatabaseSettings()
    site: list[SiteSettings] = Field(min_length=1)
    receive: ReceiveSettings = ReceiveSettings()
    intake: IntakeSettings = IntakeSettings()
    pull: list[PullSettings] = []
    deliver: DeliverSettings = DeliverSettings()
    report: ReportSettings = ReportSettings()
    mail: MailSettings = MailSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        codes = [site.code.lower() for site in self.site]
        titles = [site.ae_title for site in self.site if site.ae_title is not None]
        if len(set(codes)) < len(codes) or len(set(titles)) < len(titles):
            raise ValueError("each site needs a code and an ae_title of its own")
        if unknown := {pull.site.lower() for pull in self.pull} - set(codes):
            raise ValueError(f"a pull names a site that is not listed: {', '.join(sorted(unknown))}")
        identity, work = self.paths.identity_folder, self.paths.work_folder
        if identity == work or identity in work.parents or work in identity.parents:
            raise ValueError("identity_folder and work_folder must lie apart")
        if (self.receive.tls_certificate is None) != (self.receive.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        return self

    @property
    def database_url(self) -> str:
        """URL of the ledger."""
        return self.database.url or f"sqlite:///{self.paths.work_folder / 'ledger.sqlite'}"

    def site_of(self, code: str) -> SiteSettings:
        """The site with this code.

        Raises
        ------
        ConfigError : there is none
        """
        for site in self.site:
            if site.code == code:
                return site
        raise ConfigError(f"expected a [[site]] with code {code!r} in the settings, found none; add it")


def load_settings(file: Path) -> NightlySettings:
    """The settings of a file; its relative paths are relative to it.

    Raises
    ------
    ConfigError : it is missing or no TOML, a key is unknown, or a value is not allowed; names file and key
    """
    content = read_toml(file)
    try:
        return NightlySettings.model_validate(content, context=file.resolve().parent)
    except ValidationError as error:
        raise settings_error(error, file) from error
