"""The studies of a site as training material: scored folders, quadrant points of the readers, outlines.

Contents: `load_site_studies`, `rescored`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.study.images import is_nifti
from sparcc_pipeline.app.study.resources import codes_file
from sparcc_pipeline.app.study.saved_study import load_study
from sparcc_pipeline.app.study.score import score_slices
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.scores import ScoredStudy
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.dicom.input.segments.outline import Wanted, read_outline
from sparcc_pipeline.dicom.output.codes import read_codes
from sparcc_pipeline.errors import InputError, SparccError, UnscorableError
from sparcc_pipeline.imaging.edema import find_edema
from sparcc_pipeline.imaging.model.engines import Network
from sparcc_pipeline.imaging.model.normalize import joint_distance_mm, normal_marrow_signal
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.message import Message
from sparcc_pipeline.training.data.site_samples import SiteStudy
from sparcc_pipeline.trial.items import ItemPlace, ItemReading
from sparcc_pipeline.trial.records import QueryKind
from sparcc_pipeline.volume import BoolArray, Float32Array, Volume, same_geometry

OUTLINE_WITHIN_MM = 1.0
"""Distance within which the corners of an outline and of its series must agree."""


def load_site_studies(material: Material, queries: Queries, labels: frozenset[str] = frozenset()) -> list[SiteStudy]:
    """Return the studies with quadrant points or outlines; what cannot be read becomes a query and is left out.

    Parameters
    ----------
    labels : labels of the segments of edema in DICOM Segmentations; without any the code decides
    """
    items: dict[StudyKey, list[ItemReading]] = defaultdict(list)
    for reading in material.items:
        if reading.repeat == 1 and not reading.adjudicator:
            items[StudyKey(reading.participant, reading.visit)].append(reading)
    found = []
    for key, study in material.studies.items():
        if key not in items and study.row.outline is None:
            continue
        try:
            segmented, _ = load_study(study.folder)
            stir, tissue = segmented.study.stir, segmented.tissue
            outline = _outline(study, stir, labels)
            # Raises for a study with too little marrow, which the training could not use.
            normal_marrow_signal(stir.signal, tissue.anatomy, joint_distance_mm(segmented.joints))
        except SparccError as error:
            queries.ask(
                QueryKind.UNREADABLE,
                study.row.row,
                "path",
                Message("a scored study with its images, and an outline on the same grid"),
                str(error),
                Message("correct it; the study is not used for training"),
                left_out="row",
                visit=study.row.visit,
            )
            continue
        share = point_shares(items.get(key, ()))
        found.append(SiteStudy(key.participant, stir.signal, tissue.anatomy, segmented.joints, share, outline))
    return found


def point_shares(readings: Sequence[ItemReading]) -> dict[tuple[int, Side], Float32Array]:
    """Return the share of the readings that give the edema point of each quadrant, NaN where none evaluated it."""
    places = dict.fromkeys((place.slice_index, place.side) for each in readings for place in each.points)
    found = {}
    for index, side in places:
        shares = []
        for quadrant in Quadrant:
            points = [each.points.get(ItemPlace(index, side, quadrant.value)) for each in readings]
            known = [point for point in points if point is not None]
            shares.append(sum(known) / len(known) if known else np.nan)
        found[index, side] = np.array(shares, dtype=np.float32)
    return found


def _outline(study: ScoredStudy, volume: Volume, labels: frozenset[str]) -> BoolArray | None:
    """Return the outline of a study on the grid of its series; in NIfTI every value but 0 is edema.

    Raises
    ------
    InputError : it is on another grid, or cannot be read
    """
    file, geometry = study.row.outline, volume.geometry
    if file is None:
        return None
    if not is_nifti(file):
        codes = read_codes(codes_file().read_text(encoding="utf-8")).codes["edema_finding"]
        wanted = Wanted((codes[0], codes[1]), labels)
        marked = read_outline(file, volume.series.sop_instance_uids, volume.storage, wanted)
        if marked.shape != geometry.shape:
            raise InputError(f"expected an outline of shape {geometry.shape}, found {marked.shape}; make it again")
        return marked
    drawn = read_nifti(file)
    # NIfTI names no frame of reference.
    grid = replace(geometry, frame_of_reference_uid=drawn.geometry.frame_of_reference_uid)
    if not same_geometry(grid, drawn.geometry, OUTLINE_WITHIN_MM):
        raise InputError(
            f"expected an outline on the grid of the scored series, {geometry.shape}, found {drawn.geometry.shape} or "
            "another place; resample it onto the series with nearest neighbour"
        )
    return np.asarray(drawn.signal > 0)


def rescored(material: Material, network: Network, threshold: float, inputs: Sequence[str]) -> Material:
    """Return the material with the scores that another edema network gives, on the same bones and the same slices.

    Studies that it cannot score are left out.
    """
    studies = {}
    for key, study in material.studies.items():
        try:
            studies[key] = _rescored(study, network, threshold, inputs)
        except UnscorableError:
            continue
    return replace(material, studies=studies).of(set(studies))


def _rescored(study: ScoredStudy, network: Network, threshold: float, inputs: Sequence[str]) -> ScoredStudy:
    segmented, six = load_study(study.folder)
    stir, tissue, joints = segmented.study.stir, segmented.tissue, segmented.joints
    marrow = normal_marrow_signal(stir.signal, tissue.anatomy, joint_distance_mm(joints))
    edema = find_edema(network, inputs, stir.signal, tissue.anatomy, joints, marrow)
    tissue = replace(tissue, edema_probability=edema, edema_threshold=threshold)
    score = score_slices(replace(segmented, tissue=tissue, calibration=None), six).score
    points: dict[ItemPlace, int | None] = {}
    for joint in score.joints:
        index = six.indices[joint.slice]
        points |= {ItemPlace(index, joint.side, quadrant.value): point for quadrant, point in joint.edema.items()}
        points[ItemPlace(index, joint.side, "intense")] = joint.intense
        points[ItemPlace(index, joint.side, "deep")] = joint.deep
    return replace(
        study,
        items=replace(study.items, points=points),
        total=score.total,
        asas_positive=score.asas_positive,
        interval_90=None,
        probability={},
        calibration=None,
        threshold=threshold,
    )
