"""The words of a report for each kind of error: the finding, and what to do, for the site and the coordinator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparcc_pipeline.app.nightly.morning.studies import Reason
from sparcc_pipeline.message import Message

BY_KIND: Final[Mapping[str, Reason]] = {
    "SeriesNotFound": Reason(
        Message("no STIR series of the sacroiliac joints"),
        Message("send the semicoronal STIR series of this visit"),
    ),
    "AmbiguousSeries": Reason(
        Message("more than one STIR series fits"),
        Message("send only the series to be scored"),
    ),
    "NotStir": Reason(
        Message("the series is not STIR"),
        Message("send the STIR series; if only another fat suppression was acquired, ask the coordinator"),
    ),
    "IncompleteSeries": Reason(
        Message("slices of the series are missing or doubled"),
        Message("send the whole series again from the scanner or the PACS"),
    ),
    "Geometry": Reason(
        Message("position, orientation or spacing of the slices is missing or contradicts itself"),
        Message("send the original images, not reformatted or edited ones"),
    ),
    "UnreadablePixels": Reason(
        Message("files or their pixels cannot be read"),
        Message("send the study again; if that does not help, uncompressed"),
    ),
    "UnsafeArchive": Reason(
        Message("the archive is damaged, too large, or would write outside its folder"),
        Message("send a plain zip of the study, or the images by DICOM"),
    ),
    "NotSemicoronal": Reason(
        Message("the slices are not semicoronal"),
        Message("the method does not apply; plan the next scan along the sacrum"),
    ),
    "TooFewSlices": Reason(
        Message("fewer than six slices show the joints"),
        Message("the method does not apply; cover the whole sacroiliac joint in the next scan"),
    ),
    "JointNotVisible": Reason(
        Message("a sacroiliac joint was not found"),
        Message("have a reader look at the images; the program gives no score"),
    ),
    "ReferenceSignal": Reason(
        Message("the reference signal could not be measured"),
        Message("have a reader look at the images; the program gives no score"),
    ),
    "Registration": Reason(
        Message("the follow-up could not be aligned with its baseline"),
        Message("check that both visits are of this participant"),
    ),
    "Model": Reason(
        Message("the model is missing or damaged"),
        Message("run sparcc doctor and install the program again"),
    ),
    "Output": Reason(
        Message("a disk, a network or a PACS did not take what was written"),
        Message("run sparcc doctor with these settings: it reports what to correct"),
    ),
    "Config": Reason(
        Message("the settings are wrong"),
        Message("run sparcc doctor with these settings"),
    ),
}
"""By the name of the error's class without "Error", as results and the ledger store it."""
