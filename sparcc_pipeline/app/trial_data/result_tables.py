"""Tables of the results of a trial: dual target by visit, entry criteria by participant.

Contents: `status_table`, `eligibility_table`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sparcc_pipeline.app.results.tables import Row, Table
from sparcc_pipeline.app.trial_data import columns as out
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.eligibility import Eligibility
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition, ImagingDefinition


def status_table(assessed: Iterable[VisitAssessment]) -> Table:
    """Return the dual target by participant and visit, with both definitions of each half."""
    return Table(out.STATUS, [_status_row(each) for each in assessed])


def eligibility_table(found: Iterable[tuple[Eligibility, str | None]]) -> Table:
    """Return every entry criterion of every participant, with the site."""
    return Table(
        out.ELIGIBILITY,
        [
            {
                "participant": each.participant,
                "site": site,
                "criterion": criterion.name,
                "expected": criterion.expected,
                "found": criterion.found,
                "state": criterion.state.value,
            }
            for each, site in found
            for criterion in each.criteria
        ],
    )


def _status_row(each: VisitAssessment) -> Row:
    target, score = each.target, each.score
    row: dict[str, Any] = {
        "participant": each.participant.participant,
        "site": each.participant.site,
        "visit": each.planned.visit,
        "week": each.planned.week,
        "day": None if each.visit is None else each.visit.day,
        "study_day": None if each.visit is None else out.study_day(each.visit.day),
        "timing": each.timing.value,
        "status": target.status.value,
        "probability_imaging": target.probability_imaging,
        "asdas": each.asdas.value,
        "activity": each.activity and each.activity.value,
        "improvement": each.improvement and each.improvement.value,
        "asdas_change": each.asdas_change,
        "sparcc": score.value,
        "sparcc_change": each.sparcc_change,
        "score_source": score.source.value,
        "readers": " ".join(score.readers) or None,
        "reader_difference": score.difference,
        "distance_sparcc": target.imaging_half.distance,
        "confirmed": each.confirmed,
        "sustained": each.sustained,
        "flare": each.flare,
        "rescue": each.rescue,
        "reasons": "; ".join(target.reasons) or None,
    }
    for clinical in ClinicalDefinition:
        row[f"clinical_{clinical.value}"] = target.clinical[clinical].met
        row[f"distance_{clinical.value}"] = target.clinical[clinical].distance
        for imaging in ImagingDefinition:
            row[f"imaging_{imaging.value}"] = target.imaging[imaging].met
            row[f"status_{clinical.value}_{imaging.value}"] = target.status_by(clinical, imaging).value
    return row
