"""The protocol file of a trial (TOML)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sparcc_pipeline.app.study.config import read_toml
from sparcc_pipeline.app.study.resources import config_file
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.mapping import protocol_from

SHIPPED_PROTOCOL: Final = Path("protocols") / "chictr2600118800.toml"


def load_protocol(file: Path | None = None) -> Protocol:
    """Return the protocol of a file, by default that of the installation.

    Raises
    ------
    ConfigError : the file is missing or no TOML, a key is unknown, or a value is not allowed
    """
    source = config_file(SHIPPED_PROTOCOL) if file is None else file
    return protocol_from(read_toml(source), source.name)
