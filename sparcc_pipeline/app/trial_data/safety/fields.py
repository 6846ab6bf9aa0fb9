"""Columns of the tables of safety: adverse events, laboratory values, deviations. Part of the data dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparcc_pipeline.app.trial_data.read.fields import Field, Kind, Place
from sparcc_pipeline.trial.monitoring.safety_records import HIGHEST_GRADE

TEST_UNITS: Final[Mapping[str, str]] = {
    "alt": "U/L",
    "ast": "U/L",
    "bilirubin": "umol/L",
    "creatinine": "umol/L",
    "creatine_kinase": "U/L",
    "egfr": "mL/min",
    "haemoglobin": "g/L",
    "neutrophils": "10^9/L",
    "lymphocytes": "10^9/L",
    "platelets": "10^9/L",
    "total_cholesterol": "mmol/L",
    "ldl_cholesterol": "mmol/L",
    "hdl_cholesterol": "mmol/L",
    "triglycerides": "mmol/L",
}
"""Laboratory tests of the follow-up with their unit; a value in another unit is asked about and does not count."""

OUTCOMES: Final = ("recovered", "recovering", "not recovered", "recovered with sequelae", "fatal", "unknown")

_ID_ALIASES: Final = (
    "record_id",
    "subject",
    "subject_id",
    "subjid",
    "usubjid",
    "participant_id",
    "受试者编号",
    "受试者",
    "研究编号",
    "患者编号",
    "筛选号",
    "入组编号",
)
_VISIT_ALIASES: Final = ("redcap_event_name", "event", "visit_name", "访视", "访视名称", "访视编号", "随访")
_GRADE: Final = "CTCAE grade as the site gives it; never derived"
_ANY: Final = (None, None)


def _keys(place: Place) -> tuple[Field, Field]:
    return (
        Field(
            "participant",
            place,
            Kind.IDENTIFIER,
            "trial number of the participant, never a name",
            aliases=_ID_ALIASES,
            cdisc="DM.SUBJID",
        ),
        Field("visit", place, Kind.TEXT, "planned visit, for instance W12", aliases=_VISIT_ALIASES, cdisc="SV.VISIT"),
    )


def _field(
    place: Place,
    kind: Kind,
    name: str,
    label: str,
    cdisc: str,
    aliases: str = "",
    limits: tuple[float | None, float | None] = _ANY,
    words: tuple[str, ...] = (),
) -> Field:
    return Field(name, place, kind, label, *limits, "", tuple(aliases.split()), cdisc, words)


_AE: Final = Place.ADVERSE_EVENT
_LAB: Final = Place.LABORATORY
_DV: Final = Place.DEVIATION

SAFETY_FIELDS: Final = (
    _keys(_AE)[0],
    _field(
        _AE, Kind.TEXT, "term", "adverse event, in the words of the site", "AE.AETERM", "ae_term aeterm 不良事件名称"
    ),
    _field(_AE, Kind.TEXT, "category", "body system, as the site codes it", "AE.AEBODSYS", "soc aebodsys 系统器官分类"),
    _field(_AE, Kind.DATE, "start_date", "first day", "AE.AESTDTC", "ae_start aestdtc 开始日期"),
    _field(_AE, Kind.DATE, "end_date", "last day; empty while it lasts", "AE.AEENDTC", "ae_end aeendtc 结束日期"),
    _field(_AE, Kind.WHOLE, "ctcae_grade", _GRADE, "AE.AETOXGR", "aetoxgr grade CTCAE分级 分级", (1, HIGHEST_GRADE)),
    _field(_AE, Kind.YES_NO, "serious", "serious adverse event", "AE.AESER", "sae aeser 严重不良事件"),
    _field(_AE, Kind.YES_NO, "related", "related to the study drug, by the investigator", "AE.AEREL", "aerel 相关性"),
    _field(_AE, Kind.YES_NO, "special_interest", "event of special interest", "AE.AESPINT", "aesi 特别关注事件"),
    _field(_AE, Kind.WORD, "outcome", "outcome", "AE.AEOUT", "aeout 转归", words=OUTCOMES),
    *_keys(_LAB),
    _field(_LAB, Kind.WORD, "test", "laboratory test", "LB.LBTESTCD", "lbtestcd 检验项目", words=tuple(TEST_UNITS)),
    _field(_LAB, Kind.NUMBER, "value", "value", "LB.LBORRES", "lborres result 结果", (0, 1e6)),
    _field(_LAB, Kind.TEXT, "unit", "unit of value and limits", "LB.LBORRESU", "lborresu 单位"),
    _field(_LAB, Kind.NUMBER, "lower_limit", "lower limit of normal", "LB.LBORNRLO", "lln lbornrlo 下限", (0, 1e6)),
    _field(_LAB, Kind.NUMBER, "upper_limit", "upper limit of normal", "LB.LBORNRHI", "uln lbornrhi 上限", (0, 1e6)),
    _field(
        _LAB, Kind.WHOLE, "ctcae_grade", f"{_GRADE}; 0 for none", "LB.LBTOXGR", "lbtoxgr CTCAE分级", (0, HIGHEST_GRADE)
    ),
    *_keys(_DV),
    _field(_DV, Kind.DATE, "date", "day of the deviation", "DV.DVSTDTC", "dvstdtc 偏离日期"),
    _field(_DV, Kind.TEXT, "category", "kind of deviation", "DV.DVDECOD", "dvdecod 偏离类别"),
    _field(_DV, Kind.TEXT, "description", "the deviation, in the words of the site", "DV.DVTERM", "dvterm 偏离描述"),
    _field(_DV, Kind.YES_NO, "major", "major deviation, by the site", "DV.DVMAJOR", "重大偏离"),
)
"""Every column of the tables of safety."""
