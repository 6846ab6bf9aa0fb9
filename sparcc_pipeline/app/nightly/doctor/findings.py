"""The findings of the checks of `sparcc doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.errors import ConfigError, OutputError, SparccError


class Level(Enum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One line: the finding and, unless it is ok, what to do.

    Parameters
    ----------
    by_settings : for a failure: the settings or rights must be corrected, rather than a disk or a network
    """

    level: Level
    text: str
    by_settings: bool = True

    def as_error(self) -> SparccError:
        """Return the error with which a command ends."""
        return ConfigError(self.text) if self.by_settings else OutputError(self.text)
