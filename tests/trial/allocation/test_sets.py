"""Analysis sets and flow: every reason, and sums that count each participant once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sparcc_pipeline.trial.allocation.consort import consort
from sparcc_pipeline.trial.allocation.sets import Exclusion, analysis_sets
from sparcc_pipeline.trial.assessment import assess_trial
from sparcc_pipeline.trial.doses import DoseFault
from sparcc_pipeline.trial.records import ClinicalVisit, Participant, Screening, TrialData
from sparcc_pipeline.trial.summary import courses, entries

from ..builders import protocol, readings, visit

PROTOCOL = protocol()
ABLE = Screening(
    age_years=35,
    alt_u_l=20,
    alt_uln_u_l=40,
    ast_u_l=20,
    ast_uln_u_l=40,
    bilirubin_umol_l=10,
    bilirubin_uln_umol_l=21,
    egfr_ml_min=95,
    haemoglobin_g_l=140,
    neutrophils_1e9_l=4,
    platelets_1e9_l=250,
    lymphocytes_1e9_l=2,
    nyha_class=0,
    pregnancy=False,
    malignancy=False,
    tuberculosis=False,
    live_vaccine=False,
    other_inclusion_met=True,
    other_exclusion=False,
)
ALL = tuple(each.visit for each in PROTOCOL.visits)


def person(
    name: str, attended: Sequence[str] = ALL, screening: Screening = ABLE, end: str | None = None, **last: Any
) -> TrialData:
    """A participant with these visits; `last` changes the last of them."""
    visits: list[ClinicalVisit] = []
    for number, each in enumerate(attended):
        more: dict[str, Any] = last if number == len(attended) - 1 else {}
        visits.append(visit(name, each, item=5.0 if each == "W0" else 1.0, **more))
    read = [r for each in attended for r in readings(8.0, 8.0, participant=name, name=each)]
    return TrialData([Participant(name, "S1", screening, end)], visits, read)


def joined(*people: TrialData) -> TrialData:
    return TrialData(
        [each for data in people for each in data.participants],
        [each for data in people for each in data.visits],
        [each for data in people for each in data.readings],
    )


PEOPLE = joined(
    person("whole"),
    person("baseline only", ["W0"], end="withdrew_consent"),
    person("old", screening=Screening(**{**vars(ABLE), "age_years": 70})),
    person("unknown", screening=Screening(**{**vars(ABLE), "egfr_ml_min": None})),
    person("rescued", rescue=True),
    person("no crp", crp_mg_l=None),
    person("left", ALL[:4]),
    person("stepped"),
    person("screened", ["W0"], screening=Screening(**{**vars(ABLE), "age_years": 70})),
    person("not listed"),
)
ARMS = {
    **dict.fromkeys(("whole", "baseline only", "old", "unknown"), "taper"),
    **dict.fromkeys(("rescued", "no crp", "left", "stepped", "no data"), "control"),
}
OF = courses(assess_trial(PEOPLE, PROTOCOL))
ENTRY = entries(OF, PROTOCOL)
MEMBERS = analysis_sets(ARMS, OF, ENTRY, {"stepped": [DoseFault.ARM_WITHOUT_STEPS]})


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("whole", []),
        ("baseline only", [Exclusion.NOT_FOLLOWED, Exclusion.NO_LAST_VISIT]),
        ("old", [Exclusion.NOT_ELIGIBLE]),
        ("unknown", [Exclusion.ENTRY_UNKNOWN]),
        ("rescued", [Exclusion.RESCUE]),
        ("no crp", [Exclusion.NO_LAST_VISIT]),
        ("left", [Exclusion.NO_LAST_VISIT]),
        ("stepped", [Exclusion.DOSE]),
        ("no data", [Exclusion.NO_DATA]),
    ],
)
def test_reasons_against_the_per_protocol_set(name: str, reasons: list[Exclusion]) -> None:
    member = next(each for each in MEMBERS if each.participant == name)

    assert list(member.exclusions) == reasons
    assert member.per_protocol is not bool(reasons)


def test_everyone_in_the_allocation_is_in_the_intention_to_treat_set() -> None:
    assert {each.participant: each.arm for each in MEMBERS} == ARMS


def test_the_flow_counts_everyone_once() -> None:
    found = consort(OF, ENTRY, MEMBERS, {"taper": 100, "control": 50})

    assert found.screened == len(PEOPLE.participants) + 1
    assert found.randomised == len(ARMS) == sum(arm.allocated for arm in found.arms)
    assert found.screened == found.randomised + found.not_eligible + found.not_known + found.eligible
    assert (found.not_eligible, found.not_known, found.eligible, found.followed) == (1, 0, 1, 1)
    assert found.reasons == {"age": 1}
    for arm in found.arms:
        assert arm.allocated == arm.completed + sum(arm.ended.values()) + arm.without_data == arm.analysed
        assert sum(arm.last_records.values()) == sum(arm.ended.values())


def test_the_flow_of_each_arm() -> None:
    taper, control = consort(OF, ENTRY, MEMBERS, {"taper": 100, "control": 50}).arms

    assert (taper.planned, taper.allocated, taper.completed, taper.per_protocol) == (100, 4, 3, 1)
    assert taper.ended == {"withdrew_consent": 1} and taper.last_records == {"W0": 1}
    assert (control.allocated, control.completed, control.without_data, control.per_protocol) == (5, 3, 1, 0)
    assert control.ended == {"": 1} and control.last_records == {"W36": 1}
    assert control.exclusions[Exclusion.NO_LAST_VISIT] == 2
