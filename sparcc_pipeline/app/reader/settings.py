"""Settings of the reading page: `configs/reader.toml`, with the keys of a user's file over it.

Contents: `ReaderSettings`, `load_settings`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparcc_pipeline.app.study.config import read_toml, settings_error
from sparcc_pipeline.app.study.resources import config_file
from sparcc_pipeline.errors import ConfigError

SETTINGS_FILE: Final = "reader.toml"
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

SecondOpinion = Literal["each", "all", "off"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Paths(_Section):
    """Paths; `store_folder` holds pixels, the machine's results, the secret key and the head of the trail."""

    store_folder: str
    protocol: str


class Database(_Section):
    """URL of the ledger's database; empty for SQLite in the store folder."""

    url: str


class Server(_Section):
    """Address of the server; `https` for a server behind a proxy with TLS."""

    host: str
    port: Annotated[int, Field(ge=0, le=65535)]
    https: bool

    @model_validator(mode="after")
    def _plain_http_stays_here(self) -> Self:
        if not self.https and self.host not in LOOPBACK:
            raise ValueError("passwords would be sent unencrypted: set https = true behind a proxy with TLS")
        return self


class Session(_Section):
    """Sign-in: duration, lock after wrong passwords, costs of password hashing (argon2id)."""

    idle_minutes: Annotated[int, Field(ge=1, le=1440)]
    longest_hours: Annotated[int, Field(ge=1, le=168)]
    failures: Annotated[int, Field(ge=1, le=100)]
    lockout_minutes: Annotated[int, Field(ge=1, le=1440)]
    shortest_password: Annotated[int, Field(ge=8, le=128)]
    argon2_memory_kib: Annotated[int, Field(ge=64, le=4194304)]
    argon2_passes: Annotated[int, Field(ge=1, le=20)]


class Reading(_Section):
    """Order of cases, blind repeats, and the time of the machine's second opinion."""

    seed: Annotated[int, Field(ge=0)]
    repeat_share: Annotated[float, Field(ge=0, le=1)]
    second_opinion: SecondOpinion

    @model_validator(mode="after")
    def _repeats_stay_blind(self) -> Self:
        if self.second_opinion == "each" and self.repeat_share > 0:
            raise ValueError('second_opinion = "each" needs repeat_share = 0: a repeated case would not be blind')
        return self


class Calibration(_Section):
    """The training set before the real cases: number of visits that count, and the ICCs to pass."""

    required: bool
    visits: Annotated[int, Field(ge=3, le=500)]
    icc: Annotated[float, Field(ge=-1, le=1)]
    icc_change: Annotated[float, Field(ge=-1, le=1)]


class Structural(_Section):
    """The optional second form on T1: differences of two readers above which a third reads."""

    limit_fat: Annotated[int, Field(ge=0, le=40)]
    limit_erosion: Annotated[int, Field(ge=0, le=40)]
    limit_backfill: Annotated[int, Field(ge=0, le=20)]
    limit_ankylosis: Annotated[int, Field(ge=0, le=20)]


class ReaderSettings(_Section):
    """All settings; relative paths are relative to `folder`."""

    paths: Paths
    database: Database
    server: Server
    session: Session
    reading: Reading
    calibration: Calibration
    structural: Structural
    folder: Path = Field(default=Path(), exclude=True)

    @property
    def store_folder(self) -> Path:
        """The folder of pixels, results, key and head."""
        return self.folder / self.paths.store_folder

    @property
    def protocol_file(self) -> Path | None:
        """The protocol file of the trial; None for the installed one."""
        return self.folder / self.paths.protocol if self.paths.protocol else None

    @property
    def database_url(self) -> str:
        """The URL of the ledger's database."""
        return self.database.url or f"sqlite:///{self.store_folder.resolve() / 'ledger.sqlite'}"


def load_settings(file: Path | None = None) -> ReaderSettings:
    """Return the installed settings, with the keys of `file` over them.

    Raises
    ------
    ConfigError : a file is missing or not TOML, a key is unknown, or a value is not allowed; names file and key
    """
    default = config_file(Path(SETTINGS_FILE))
    content = read_toml(default)
    if file is None:
        return _validated(content, default, Path.cwd())
    return _validated(_merged(content, read_toml(file)), file, file.resolve().parent)


def _merged(default: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return `default` with the keys of `given`, section by section."""
    both = dict(default)
    for name, value in given.items():
        known = both.get(name)
        both[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return both


def _validated(content: dict[str, Any], file: Path, folder: Path) -> ReaderSettings:
    try:
        if "folder" in content:
            raise ConfigError(f"expected only known keys in {file}, found 'folder'; remove it")
        return ReaderSettings.model_validate(content).model_copy(update={"folder": folder})
    except ValidationError as error:
        raise settings_error(error, file) from error
