"""What a check of `sparcc doctor` tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.errors import ConfigError, OutputError, SparccError


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One line: what was found and, unless it is fine, what to do.

    Parameters
    ----------
    by_settings : of a failure: the settings or rights are to be mended, rather than a disk or a network
    """

    level: Level
    text: str
    by_settings: bool = True

    def as_error(self) -> SparccError:
        """The error that a command ends with."""
        return ConfigError(self.text) if self.by_settings else OutputError(self.text)
