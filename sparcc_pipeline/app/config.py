"""The settings of a run: `configs/pipeline.toml`, a user's file over it, the command line over both."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sparcc_pipeline.app.language import LanguageCode
from sparcc_pipeline.app.resources import default_settings_file
from sparcc_pipeline.errors import ConfigError

Engine = Literal["onnx", "torch"]


class PipelineConfig(BaseModel):
    """Engineering choices; no default lives in the code.

    Parameters
    ----------
    engine : what runs the networks
    threads : processor threads of the engine
    lang : language of the report pages and their pictures
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    engine: Engine
    threads: Annotated[int, Field(ge=1, le=64)]
    lang: LanguageCode


def load_config(file: Path | None = None) -> PipelineConfig:
    """The settings that come with the installation, with those of `file` over them.

    Raises
    ------
    ConfigError : a file is missing or no TOML, a key is unknown, or a value is not allowed; names file and key
    """
    settings = _validated(read_toml(default_settings_file()), default_settings_file())
    if file is None:
        return settings
    return _validated({**settings.model_dump(), **read_toml(file)}, file)


def read_toml(file: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises
    ------
    ConfigError : it is missing or no TOML; names the file and the line
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected settings in {file}, found no readable text file; check the path") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"expected TOML in {file}, found an error: {error}; mend that line") from error


def _validated(content: dict[str, Any], file: Path) -> PipelineConfig:
    try:
        return PipelineConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(PipelineConfig.model_fields)
            raise ConfigError(
                f"expected only the keys {known} in {file}, found {key!r}; remove or rename it"
            ) from error
        raise ConfigError(
            f"expected a valid {key!r} in {file}, found {first['input']!r}: {first['msg']}; change it"
        ) from error
