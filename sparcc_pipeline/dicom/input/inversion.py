"""Inversion and short times as the header of an image states them."""

from __future__ import annotations

import re
from typing import Final

from sparcc_pipeline.dicom.input.protocol import Protocol

T1_ECHO_TIME_MS: Final = 30.0
T1_REPETITION_TIME_MS: Final = 1500.0
"""Below both, a spin echo is T1-weighted."""

INVERSION_NAME: Final = re.compile(r"tir|(?<![a-z])ir(?![a-z])|irfse|irtse|(fse|tse)[-_]?xl?[-_]?ir|fseir|tseir|spcir")
"""Names of sequences with an inversion: Siemens *tir2d1 and *spcir, GE and others IR-FSE."""

INVERSION_OPTIONS: Final = frozenset({"IR", "IR_GEMS", "STIR", "STIR_GEMS", "TIR"})
"""Values of Scan Options that state an inversion; GE writes IR_GEMS beside a Scanning Sequence of SE."""

INVERSION_WORD: Final = re.compile(r"(?<![A-Z])(S?T?IR|IR_?(SE|TSE|FSE)|(SE|TSE|FSE)_?IR)(?![A-Z])")
"""An inversion in a Scanning Sequence that is not one of the defined terms."""

FLUID_OPTION: Final = "FLAIR"
"""Part of a value of Scan Options that states FLAIR, such as T2FLAIR_GEMS."""


def states_inversion(protocol: Protocol) -> bool:
    """Return True if the header states an inversion pulse."""
    return (
        names_inversion(protocol)
        or protocol.inversion_recovery is True
        or (protocol.inversion_recovery is None and (protocol.inversion_time_ms or 0) > 0)
        or protocol.acquisition_contrast in {"STIR", "FLUID_ATTENUATED"}
    )


def names_inversion(protocol: Protocol) -> bool:
    """Return True if a sequence or its options state an inversion (not just a time), or its name does undisputed."""
    return (
        any(INVERSION_WORD.search(word) for word in protocol.scanning_sequence)
        or bool(INVERSION_OPTIONS & set(protocol.scan_options))
        or any(FLUID_OPTION in option for option in protocol.scan_options)
        or (INVERSION_NAME.search(protocol.sequence_name) is not None and not _disputes_inversion(protocol))
    )


def _disputes_inversion(protocol: Protocol) -> bool:
    """Return True if the rest of the header fits a spin echo with fat saturation or short times."""
    return "SE" in protocol.scanning_sequence and (has_short_times(protocol) or "FS" in protocol.scan_options)


def has_short_times(protocol: Protocol) -> bool:
    """Return True if both times are those of a T1-weighted spin echo."""
    return is_below(protocol.echo_time_ms, T1_ECHO_TIME_MS) and is_below(
        protocol.repetition_time_ms, T1_REPETITION_TIME_MS
    )


def is_below(value: float | None, limit: float) -> bool:
    """Return True if a value is stated and below the limit."""
    return value is not None and value < limit
