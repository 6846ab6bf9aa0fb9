"""The settings of the DICOM node: address, known senders, limits, TLS and transfer syntaxes."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from sparcc_pipeline.dicom.network.connection import NodeLimits

SYNTAXES: Final = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    JPEG2000,
)
"""Transfer syntaxes that the node accepts, uncompressed first; consoles may hold compressed images only."""


@dataclass(frozen=True)
class Node:
    """The address of the node, and the senders that it accepts.

    Parameters
    ----------
    senders : calling title -> folder for its images; each association gets a new folder in it
    name : returns a new name for such a folder, safe in paths and never used before
    prefix : the beginning of these names; no other folder there begins with it
    tls : the context of the server; None means no TLS
    certificates : calling title -> name in the certificate that its sender must show
    """

    host: str
    port: int
    title: str
    senders: Mapping[str, Path]
    name: Callable[[], str]
    prefix: str
    limits: NodeLimits = field(default_factory=NodeLimits)
    tls: ssl.SSLContext | None = None
    certificates: Mapping[str, str] = field(default_factory=dict)

    def owns(self, title: str, names: Collection[str]) -> bool:
        """Return True if a certificate with these names may call with a title."""
        if (own := self.certificates.get(title)) is not None:
            return own in names
        return not set(names) & set(self.certificates.values())
