"""How an image was acquired, as its header says it: what tells STIR from the rest.

Free text (series description, protocol name) is kept only as the few sequence words found in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pydicom.dataset import Dataset

from sparcc_pipeline.dicom.input.elements import items_of, number_of, text_of, texts_of

SEQUENCE_WORDS: Final = {
    "flair": re.compile(r"flair|dark.?fluid"),
    "spair": re.compile(r"spair"),
    "spir": re.compile(r"spir(?!al)"),
    "dixon": re.compile(r"dixon|(?<![a-z])ideal(?![a-z])"),
    "fat saturation": re.compile(r"(?<![a-z])(?:fs|fatsat|fat.?sat\w*|fat.?sup\w*)(?![a-z])"),
    "stir": re.compile(r"stir|tirm"),
}
"""Words of series and protocol names that say how fat was treated (clinical reference, section 7)."""

PROTOCOL_TAGS: Final = (
    "Modality", "SOPClassUID", "ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions", "SequenceName",
    "PulseSequenceName", "RepetitionTime", "EchoTime", "InversionTime", "InversionTimes", "InversionRecovery",
    "SpectrallySelectedSuppression", "EchoPulseSequence", "AcquisitionContrast", "DiffusionBValue", "BodyPartExamined",
    "SeriesDescription", "ProtocolName",
)  # fmt: skip
_ENHANCED_GROUPS: Final = (
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "MRModifierSequence",
    "MRImageFrameTypeSequence",
    "MRDiffusionSequence",
)


@dataclass(frozen=True)
class Protocol:
    """How an image was acquired, as far as its header says; times in ms."""

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
    b_value: float | None = None
    body_part: str = ""
    named: frozenset[str] = frozenset()
    has_image: bool = True


def read_protocol(ds: Dataset, shared: Dataset, frame: Dataset) -> Protocol:
    """The acquisition of a file; enhanced files say it in functional groups (PS3.3 C.8.13.5)."""
    places = [ds, *chain.from_iterable(functional_groups(g, _ENHANCED_GROUPS) for g in (frame, shared))]

    def number(keyword: str) -> float | None:
        return next((v for place in places if (v := number_of(place, keyword)) is not None), None)

    def text(keyword: str) -> str:
        return next((v for place in places if (v := text_of(place, keyword))), "").upper()

    recovery = text("InversionRecovery")
    inversion = number("InversionTime")
    echo = number("EchoTime")
    named = " ".join(text_of(ds, k) for k in ("SeriesDescription", "ProtocolName")).lower()
    image_type = texts_of(ds, "ImageType") or next((t for p in places if (t := texts_of(p, "FrameType"))), ())
    return Protocol(
        modality=text("Modality"),
        sop_class_uid=text_of(ds, "SOPClassUID"),
        image_type=image_type,
        scanning_sequence=texts_of(ds, "ScanningSequence"),
        scan_options=texts_of(ds, "ScanOptions"),
        sequence_name=(text_of(ds, "SequenceName") or text_of(ds, "PulseSequenceName")).lower(),
        repetition_time_ms=number("RepetitionTime"),
        echo_time_ms=number("EffectiveEchoTime") if echo is None else echo,
        inversion_time_ms=number("InversionTimes") if inversion is None else inversion,
        inversion_recovery={"YES": True, "NO": False}.get(recovery),
        spectral_suppression=text("SpectrallySelectedSuppression"),
        echo_pulse_sequence=text("EchoPulseSequence"),
        acquisition_contrast=text("AcquisitionContrast"),
        b_value=number("DiffusionBValue"),
        body_part=text("BodyPartExamined"),
        named=frozenset(word for word, pattern in SEQUENCE_WORDS.items() if pattern.search(named)),
        has_image=number_of(ds, "Rows") is not None,
    )


def functional_groups(group: Dataset, keywords: Iterable[str]) -> Iterator[Dataset]:
    """The named functional groups that a shared or per-frame item holds."""
    for keyword in keywords:
        yield from items_of(group, keyword)[:1]
