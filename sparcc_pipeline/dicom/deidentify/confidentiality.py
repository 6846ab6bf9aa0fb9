"""Elements that stay in a de-identified MR image, and the check of each value.

The list itself is `confidentiality.toml`. Everything else is removed: a list of elements to remove would miss those
that a vendor, a retired edition or a mistyped VR adds. A value stays only if it is a plausible number, a known word, or
replaced by a new one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from pydicom.valuerep import format_number_as_ds

from sparcc_pipeline.dicom.input.classify import DERIVED_WORDS, DIXON_OTHER_WORDS, DIXON_WATER_WORDS
from sparcc_pipeline.dicom.input.protocol import SEQUENCE_WORDS

LARGEST_DECIMAL: Final = 1e6
"""Beyond the numbers of an MR header that are kept (rescale, positions in mm, times in ms); below a date or a
telephone number."""

LARGEST_WHOLE: Final = 100_000
"""Beyond any count of slices, frames and series; below a date or an identifier of a person."""

_NUMBER: Final = re.compile(r"[+-]?(\d{1,6}(\.\d{0,14})?|\.\d{1,14})([eE][+-]?\d{1,2})?")
_LONG_NUMBER: Final = re.compile(r"[+-]?(\d{1,64}(\.\d{0,64})?|\.\d{1,64})([eE][+-]?\d{1,4})?")
LONGEST_DECIMAL: Final = 16
"""Characters of a decimal string ([DicomPS3.5] 6.2)."""

_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_WORD: Final = re.compile(r"[a-z0-9.]+")
_MEASURE: Final = re.compile(r"(10|[1-9](\.\d)?)mm|(0\.[2-5]|1\.0|1\.5|3|3\.0|7|7\.0)t")
"""A slice thickness or a field strength. A number without a unit may be a part of a date or of a telephone number."""

_BINARY_WHOLE: Final = frozenset({"US", "UL", "SS", "SL"})
_PIXEL_VALUES: Final = frozenset(
    {"SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "PixelPaddingRangeLimit"}
)


@dataclass(frozen=True)
class PrivateBlock:
    """Safe elements of one private creator; numbers only."""

    creator: str
    group: int
    elements: frozenset[int]


@dataclass(frozen=True)
class Profile:
    """The elements that stay, by keyword ([DicomPS3.6]); see `confidentiality.toml`."""

    numbers: frozenset[str]
    dates: frozenset[str]
    times: frozenset[str]
    uids: frozenset[str]
    classes: frozenset[str]
    sequences: frozenset[str]
    descriptions: frozenset[str]
    description_words: frozenset[str]
    words: Mapping[str, frozenset[str]]
    forms: Mapping[str, re.Pattern[str]]
    private: tuple[PrivateBlock, ...]

    @property
    def keywords(self) -> frozenset[str]:
        """All elements that may stay, whole or in part."""
        groups = (self.numbers, self.dates, self.times, self.uids, self.classes, self.sequences, self.descriptions)
        return frozenset().union(*groups, self.words, self.forms)


@cache
def read_profile() -> Profile:
    """Return the profile that comes with the program."""
    content = tomllib.loads(files(__package__).joinpath("confidentiality.toml").read_text(encoding="utf-8"))
    words = {keyword: frozenset(word.upper() for word in known) for keyword, known in content.pop("words").items()}
    # Words that mark localizers, maps and Dixon images must stay, or another series would be scored.
    for keyword in ("ImageType", "FrameType"):
        words[keyword] |= DERIVED_WORDS | DIXON_OTHER_WORDS | DIXON_WATER_WORDS
    forms = {keyword: re.compile(form) for keyword, form in content.pop("forms").items()}
    blocks = content.pop("private")
    private = tuple(PrivateBlock(b["creator"], b["group"], frozenset(b["elements"])) for b in blocks)
    return Profile(words=words, forms=forms, private=private, **{k: frozenset(v) for k, v in content.items()})


def kept_numbers(keyword: str, vr: str, values: Sequence[Any]) -> list[Any] | None:
    """Return the numbers if all are plausible; None if one is not, or is no number.

    Decimal strings that are longer than DICOM allows, in another VR or with a comma are written as they should be: the
    reader of a series understands them, so a geometry must not be lost here.
    """
    if not values:
        return None
    if vr == "AT":
        return list(values)
    if vr in {"DS", "IS"}:
        texts = [text for value in values for text in str(value).split("\\")]
        kept = [_kept_decimal(text.strip(" \0"), LARGEST_WHOLE if vr == "IS" else LARGEST_DECIMAL) for text in texts]
        return [text for text in kept if text is not None] if None not in kept else None
    if not all(isinstance(value, int | float) for value in values):
        return None
    # Pixel values may use all 16 bits; counts never do.
    limit = LARGEST_WHOLE if vr in _BINARY_WHOLE and keyword not in _PIXEL_VALUES else LARGEST_DECIMAL
    return list(values) if all(abs(value) < limit for value in values) else None


def _kept_decimal(text: str, limit: float) -> str | None:
    """Return a plausible decimal string of at most 16 characters; None for anything else."""
    plain = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    if not _LONG_NUMBER.fullmatch(plain) or not abs(float(plain)) < limit:
        return None
    return plain if len(plain) <= LONGEST_DECIMAL and _NUMBER.fullmatch(plain) else format_number_as_ds(float(plain))


def kept_time(text: str) -> str:
    """Return a valid time of the day, else nothing."""
    plain = text.strip(" \0").replace(":", "")
    return plain if _TIME.fullmatch(plain) else ""


def kept_words(keyword: str, values: Sequence[str], profile: Profile) -> list[str]:
    """Return those of an element's words that are known for it."""
    texts = [value.strip(" \0") for value in values]
    if keyword in profile.forms:
        return [text for text in texts[:1] if profile.forms[keyword].fullmatch(text)]
    return [text for text in texts if text.upper() in profile.words[keyword]]


def cleaned_description(text: str, profile: Profile) -> str:
    """Return the words of sequence, plane and body part in a free text (option Clean Descriptors).

    The words that `protocol.SEQUENCE_WORDS` finds in the text are in the cleaned one too: a series keeps its kind.
    """
    plain = text.lower()
    kept = [w for w in _WORD.findall(plain) if w in profile.description_words or _MEASURE.fullmatch(w)]
    named = _named(plain)
    kept += [word.replace(" ", "") for word in named if word not in _named("_".join(kept))]
    if _named("_".join(kept)) != named:
        # Words that were apart have come together, such as "dark" and "fluid".
        kept = [word.replace(" ", "") for word in named]
    return "_".join(kept)[:64]


def _named(text: str) -> list[str]:
    return [word for word, pattern in SEQUENCE_WORDS.items() if pattern.search(text)]
