"""Every error of the pipeline, grouped by who can mend it.

Wording: what was expected, what was found, where, what to do next. Never a patient's name.
"""

from __future__ import annotations

from typing import ClassVar


class SparccError(Exception):
    """Root of all errors raised on purpose; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class ConfigError(SparccError):
    """The settings or the command line are wrong: the user mends them."""

    exit_code = 2


class BlindingError(SparccError):
    """Something that would tell a blinded reader or assessor what must stay hidden."""

    exit_code = 2


class InputError(SparccError):
    """The data must be mended by the site that sent it."""

    exit_code = 3


class SeriesNotFoundError(InputError):
    """No readable image, or no series of the kind that is needed."""


class AmbiguousSeriesError(InputError):
    """Several series or acquisitions where one was expected."""


class NotStirError(InputError):
    """The series is not STIR (or not one that was accepted)."""


class IncompleteSeriesError(InputError):
    """Slices are missing, duplicated or too few."""


class GeometryError(InputError):
    """Orientation, spacing or size is inconsistent or missing."""


class UnreadablePixelsError(InputError):
    """A file or its pixels cannot be decoded."""


class UnsafeArchiveError(InputError):
    """An archive that would write outside its folder, or is too large to unpack."""


class ClinicalValueError(InputError):
    """A value of a visit, a laboratory or a questionnaire that cannot be right."""


class UnscorableError(SparccError):
    """Valid data to which the method does not apply."""

    exit_code = 4


class NotSemicoronalError(UnscorableError):
    """The stack is not (semi)coronal."""


class NotSacroiliacError(UnscorableError):
    """The images do not show the sacroiliac joints."""


class TooFewSlicesError(UnscorableError):
    """Fewer than six slices, or fewer than six that hold the joint."""


class JointNotVisibleError(UnscorableError):
    """A sacroiliac joint was not found."""


class ReferenceSignalError(UnscorableError):
    """A reference signal that a rule needs could not be measured."""


class RegistrationError(SparccError):
    """Two studies could not be aligned."""

    exit_code = 4


class ModelError(SparccError):
    """The model bundle is missing, changed, or does not keep its contract."""

    exit_code = 5


class OutputError(SparccError):
    """Results could not be written: disk, rights, a folder that is in use."""

    exit_code = 6
    retryable = True
