"""The choice of files that a result may have beside those that it always has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Extras:
    """Which further files to write.

    Parameters
    ----------
    nifti : maps of bones and edema in the geometry of the source
    pdf : the report as PDF
    dicom : DICOM results; the study must have been read with its headers
    """

    nifti: bool = False
    pdf: bool = False
    dicom: bool = False
