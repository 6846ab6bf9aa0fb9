"""The settings of a run: those of `configs/pipeline.toml`, overridden by a user's file and the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sparcc_pipeline.app.study.resources import default_settings_file
from sparcc_pipeline.errors import ConfigError

Engine = Literal["onnx", "openvino", "torch"]
LanguageCode = Literal["en", "zh"]


class PipelineConfig(BaseModel):
    """Engineering choices; all defaults are in `configs/pipeline.toml`.

    Parameters
    ----------
    engine : engine that runs the networks
    threads : processor threads of the engine
    lang : language of the report pages and their pictures
    dicom_quadrants : DICOM segmentations also hold the quadrants
    dicom_pdf : DICOM results also hold the report as Encapsulated PDF
    dicom_presentation : DICOM results also hold presentation states
    page_date, page_accession : pages show the day of the images, and the AccessionNumber
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    engine: Engine
    threads: Annotated[int, Field(ge=1, le=64)]
    lang: LanguageCode
    dicom_quadrants: bool
    dicom_pdf: bool
    dicom_presentation: bool
    page_date: bool
    page_accession: bool


def load_config(file: Path | None = None) -> PipelineConfig:
    """Return the settings of the installation, overridden by those of `file`.

    Raises
    ------
    ConfigError : a file is missing or no TOML, a key is unknown, or a value is not allowed
    """
    settings = _validated(read_toml(default_settings_file()), default_settings_file())
    if file is None:
        return settings
    return _validated({**settings.model_dump(), **read_toml(file)}, file)


def resolve_config(file: Path | None, engine: str | None, lang: str | None = None) -> PipelineConfig:
    """Return the settings of the installation, overridden by `file`, then by `--engine` and `--lang`.

    Raises
    ------
    ConfigError : see `load_config`
    """
    config = load_config(file)
    given = {name: value for name, value in (("engine", engine), ("lang", lang)) if value is not None}
    return PipelineConfig.model_validate({**config.model_dump(), **given})


def read_toml(file: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    ConfigError : it is missing or no TOML
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected settings in {file}, found no readable text file; check the path") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"expected TOML in {file}, found an error: {error}; correct that line") from error


def settings_error(error: ValidationError, file: Path, known: Iterable[str] = ()) -> ConfigError:
    """Return the first fault that pydantic found in a settings file as one sentence.

    Parameters
    ----------
    known : the keys that are allowed, where there are few enough to list them
    """
    first = error.errors(include_url=False)[0]
    key, words = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        allowed = f"only the keys {listed}" if (listed := ", ".join(known)) else "only known keys"
        return ConfigError(f"expected {allowed} in {file}, found {key!r}; remove or rename it")
    if first["type"] == "missing":
        return ConfigError(f"expected the key {key!r} in {file}, found none; add it")
    if isinstance(first["input"], dict):
        return ConfigError(f"expected settings that fit together in {file}, found in {key or 'it'!r}: {words}")
    return ConfigError(f"expected a valid {key!r} in {file}, found {first['input']!r}: {words}; change it")


def _validated(content: dict[str, Any], file: Path) -> PipelineConfig:
    try:
        return PipelineConfig.model_validate(content)
    except ValidationError as error:
        raise settings_error(error, file, PipelineConfig.model_fields) from error
