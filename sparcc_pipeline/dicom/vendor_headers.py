"""Header elements of STIR and T1-weighted series in the style of three vendors, for phantoms and tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

Style = Literal["siemens", "ge", "philips"]
Contrast = Literal["stir", "t1"]

STIR_HEADERS: Final = MappingProxyType(
    {
        "siemens": MappingProxyType(
            {
                "Manufacturer": "SIEMENS",
                "ManufacturerModelName": "Aera",
                "MagneticFieldStrength": 1.5,
                "SeriesDescription": "t2_tirm_cor_obl",
                "ProtocolName": "t2_tirm_cor_obl",
                "ScanningSequence": ["SE", "IR"],
                "SequenceVariant": ["SK", "SP", "OSP"],
                "SequenceName": "*tir2d1_15",
                "RepetitionTime": 4560,
                "EchoTime": 38,
                "InversionTime": 150,
            }
        ),
        "ge": MappingProxyType(
            {
                "Manufacturer": "GE MEDICAL SYSTEMS",
                "ManufacturerModelName": "SIGNA Pioneer",
                "MagneticFieldStrength": 3,
                "SeriesDescription": "OCor STIR",
                "ProtocolName": "SIJ",
                "ScanningSequence": ["SE", "IR"],
                "SequenceVariant": "SK",
                "RepetitionTime": 5120,
                "EchoTime": 42,
                "InversionTime": 200,
            }
        ),
        "philips": MappingProxyType(
            {
                "Manufacturer": "Philips Medical Systems",
                "ManufacturerModelName": "Ingenia",
                "MagneticFieldStrength": 3,
                "SeriesDescription": "STIR_TSE_COR",
                "ProtocolName": "STIR_TSE_COR",
                "ScanningSequence": "IR",
                "SequenceVariant": "SK",
                "RepetitionTime": 4800,
                "EchoTime": 60,
                "InversionTime": 210,
            }
        ),
    }
)
"""Invented STIR headers in the style of three vendors. Repetition, echo and inversion times are typical for each."""

T1_HEADER: Final = MappingProxyType(
    {
        "SeriesDescription": "t1_tse_cor_obl",
        "ProtocolName": "t1_tse_cor_obl",
        "ScanningSequence": "SE",
        "SequenceVariant": ["SK", "SP", "OSP"],
        "SequenceName": "*tse2d1_3",
        "RepetitionTime": 560,
        "EchoTime": 11,
        "InversionTime": None,
    }
)
"""Elements that replace those of STIR in a T1-weighted series; None removes an element."""


def vendor_header(style: Style, contrast: Contrast) -> Mapping[str, Any]:
    """Return the header elements of one vendor and contrast, by keyword."""
    header = STIR_HEADERS[style] if contrast == "stir" else {**STIR_HEADERS[style], **T1_HEADER}
    return {keyword: value for keyword, value in header.items() if value is not None}
