"""One visit of a comparison: its study, read and segmented on its own, and movement during the examination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.study.images import Request, Study, read_study
from sparcc_pipeline.app.study.saved_study import is_score_folder, load_study
from sparcc_pipeline.app.study.score import Segmented, Segmenter, segment_study
from sparcc_pipeline.errors import RegistrationError
from sparcc_pipeline.imaging.alignment.follow_up import Anatomy
from sparcc_pipeline.imaging.alignment.movement import MOVED_MM, SliceMovement, slice_movement
from sparcc_pipeline.imaging.alignment.registration import bone_region, register
from sparcc_pipeline.message import Message
from sparcc_pipeline.rigid import RigidTransform
from sparcc_pipeline.sparcc.follow_up.alignment import LARGEST_ROTATION_DEGREES, joint_points_mm
from sparcc_pipeline.sparcc.slices import SixSlices

T1_MOVED_MM: Final = 2.0
"""Movement between STIR and T1 from which a warning is given, about half a slice. Source: decision of this project."""


@dataclass(frozen=True)
class T1Movement:
    """Movement between STIR and T1 of one study: mean over the joints in mm, and rotation in degrees."""

    series_uid: str | None
    same_frame_of_reference: bool
    moved_mm: float
    angle_degrees: float


@dataclass(frozen=True)
class Visit:
    """One time point: its study with tissue and joints, the requested slices, and the movement of the person.

    `six` is None if the transitional-slice rule or the baseline decides. If `t1` is None, `no_t1` is the reason.
    """

    name: str
    segmented: Segmented
    six: SixSlices | None
    movement: SliceMovement
    t1: T1Movement | None
    no_t1: Message | None

    @property
    def anatomy(self) -> Anatomy:
        """The scan with its bones and joints, for the alignment."""
        return anatomy_of(self.segmented)


class VisitReader:
    """Reads visits one by one with one model."""

    def __init__(self, load_segmenter: Callable[[], Segmenter], progress: Callable[[str], None]) -> None:
        self._load, self._progress = load_segmenter, progress
        self._segmenter: Segmenter | None = None

    def read(self, name: str, source: Path, request: Request, check: Callable[[Study], None]) -> Visit:
        """Return the visit, segmented here or read from its score folder.

        `check` is called with the images before the slow work, and may raise an error.
        """
        self._progress(f"Reading {name.lower()}")
        six = None
        if is_score_folder(source):
            segmented, scored_six = load_study(source)
            check(segmented.study)
            six = scored_six if request.slices is None else None
        else:
            study = read_study(source, request)
            check(study)
            segmented = self._segment(name, study)
        self._progress(f"Measuring movement within {name.lower()}")
        movement = slice_movement(segmented.study.stir, anatomy_of(segmented).bones)
        t1, no_t1 = _t1_movement(segmented)
        return Visit(name, segmented, six, movement, t1, no_t1)

    def _segment(self, name: str, study: Study) -> Segmented:
        if self._segmenter is None:
            self._progress("Loading the model")
            self._segmenter = self._load()
        self._progress(f"Segmenting {name.lower()}")
        return segment_study(study, self._segmenter)


def anatomy_of(segmented: Segmented) -> Anatomy:
    """Return the scan with its bones and joints."""
    return Anatomy(segmented.study.stir, segmented.tissue.anatomy, segmented.joints)


def _t1_movement(segmented: Segmented) -> tuple[T1Movement | None, Message | None]:
    """Return the movement between STIR and T1, or the reason why it is not known."""
    stir, t1 = segmented.study.stir, segmented.study.t1
    if t1 is None:
        return None, segmented.study.no_t1
    try:
        region = bone_region(anatomy_of(segmented).bones, stir.geometry.spacing_mm)
        found = register(stir, t1, region, [RigidTransform()])
    except RegistrationError as error:
        return None, Message("{error}", error=str(error))
    if found.transform.angle_degrees > LARGEST_ROTATION_DEGREES or found.information_gain <= 0:
        return None, Message("STIR and T1 cannot be aligned")
    moved = found.transform.distance_mm(RigidTransform(), joint_points_mm(segmented.joints))
    uids = stir.geometry.frame_of_reference_uid, t1.geometry.frame_of_reference_uid
    same_frame = uids[0] is not None and uids[0] == uids[1]
    return T1Movement(t1.series.series_uid, same_frame, float(moved.mean()), found.transform.angle_degrees), None


def movement_warnings(visit: Visit) -> list[Message]:
    """Return the warnings about movement during the visit."""
    warnings = []
    largest = visit.movement.largest_mm
    if largest is not None and largest > MOVED_MM:
        warnings.append(
            Message(
                "slices are up to {mm:.1f} mm off their neighbours (movement): look for blur and doubled edges",
                mm=largest,
            )
        )
    if visit.t1 is not None and visit.t1.moved_mm > T1_MOVED_MM:
        warnings.append(
            Message(
                "the person moved {mm:.1f} mm between STIR and T1: do not read a place on T1 from its place on STIR",
                mm=visit.t1.moved_mm,
            )
        )
    if visit.t1 is not None and not visit.t1.same_frame_of_reference:
        warnings.append(
            Message("STIR and T1 do not share a frame of reference: do not read a place on T1 from its place on STIR")
        )
    return [Message("{visit}: {warning}", visit=visit.name.lower(), warning=warning) for warning in warnings]
