"""What a series is, from headers as scanners really write them."""

from __future__ import annotations

from typing import Any

import pytest

from sparcc_pipeline.dicom.input.classify import SeriesKind, classify
from sparcc_pipeline.dicom.input.protocol import Protocol

STIR, FAT_SUPPRESSED, T1, OTHER = SeriesKind


def protocol(**stated: Any) -> Protocol:
    """A protocol in the short words of the tables below."""
    short = {"tr": "repetition_time_ms", "te": "echo_time_ms", "ti": "inversion_time_ms", "seq": "scanning_sequence"}
    fields = {short.get(k, k): v for k, v in stated.items()}
    if "named" in fields:
        fields["named"] = frozenset(fields["named"])
    defaults: dict[str, Any] = {"modality": "MR", "image_type": ("ORIGINAL", "PRIMARY", "M", "ND")}
    return Protocol(**(defaults | fields))


TABLE = [
    # STIR at 1.5 and 3 T, classic, by the header alone
    (STIR, {"seq": ("SE", "IR"), "tr": 4560, "te": 38, "ti": 150}),
    (STIR, {"seq": ("IR",), "tr": 4800, "te": 60, "ti": 210}),
    (STIR, {"seq": ("SE",), "tr": 5120, "te": 42, "ti": 200}),  # TI stated, IR left out
    (STIR, {"seq": ("RM",), "tr": 5120, "te": 42, "ti": 160}),
    (STIR, {"seq": ("IR",), "ti": 100}),
    (STIR, {"seq": ("IR",), "ti": 260}),
    # TI omitted or 0: contrast, name, times
    (STIR, {"seq": ("SE", "IR"), "tr": 4560, "te": 38}),
    (STIR, {"seq": ("SE", "IR"), "tr": 4560, "te": 38, "ti": 0}),
    (STIR, {"seq": ("IR",), "named": ["stir"]}),
    (STIR, {"inversion_recovery": True, "acquisition_contrast": "STIR"}),
    # the header is silent altogether: the name helps
    (STIR, {"named": ["stir"], "tr": 5000, "te": 50}),
    (STIR, {"named": ["stir"]}),
    # enhanced
    (STIR, {"inversion_recovery": True, "ti": 180, "echo_pulse_sequence": "SPIN", "spectral_suppression": "NONE"}),
    # the name lies, the header decides
    (STIR, {"seq": ("SE", "IR"), "tr": 4560, "te": 38, "ti": 150, "named": ["spair"]}),
    (T1, {"seq": ("SE",), "tr": 600, "te": 11, "named": ["stir"]}),
    # traps: FLAIR and MPRAGE (toolbox P4)
    (OTHER, {"seq": ("SE", "IR"), "tr": 9000, "te": 90, "ti": 2500, "sequence_name": "*tir2d1_21", "named": ["stir"]}),
    (OTHER, {"seq": ("SE", "IR"), "tr": 9000, "te": 90}),
    (OTHER, {"seq": ("SE", "IR"), "tr": 7000, "te": 90, "named": ["flair", "stir"]}),
    (OTHER, {"seq": ("SE", "IR"), "tr": 7000, "te": 90, "body_part": "BRAIN"}),
    (OTHER, {"acquisition_contrast": "FLUID_ATTENUATED"}),
    (OTHER, {"seq": ("GR", "IR"), "tr": 2000, "te": 2.5, "ti": 1000}),
    (OTHER, {"seq": ("GR", "IR"), "tr": 2000, "te": 2.5, "ti": 200, "named": ["stir"]}),
    (OTHER, {"inversion_recovery": True, "echo_pulse_sequence": "GRADIENT", "ti": 1000}),
    (OTHER, {"seq": ("SE", "IR"), "tr": 2200, "te": 9, "ti": 860}),  # T1 inversion recovery
    # fat suppressed by its frequency
    (FAT_SUPPRESSED, {"seq": ("SE",), "tr": 4000, "te": 60, "scan_options": ("FS",)}),
    (FAT_SUPPRESSED, {"seq": ("SE",), "tr": 4000, "te": 60, "named": ["spair"]}),
    (FAT_SUPPRESSED, {"seq": ("SE",), "tr": 4000, "te": 60, "scan_options": ("FS",), "ti": 110}),
    (FAT_SUPPRESSED, {"seq": ("SE", "IR"), "te": 60, "scan_options": ("FS",), "ti": 110, "named": ["spir"]}),
    (FAT_SUPPRESSED, {"tr": 4000, "te": 60, "spectral_suppression": "FAT"}),
    (FAT_SUPPRESSED, {"tr": 4000, "te": 60, "ti": 120, "inversion_recovery": True, "spectral_suppression": "FAT"}),
    (FAT_SUPPRESSED, {"seq": ("SE",), "tr": 4000, "te": 60, "image_type": ("DERIVED", "PRIMARY", "DIXON", "WATER")}),
    (FAT_SUPPRESSED, {"seq": ("SE",), "tr": 4000, "te": 60, "named": ["stir"]}),  # named so, no inversion stated
    (OTHER, {"seq": ("SE",), "tr": 4000, "te": 60, "image_type": ("DERIVED", "PRIMARY", "DIXON", "FAT")}),
    (T1, {"seq": ("SE",), "tr": 600, "te": 10, "scan_options": ("FS",)}),
    # the rest
    (T1, {"seq": ("SE",), "tr": 600, "te": 11}),
    (OTHER, {"seq": ("SE",), "tr": 4000, "te": 90}),
    (OTHER, {"seq": ("SE",), "tr": 1800, "te": 11}),
    (OTHER, {"seq": ("GR",), "tr": 5, "te": 2}),
    (OTHER, {"seq": ("EP", "IR"), "tr": 5000, "te": 60, "ti": 180}),
    (OTHER, {"seq": ("IR",), "ti": 180, "b_value": 800.0}),
    (OTHER, {"seq": ("IR",), "ti": 180, "modality": "CT"}),
    (OTHER, {"seq": ("IR",), "ti": 180, "has_image": False}),
    (OTHER, {"seq": ("IR",), "ti": 180, "image_type": ("DERIVED", "PRIMARY", "ADC")}),
    (OTHER, {"seq": ("IR",), "ti": 180, "image_type": ("DERIVED", "PRIMARY", "SUBTRACTION")}),
    (OTHER, {"seq": ("IR",), "ti": 180, "image_type": ("DERIVED", "PRIMARY", "MPR")}),
    (OTHER, {"seq": ("IR",), "ti": 180, "image_type": ("DERIVED", "SECONDARY")}),
    (OTHER, {"seq": ("IR",), "ti": 180, "image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}),
    (OTHER, {"seq": ("IR",), "ti": 180, "image_type": ("ORIGINAL", "PRIMARY", "P", "ND")}),
    (OTHER, {}),
]


@pytest.mark.parametrize(("kind", "stated"), TABLE, ids=str)
def test_kind(kind: SeriesKind, stated: dict[str, Any]) -> None:
    found = classify(protocol(**stated))
    assert found.kind is kind, found.reasons
    assert found.reasons


@pytest.mark.parametrize(
    ("stated", "word"),
    [
        ({"seq": ("SE", "IR"), "tr": 4560, "te": 38}, "TR and TE"),
        ({"seq": ("IR",), "named": ["stir"]}, "name"),
        ({"named": ["stir"], "tr": 5000, "te": 50}, "only the name"),
        ({"seq": ("SE", "IR"), "ti": 150, "named": ["spair"]}, "check the sequence"),
        ({"seq": ("SE",), "tr": 4000, "te": 60, "scan_options": ("FS",)}, "not STIR"),
    ],
)
def test_an_uncertain_conclusion_is_reported(stated: dict[str, Any], word: str) -> None:
    assert any(word in warning for warning in classify(protocol(**stated)).warnings)


def test_a_stated_stir_needs_no_warning() -> None:
    assert classify(protocol(seq=("SE", "IR"), tr=4560, te=38, ti=150, named=["stir"])).warnings == ()
