"""The tables of the settings of the night. Every key has a safe default, or is required."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from sparcc_pipeline.app.study.config import LanguageCode


def _path(value: Any, info: ValidationInfo) -> Any:
    """Return a path of the settings file; the context is the folder of that file."""
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


class SettingsTable(BaseModel):
    """A table that refuses unknown keys. Its fields are the keys of the file, so it may have more than ten."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Paths(SettingsTable):
    """The folders of the night; relative paths are relative to the settings file.

    Parameters
    ----------
    identity_folder : the identity store: key, identity map, raw and quarantined files; mode 0700
    work_folder : studies, results, reports, log and metrics; holds no identity
    """

    identity_folder: SettingsPath
    work_folder: SettingsPath


class DatabaseSettings(SettingsTable):
    """The ledger.

    Parameters
    ----------
    url : SQLAlchemy URL; None: `ledger.sqlite` in the work folder. The password may be in ~/.pgpass
    patience_seconds : how long to wait for a database that is locked or unavailable
    """

    url: str | None = None
    patience_seconds: Seconds = 120.0


class SiteSettings(SettingsTable):
    """A site that sends studies.

    Parameters
    ----------
    code : the trial's code of the site
    name : its name, as reports show it
    ae_title : application entity title with which it calls; None: it does not send by C-STORE
    tls_name : common name or DNS name in the certificate that it must show (`receive.tls_ca`); None: any that no other
        site names
    inbox : folder into which it drops zips and folders; None: it has none
    manifest : table (CSV or TOML) that assigns studies to participants and visits
    language : language of its reasons and its report
    mail : addresses for its own report
    users : accounts of the reading page (role site) that see the page of this site
    """

    code: Code
    name: str
    ae_title: AeTitle | None = None
    tls_name: str | None = None
    inbox: SettingsPath | None = None
    manifest: SettingsPath
    language: LanguageCode = "en"
    mail: list[str] = []
    users: list[str] = []


class ReceiveSettings(SettingsTable):
    """The DICOM node.

    Parameters
    ----------
    host : address on which it listens
    max_pdu_bytes : largest PDU that a peer may send
    max_instances, max_bytes : limits of one association
    idle_seconds : an association that is silent for so long ends
    tls_certificate, tls_key : PEM files; with both the node accepts TLS only
    tls_ca : PEM file; callers must then show a certificate signed by this authority
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


class IntakeSettings(SettingsTable):
    """Limits of an upload, and when a study is complete.

    Parameters
    ----------
    trial : registration number or name of the trial (64 ASCII characters), written into de-identified images
    quiet_minutes : a study is complete when no file of it came for so long
    max_files, max_bytes, max_file_bytes : limits of one upload, unpacked
    read_border : look for text at the border of the pixels (OCR); needs the program tesseract
    keep_raw_days : how long raw files of finished studies stay in the identity folder; None: for ever
    """

    trial: Annotated[str, Field(pattern=r"^[!-~](?:[ -~]{0,62}[!-~])?$")] = "SPARCC trial"
    quiet_minutes: Minutes = 10.0
    max_files: Count = 5000
    max_bytes: Count = 4 * 2**30
    max_file_bytes: Count = 128 * 2**20
    read_border: bool = False
    keep_raw_days: Count | None = None


class PullSettings(SettingsTable):
    """A PACS from which the intake fetches studies.

    Parameters
    ----------
    site : code of the site of these studies
    pacs : AET@HOST:PORT (C-FIND, and C-MOVE to this program's node) or the URL of its DICOMweb service
    days : fetch studies of the last so many days; None: only by accession
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
            raise ValueError("one of `days` and `accessions` is needed")
        return self


class DeliverSettings(SettingsTable):
    """Where results go; without PACS and folder, a study is delivered once its results are in the work folder.

    Parameters
    ----------
    pacs : AET@HOST:PORT (C-STORE) or the URL of a DICOMweb service
    folder : gets a copy of each result
    source_images : also send the de-identified images that the PACS lacks
    """

    pacs: str | None = None
    folder: SettingsPath | None = None
    source_images: bool = False
    ae_title: AeTitle = "SPARCC"
    timeout_seconds: Seconds = 30.0


class ReportSettings(SettingsTable):
    """The morning report, and the limits of the imaging protocol.

    Parameters
    ----------
    nights : how many nights its plot shows
    least_spacing_mm, most_spacing_mm : limits of the distance of slices
    coverage_mm : least depth of the stack; None: any
    field_strength_tesla : allowed field strengths; empty: any
    t1_expected : a study without T1 is a deviation
    time_zone : IANA name of the zone of times in reports; None: the zone of the machine
    whose_in_browser : coordinators may ask in the browser whose a study is; the server then reads the identity folder
    """

    nights: Annotated[int, Field(ge=1, le=366)] = 30
    least_spacing_mm: float = 3.0
    most_spacing_mm: float = 5.0
    coverage_mm: float | None = None
    field_strength_tesla: list[float] = []
    t1_expected: bool = True
    time_zone: str | None = None
    whose_in_browser: bool = False


class MailSettings(SettingsTable):
    """How to mail the report; without `host` there is no mail.

    Parameters
    ----------
    security : "tls" from the first byte, "starttls", or "none" (loopback only)
    password_file, password_variable : file with the password in its first line, or environment variable with it
    ca_file : PEM file of the authority that signed the server's certificate; None: those of the system
    to : addresses for the report over all sites
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
            raise ValueError("the password may be in a file or in a variable, not in both")
        if self.host is not None and (self.sender is None or not self.to):
            raise ValueError("with a host, `sender` and `to` are needed")
        return self


class WebhookSettings(SettingsTable):
    """Where to post the figures of the report; without `url` there is no post.

    Parameters
    ----------
    url : https, or http to this machine
    form : "figures": the counts as JSON; "text": {"text": ...} as Slack, Teams and Mattermost take it; "msgtype":
        {"msgtype": "text", ...} as WeCom and DingTalk take it
    secret_file : file with a secret in its first line; posts are then signed (HMAC-SHA256 of the body)
    ca_file : PEM file of the authority that signed the server's certificate; None: those of the system
    """

    url: (
        Annotated[str, Field(pattern=r"^(https://\S+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?)$")] | None
    ) = None
    form: Literal["figures", "text", "msgtype"] = "figures"
    secret_file: SettingsPath | None = None
    ca_file: SettingsPath | None = None
    timeout_seconds: Seconds = 30.0


class RunSettings(SettingsTable):
    """How the night works.

    Parameters
    ----------
    workers : processes that score; None: one for each core
    limit_memory : limit for all workers together, such as "4GB"
    scheduler : address of an existing dask cluster, instead of workers on this machine
    lease_seconds : after so long without a renewal, the study of a worker goes to another worker
    attempts : how often a study is tried before it waits for a person
    retry_minutes : wait before the second attempt; doubled for each further one, to at most a day
    poll_seconds : how often `sparcc nightly watch` looks for work
    baseline_visit : code of the visit with which follow-ups are compared
    accept_fat_suppressed, dicom, pdf, lang : as the options of `sparcc batch` and `sparcc score`
    model : as in the settings of `sparcc score`: folder of a bundle or an overlay; empty for the installed bundle
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
    model: str = ""
