"""Every error of the pipeline, grouped by who can correct it.

A message gives the expected value, the value found, the place and the next step. It never holds a patient's name.
"""

from __future__ import annotations

from typing import ClassVar


class SparccError(Exception):
    """Base class of all errors of the pipeline; the command line exits with `exit_code`."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class ConfigError(SparccError):
    """The settings or the command line are wrong; the user corrects them."""

    exit_code = 2


class BlindingError(SparccError):
    """An action that would show a blinded reader or assessor what must stay hidden."""

    exit_code = 2


class InputError(SparccError):
    """The data are wrong; the site that sent them corrects them."""

    exit_code = 3


class SeriesNotFoundError(InputError):
    """No image can be read, or no series is of the required kind."""


class AmbiguousSeriesError(InputError):
    """Several series or acquisitions were found where one was expected."""


class NotStirError(InputError):
    """The series is not STIR, or not a kind that was accepted."""


class IncompleteSeriesError(InputError):
    """Slices are missing, duplicated or too few."""


class GeometryError(InputError):
    """Orientation, spacing or size is inconsistent or missing."""


class UnreadablePixelsError(InputError):
    """A file or its pixels cannot be decoded."""


class FileFaultError(UnreadablePixelsError):
    """A file ended the process that read it, exceeded its limits, or made it fail."""


class UnsafeArchiveError(InputError):
    """An archive would write outside its folder, or is too large to unpack."""


class ClinicalValueError(InputError):
    """A value of a visit, a laboratory or a questionnaire is impossible."""


class UnscorableError(SparccError):
    """The data are valid, but the method does not apply to them."""

    exit_code = 4


class NotSemicoronalError(UnscorableError):
    """The slices are not semicoronal."""


class NotSacroiliacError(UnscorableError):
    """The images do not show the sacroiliac joints."""


class TooFewSlicesError(UnscorableError):
    """Fewer than six slices, or fewer than six that show the joint."""


class JointNotVisibleError(UnscorableError):
    """A sacroiliac joint was not found."""


class ReferenceSignalError(UnscorableError):
    """A reference signal that a rule needs cannot be measured."""


class RegistrationError(SparccError):
    """Two studies cannot be aligned."""

    exit_code = 4


class ModelError(SparccError):
    """The model bundle is missing, changed, or breaks its contract."""

    exit_code = 5


class OutputError(SparccError):
    """Results cannot be written: the disk, the permissions, or a folder in use."""

    exit_code = 6
    retryable = True
