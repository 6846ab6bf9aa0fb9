"""The kind of an image: STIR, fat-suppressed T2, T1 or other, from how it was acquired.

The header decides; words of the series' name count only if the header is silent or contradicts itself, because names
mislead and sites omit TI.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from sparcc_pipeline.dicom.input.inversion import (
    FLUID_OPTION,
    INVERSION_NAME,
    has_short_times,
    is_below,
    names_inversion,
    states_inversion,
)
from sparcc_pipeline.dicom.input.protocol import Protocol
from sparcc_pipeline.message import Message

STIR_INVERSION_TIME_MS: Final = (90.0, 280.0)
"""Inversion times that null fat: 130-180 ms at 1.5 T, 200-250 ms at 3 T (documented default), with 10 % beyond the
100-260 ms met at sites. FLAIR has about 2000-2800, MPRAGE and T1 inversion recovery 600-1200."""

FLUID_INVERSION_TIME_MS: Final = 1500.0
"""From here an inversion nulls fluid (FLAIR)."""

T2_ECHO_TIME_MS: Final = 30.0
"""Shortest echo time at which water is bright enough to call an image T2-weighted (STIR protocols start at 36)."""

T2_REPETITION_TIME_MS: Final = 1500.0
"""Shortest repetition time of a T2-weighted spin echo."""

STIR_REPETITION_TIME_MS: Final = (1500.0, 7500.0)
"""Where TI is omitted: STIR repeats after about 5000 ms, FLAIR after 8000-11000."""

STIR_ECHO_TIME_MS: Final = (20.0, 110.0)
"""Where TI is omitted: STIR protocols lie at 36-98 ms, T1 inversion recovery under 20."""

DERIVED_WORDS: Final = frozenset(
    {
        *("LOCALIZER", "POSDISP", "CSAPARALLEL", "SCREENSHOT", "SCREEN SAVE"),
        *("MPR", "PROJECTION", "MIP", "MINIP", "MEAN_IP", "REFORMATTED", "SUBTRACTION", "SUB"),
        *("ADC", "EADC", "FA", "TRACE", "TRACEW", "DIFFUSION", "PERFUSION", "T1_MAP", "T2_MAP"),
        *("PHASE", "PHASE_MAP", "VELOCITY", "REAL", "IMAGINARY", "P", "R", "I"),
    }
)
"""Values of Image Type that mark a localizer, a map, a reformat or a phase image."""

OTHER_COMPONENTS: Final = frozenset({"PHASE", "REAL", "IMAGINARY"})
"""Parts of the complex image that are no magnitude ([DicomPS3.3] C.8.13.3.1.1)."""

DIXON_OTHER_WORDS: Final = frozenset(
    {"FAT", "F", "IP", "OP", "IN_PHASE", "OUT_PHASE", "OPP_PHASE", "INPHASE", "OUTPHASE"}
)
DIXON_WATER_WORDS: Final = frozenset({"WATER", "W"})

HEAD: Final = frozenset({"HEAD", "BRAIN", "SKULL", "ORBIT", "NECK"})


class SeriesKind(Enum):
    """The use of a series for SPARCC."""

    STIR = "STIR"
    FAT_SUPPRESSED = "fat-suppressed T2"
    T1 = "T1"
    OTHER = "other"


@dataclass(frozen=True)
class Classification:
    """The kind of an image, the reasons, and warnings for its reader."""

    kind: SeriesKind
    reasons: tuple[Message, ...]
    warnings: tuple[Message, ...] = ()


def classify(protocol: Protocol) -> Classification:
    """Return the kind of an image, from its header first."""
    not_wanted = _other_reason(protocol)
    if not_wanted:
        return Classification(SeriesKind.OTHER, (not_wanted,))
    found = _kind_of(protocol)
    if found.kind is SeriesKind.OTHER or "SECONDARY" not in protocol.image_type[1:2]:
        return found
    warning = Message(
        "Image Type calls the images secondary ({words}); they state their geometry and were read",
        words=protocol.image_type[:2],
    )
    return Classification(found.kind, found.reasons, (*found.warnings, warning))


def _kind_of(protocol: Protocol) -> Classification:
    if states_inversion(protocol):
        return _classify_inverted(protocol)
    if is_fat_suppressed(protocol):
        return _classify_suppressed(protocol)
    if "stir" in protocol.named:
        return _classify_by_name(protocol)
    if has_short_times(protocol):
        reason = Message("spin echo with short times ({times})", times=_times(protocol))
        return Classification(SeriesKind.T1, (reason,))
    reason = Message("no inversion and no fat suppression in the header ({times})", times=_times(protocol))
    return Classification(SeriesKind.OTHER, (reason,))


def _other_reason(protocol: Protocol) -> Message | None:
    """Return why an image is neither STIR nor anything like it; None if that is open."""
    words = frozenset(w for value in protocol.image_type for w in (value, *value.split()))
    marked = sorted(words & DERIVED_WORDS)
    gradient = "GR" in protocol.scanning_sequence or protocol.echo_pulse_sequence == "GRADIENT"
    if protocol.modality != "MR":
        return Message("modality {modality}, not MR", modality=protocol.modality or "missing")
    if not protocol.has_image:
        return Message("no image in the file")
    if "SECONDARY" in protocol.image_type[1:2] and not protocol.placed:
        return Message("a secondary image without a place in the patient (Image Type)")
    if marked:
        return Message("a localizer or derived image (Image Type {words})", words=tuple(marked))
    if protocol.complex_component in OTHER_COMPONENTS:
        return Message("the {part} part of the complex image, not the magnitude", part=protocol.complex_component)
    if (protocol.b_value or 0) > 0 or "EP" in protocol.scanning_sequence:
        return Message("diffusion or echo planar imaging")
    if gradient and states_inversion(protocol):
        return Message(
            "inversion with a gradient echo (as in MPRAGE), not with a spin echo ({times})", times=_times(protocol)
        )
    if gradient:
        return Message("a gradient echo ({times})", times=_times(protocol))
    if words & DIXON_OTHER_WORDS and not words & DIXON_WATER_WORDS:
        return Message("a Dixon image other than water")
    return None


def is_fat_suppressed(protocol: Protocol) -> bool:
    """Return True if fat was suppressed by its frequency, by the header or (headers are mostly silent) the name."""
    return (
        "FS" in protocol.scan_options
        or "FAT" in protocol.spectral_suppression
        or bool(DIXON_WATER_WORDS & set(protocol.image_type))
        or bool({"spair", "spir", "dixon", "fat saturation"} & protocol.named)
    )


def _classify_inverted(protocol: Protocol) -> Classification:
    time = protocol.inversion_time_ms or None
    low, high = STIR_INVERSION_TIME_MS
    if time is None:
        return _classify_without_time(protocol)
    if time >= FLUID_INVERSION_TIME_MS:
        return Classification(SeriesKind.OTHER, (Message("TI {ti:g} ms nulls fluid, not fat (FLAIR)", ti=time),))
    if not low <= time <= high:
        reason = Message("TI {ti:g} ms does not null fat ({low:g}-{high:g} ms does)", ti=time, low=low, high=high)
        return Classification(SeriesKind.OTHER, (reason,))
    # With both, an inversion that is selective to fat is SPAIR or SPIR. If only TI shows an inversion, or the name is
    # that of SPAIR, the header means the fat saturation.
    saturated = "FS" in protocol.scan_options
    not_stated = "SE" in protocol.scanning_sequence and not (
        names_inversion(protocol) or INVERSION_NAME.search(protocol.sequence_name) is not None
    )
    named_selective = bool({"spair", "spir"} & protocol.named)
    if "FAT" in protocol.spectral_suppression or (saturated and (not_stated or named_selective)):
        return _fat_suppressed(Message("the inversion is selective to fat (SPAIR or SPIR, TI {ti:g} ms)", ti=time))
    warnings: tuple[Message, ...] = ()
    if protocol.named and "stir" not in protocol.named:
        warnings = (
            Message(
                "the series is named {names} but its header is that of STIR: check the sequence",
                names=tuple(sorted(protocol.named)),
            ),
        )
    reason = Message("inversion recovery with TI {ti:g} ms, which nulls fat", ti=time)
    return Classification(SeriesKind.STIR, (reason,), warnings)


def _classify_without_time(protocol: Protocol) -> Classification:
    """Classify a stated inversion without its time by contrast, name, body part and the other times, in this order."""
    if protocol.acquisition_contrast == "STIR":
        return Classification(SeriesKind.STIR, (Message("Acquisition Contrast is STIR"),))
    fluid_option = any(FLUID_OPTION in option for option in protocol.scan_options)
    if protocol.acquisition_contrast == "FLUID_ATTENUATED" or "flair" in protocol.named or fluid_option:
        return Classification(SeriesKind.OTHER, (Message("inversion recovery without TI, called FLAIR"),))
    if "FAT" in protocol.spectral_suppression or {"spair", "spir"} & protocol.named:
        return _fat_suppressed(Message("the inversion is selective to fat (SPAIR or SPIR)"))
    if "stir" in protocol.named:
        return Classification(
            SeriesKind.STIR,
            (Message("inversion recovery without TI, named STIR or TIRM"),),
            (_concluded_from(Message("the series' name")),),
        )
    fits = _within(protocol.repetition_time_ms, STIR_REPETITION_TIME_MS) and _within(
        protocol.echo_time_ms, STIR_ECHO_TIME_MS
    )
    if fits and protocol.body_part not in HEAD:
        return Classification(
            SeriesKind.STIR,
            (Message("inversion recovery without TI; {times} fit STIR", times=_times(protocol)),),
            (_concluded_from(Message("TR and TE")),),
        )
    reason = Message("inversion recovery without TI; {times} do not show STIR", times=_times(protocol))
    return Classification(SeriesKind.OTHER, (reason,))


def _concluded_from(what: Message) -> Message:
    return Message(
        "inversion time is not in the header: that this is STIR was concluded from {what}",
        what=what,
    )


def _classify_suppressed(protocol: Protocol) -> Classification:
    if is_below(protocol.echo_time_ms, T2_ECHO_TIME_MS) or is_below(protocol.repetition_time_ms, T2_REPETITION_TIME_MS):
        kind = SeriesKind.T1 if has_short_times(protocol) else SeriesKind.OTHER
        reason = Message("fat-suppressed but not T2-weighted ({times})", times=_times(protocol))
        return Classification(kind, (reason,))
    return _fat_suppressed(
        Message("fat suppressed by its frequency, without inversion recovery ({times})", times=_times(protocol))
    )


def _classify_by_name(protocol: Protocol) -> Classification:
    """Classify an image named STIR without inversion in its header: STIR only if the header is silent altogether."""
    silent = protocol.inversion_recovery is None and not {"SE", "IR", "GR", "EP"} & set(protocol.scanning_sequence)
    long_times = not (
        is_below(protocol.echo_time_ms, STIR_ECHO_TIME_MS[0])
        or is_below(protocol.repetition_time_ms, T2_REPETITION_TIME_MS)
    )
    if "flair" in protocol.named or not long_times:
        kind = SeriesKind.OTHER if "flair" in protocol.named else SeriesKind.T1
        reason = Message("no inversion in the header, and times unlike STIR ({times})", times=_times(protocol))
        return Classification(kind, (reason,))
    if silent:
        reason = Message("named STIR or TIRM, and the header states nothing against it")
        warning = Message("the header does not state how fat was suppressed: only the name shows that this is STIR")
        return Classification(SeriesKind.STIR, (reason,), (warning,))
    return _fat_suppressed(
        Message("named STIR or TIRM, but the header states no inversion ({times})", times=_times(protocol))
    )


def _fat_suppressed(reason: Message) -> Classification:
    warning = Message("fat-suppressed T2, not STIR: signal and score may differ from STIR")
    return Classification(SeriesKind.FAT_SUPPRESSED, (reason,), (warning,))


def _within(value: float | None, limits: tuple[float, float]) -> bool:
    return value is not None and limits[0] <= value <= limits[1]


def _times(protocol: Protocol) -> tuple[str, ...] | Message:
    """Return TR, TE and TI as far as they are stated."""
    named = (
        ("TR", protocol.repetition_time_ms),
        ("TE", protocol.echo_time_ms),
        ("TI", protocol.inversion_time_ms),
    )
    return tuple(f"{name} {value:g} ms" for name, value in named if value is not None) or Message("no TR, TE or TI")
