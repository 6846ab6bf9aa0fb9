"""How an image was acquired, by its header: what separates STIR from the rest.

Free text (series description, protocol name) is kept only as the few sequence words found in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from sparcc_pipeline.dicom.input.elements import all_numbers_of, items_of, number_of, text_of, texts_of

SEQUENCE_WORDS: Final = {
    "flair": re.compile(r"flair|dark.?fluid"),
    "spair": re.compile(r"spair"),
    "spir": re.compile(r"spir(?!al)"),
    "dixon": re.compile(r"dixon|(?<![a-z])ideal(?![a-z])"),
    "fat saturation": re.compile(r"(?<![a-z])(?:fs|fatsat|fat.?sat\w*|fat.?sup\w*)(?![a-z])"),
    "stir": re.compile(r"stir|tirm"),
}
"""Words of series and protocol names for the treatment of fat. Source: names seen at sites (documented default)."""

UNASSIGNED: Final = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)
"""Functional groups of Legacy Converted Enhanced MR that hold classic elements without a place in an enhanced image.
Source: [DicomPS3.3] C.7.6.16.2.25."""

PROTOCOL_TAGS: Final = (
    *("Modality", "SOPClassUID", "ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions", "SequenceName"),
    *("PulseSequenceName", "RepetitionTime", "EchoTime", "InversionTime", "InversionTimes", "InversionRecovery"),
    *("SpectrallySelectedSuppression", "EchoPulseSequence", "AcquisitionContrast", "ComplexImageComponent"),
    *("DiffusionBValue", "BodyPartExamined", "SeriesDescription", "ProtocolName"),
)
_ENHANCED_GROUPS: Final = (
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "MRModifierSequence",
    "MRImageFrameTypeSequence",
    "MRDiffusionSequence",
    *UNASSIGNED,
)

LONGEST_TIME_MS: Final = 100_000.0
"""Longest plausible TR, TE or TI. Philips writes the largest double where it has no time (dcm2niix issue 385)."""

_COMPLEX_PARTS: Final = {"M": "MAGNITUDE", "P": "PHASE", "R": "REAL", "I": "IMAGINARY"}
"""Philips writes the part of the complex image into Image Type: M_IR, R_IR, PHASE MAP."""


@dataclass(frozen=True)
class Protocol:
    """How an image was acquired, as far as its header states it; times in ms.

    `complex_component` is MAGNITUDE, PHASE, REAL, IMAGINARY or empty; `placed` is True if the image
    states its geometry.
    """

    modality: str = ""
    sop_class_uid: str = ""
    image_type: tuple[str, ...] = ()
    scanning_sequence: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    sequence_name: str = ""
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    inversion_time_ms: float | None = None
    inversion_recovery: bool | None = None
    spectral_suppression: str = ""
    echo_pulse_sequence: str = ""
    acquisition_contrast: str = ""
    complex_component: str = ""
    b_value: float | None = None
    body_part: str = ""
    named: frozenset[str] = frozenset()
    has_image: bool = True
    placed: bool = False


def read_protocol(ds: Dataset, shared: Dataset, frame: Dataset, *, placed: bool = False) -> Protocol:
    """Return the acquisition of an image; enhanced files state it in functional groups ([DicomPS3.3] C.8.13.5)."""
    places = [*chain.from_iterable(functional_groups(g, _ENHANCED_GROUPS) for g in (frame, shared) if len(g)), ds]

    def text(keyword: str) -> str:
        return next((v for place in places if (v := text_of(place, keyword))), "")

    def texts(keyword: str) -> tuple[str, ...]:
        return next((v for place in places if (v := texts_of(place, keyword))), ())

    named = " ".join(text(k) for k in ("SeriesDescription", "ProtocolName")).lower()
    image_type = texts("FrameType") or texts("ImageType")
    return Protocol(
        modality=text("Modality").upper(),
        sop_class_uid=text_of(ds, "SOPClassUID"),
        image_type=image_type,
        scanning_sequence=texts("ScanningSequence"),
        scan_options=texts("ScanOptions"),
        sequence_name=(text("SequenceName") or text("PulseSequenceName")).lower(),
        repetition_time_ms=_time(places, "RepetitionTime"),
        echo_time_ms=_time(places, "EchoTime", "EffectiveEchoTime"),
        inversion_time_ms=_time(places, "InversionTime", "InversionTimes"),
        inversion_recovery={"YES": True, "NO": False}.get(text("InversionRecovery").upper()),
        spectral_suppression=text("SpectrallySelectedSuppression").upper(),
        echo_pulse_sequence=text("EchoPulseSequence").upper(),
        acquisition_contrast=text("AcquisitionContrast").upper(),
        complex_component=text("ComplexImageComponent").upper() or _complex_component(image_type),
        b_value=next((v for place in places if (v := number_of(place, "DiffusionBValue")) is not None), None),
        body_part=text("BodyPartExamined").upper(),
        named=frozenset(word for word, pattern in SEQUENCE_WORDS.items() if pattern.search(named)),
        has_image=number_of(ds, "Rows") is not None,
        placed=placed,
    )


def states_protocol(group: Dataset) -> bool:
    """Return True if a frame's own functional groups state how it was acquired."""
    return any(Tag(keyword) in group for keyword in _ENHANCED_GROUPS)


def _time(places: list[Dataset], *keywords: str) -> float | None:
    """Return the first plausible time over 0, else the first plausible one; of several values of an element also."""
    found = [
        number
        for keyword in keywords
        for place in places
        for number in all_numbers_of(place, keyword)
        if 0 <= number < LONGEST_TIME_MS
    ]
    return next((number for number in found if number > 0), next(iter(found), None))


def _complex_component(image_type: tuple[str, ...]) -> str:
    """Return the part of the complex image that a word such as R_IR names; empty if none does."""
    heads = (word.split("_") for word in image_type[2:] if "_" in word)
    return next((_COMPLEX_PARTS[head[0]] for head in heads if head[0] in _COMPLEX_PARTS), "")


def functional_groups(group: Dataset, keywords: Iterable[str]) -> Iterator[Dataset]:
    """Yield the named functional groups of a shared or per-frame item."""
    for keyword in keywords:
        yield from items_of(group, keyword)[:1]
