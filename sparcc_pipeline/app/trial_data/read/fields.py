"""Every column that an input table of a trial may have, with range, unit and other names.

There: `FIELDS`, `Field`, `Kind`, `Place`. `dictionary.py` makes the models that check rows, and the published data
dictionary, from it. Item texts of questionnaires belong to their owners: items have numbers only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.trial import instruments as ins
from sparcc_pipeline.trial.items import ITEMS
from sparcc_pipeline.trial.reading import LARGEST_TOTAL

NSAID_SLOTS: Final = 4
"""Drugs of one visit."""


class Kind(StrEnum):
    """Kinds of a column."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole number"
    YES_NO = "yes or no"
    DATE = "date"
    WORD = "one of some words"


class Place(StrEnum):
    """What a column describes."""

    PARTICIPANT = "participant"
    VISIT = "visit"
    READING = "reading"
    ITEM = "reading item"
    MANIFEST = "manifest"
    ALLOCATION = "allocation"
    DOSING = "dosing"


@dataclass(frozen=True)
class Field:
    """One column.

    Parameters
    ----------
    lowest, highest : of a number, both included
    words : of which a cell holds one
    aliases : other headers that mean it; spaces, punctuation and case do not matter
    cdisc : a CDISC-like name, DOMAIN.VARIABLE or DOMAIN.TESTCD
    """

    name: str
    place: Place
    kind: Kind
    label: str
    lowest: float | None = None
    highest: float | None = None
    unit: str = ""
    aliases: tuple[str, ...] = ()
    cdisc: str = ""
    words: tuple[str, ...] = ()

    @property
    def expected(self) -> Message:
        """What a cell should hold, in words."""
        match self.kind:
            case Kind.NUMBER if self.unit:
                return Message(
                    "a number of {lowest:g}-{highest:g} {unit}",
                    lowest=self.lowest,
                    highest=self.highest,
                    unit=self.unit,
                )
            case Kind.NUMBER:
                return Message("a number of {lowest:g}-{highest:g}", lowest=self.lowest, highest=self.highest)
            case Kind.WHOLE:
                return Message("a whole number of {lowest:g}-{highest:g}", lowest=self.lowest, highest=self.highest)
            case Kind.YES_NO:
                return Message("1 or 0 (yes or no)")
            case Kind.DATE:
                return Message("a date as YYYY-MM-DD")
            case Kind.IDENTIFIER:
                return Message("an identifier of letters, digits, - and _, at most 32")
            case Kind.TEXT:
                return Message("a short text")
            case Kind.WORD:
                return Message("one of {names}", names=self.words)


_P, _V = Place.PARTICIPANT, Place.VISIT
_NUMBER, _WHOLE, _YES_NO, _DATE, _TEXT, _ID = (
    Kind.NUMBER,
    Kind.WHOLE,
    Kind.YES_NO,
    Kind.DATE,
    Kind.TEXT,
    Kind.IDENTIFIER,
)

PARTICIPANT_ALIASES: Final = (
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
VISIT_ALIASES: Final = ("redcap_event_name", "event", "visit_name", "访视", "访视名称", "访视编号", "随访")


def _keys(place: Place, with_visit: bool = True) -> Iterator[Field]:
    yield Field(
        "participant",
        place,
        _ID,
        "trial number of the participant, never a name",
        aliases=PARTICIPANT_ALIASES,
        cdisc="DM.SUBJID",
    )
    if with_visit:
        yield Field("visit", place, _TEXT, "planned visit, for instance W12", aliases=VISIT_ALIASES, cdisc="SV.VISIT")


def _participant_fields() -> Iterator[Field]:
    yield Field(
        "site",
        _P,
        _TEXT,
        "site",
        aliases=("redcap_data_access_group", "center", "centre", "siteid", "中心", "研究中心", "中心编号"),
        cdisc="DM.SITEID",
    )
    yield Field("age_years", _P, _NUMBER, "age at entry", 0, 120, "years", ("age", "年龄"), "DM.AGE")
    for name, label, code, chinese in (
        ("alt", "ALT", "ALT", ("谷丙转氨酶", "丙氨酸氨基转移酶")),
        ("ast", "AST", "AST", ("谷草转氨酶", "天门冬氨酸氨基转移酶")),
    ):
        yield Field(f"{name}_u_l", _P, _NUMBER, label, 0, 5000, "U/L", (name, *chinese), f"LB.{code}")
        yield Field(
            f"{name}_uln_u_l",
            _P,
            _NUMBER,
            f"{label}, upper limit of normal",
            5,
            200,
            "U/L",
            (f"{name}_uln", *(f"{each}上限" for each in chinese)),
            f"LB.{code}.LBSTNRHI",
        )
    yield Field("bilirubin_umol_l", _P, _NUMBER, "total bilirubin", 0, 1000, "umol/L", ("总胆红素",), "LB.BILI")
    yield Field(
        "bilirubin_uln_umol_l",
        _P,
        _NUMBER,
        "total bilirubin, upper limit of normal",
        5,
        100,
        "umol/L",
        ("总胆红素上限",),
        "LB.BILI.LBSTNRHI",
    )
    yield Field(
        "egfr_ml_min",
        _P,
        _NUMBER,
        "estimated glomerular filtration rate",
        0,
        250,
        "mL/min",
        ("egfr", "肾小球滤过率", "估算肾小球滤过率"),
        "LB.GFRE",
    )
    yield Field(
        "haemoglobin_g_l",
        _P,
        _NUMBER,
        "haemoglobin",
        30,
        250,
        "g/L",
        ("hemoglobin_g_l", "hb_g_l", "血红蛋白", "血红蛋白(g/L)"),
        "LB.HGB",
    )
    yield Field(
        "neutrophils_1e9_l", _P, _NUMBER, "neutrophils", 0, 100, "10^9/L", ("中性粒细胞", "中性粒细胞计数"), "LB.NEUT"
    )
    yield Field("platelets_1e9_l", _P, _NUMBER, "platelets", 1, 2000, "10^9/L", ("血小板", "血小板计数"), "LB.PLAT")


def _items(name: str, label: str, count: int, kind: Kind) -> Iterator[Field]:
    highest = 1.0 if kind is _YES_NO else ins.LARGEST_ITEM
    for n in range(1, count + 1):
        aliases = (f"{label}第{n}题", f"{label}条目{n}", f"{name}{n}", f"{name}_q{n}", f"{name}_item_{n}")
        code = f"QS.{name.upper().replace('_', '')}{n:02d}"
        yield Field(f"{name}_{n}", _V, kind, f"{label}, item {n}", 0, highest, "", aliases, code)


def _visit_fields() -> Iterator[Field]:
    yield Field(
        "visit_date",
        _V,
        _DATE,
        "day of the visit",
        aliases=("date", "访视日期", "随访日期", "日期"),
        cdisc="SV.SVSTDTC",
    )
    yield from _items("basdai", "BASDAI", ins.BASDAI_ITEMS, _NUMBER)
    yield Field(
        "patient_global",
        _V,
        _NUMBER,
        "patient global",
        0,
        ins.LARGEST_ITEM,
        "",
        ("ptga", "patient_global_assessment", "患者总体评价", "患者整体评估"),
        "QS.PTGA",
    )
    yield Field(
        "crp_mg_l",
        _V,
        _NUMBER,
        "C-reactive protein in mg/L",
        0,
        ins.HIGHEST_CRP_MG_L,
        "mg/L",
        ("CRP(mg/L)", "C反应蛋白(mg/L)", "C-反应蛋白mg/L"),
        "LB.CRP",
    )
    yield Field(
        "crp_mg_dl",
        _V,
        _NUMBER,
        "C-reactive protein in mg/dL",
        0,
        ins.HIGHEST_CRP_MG_L / 10,
        "mg/dL",
        ("CRP(mg/dL)", "C反应蛋白(mg/dL)"),
        "LB.CRP",
    )
    yield Field(
        "esr_mm_h",
        _V,
        _NUMBER,
        "erythrocyte sedimentation rate",
        0,
        ins.HIGHEST_ESR_MM_H,
        "mm/h",
        ("esr", "血沉", "血沉(mm/h)", "红细胞沉降率"),
        "LB.ESR",
    )
    yield Field(
        "asdas_form",
        _V,
        _TEXT,
        "form of ASDAS that the site uses: crp or esr",
        aliases=("ASDAS公式",),
        cdisc="QS.QSMETHOD",
    )
    yield from _items("basfi", "BASFI", ins.BASFI_ITEMS, _NUMBER)
    yield from _items("asas_hi", "ASAS-HI", ins.ASAS_HI_ITEMS, _YES_NO)
    yield from _items("asqol", "ASQoL", ins.ASQOL_ITEMS, _YES_NO)
    yield Field(
        "nsaid_taken",
        _V,
        _YES_NO,
        "NSAID taken since the visit before",
        aliases=("是否使用NSAID", "是否服用非甾体抗炎药"),
        cdisc="CM.CMOCCUR",
    )
    yield Field(
        "nsaid_period_days",
        _V,
        _NUMBER,
        "days of the period that the NSAID index is of",
        1,
        366,
        "days",
        ("NSAID统计天数",),
        "CM.PERIOD",
    )
    for n in range(1, NSAID_SLOTS + 1):
        yield Field(f"nsaid_{n}_drug", _V, _TEXT, f"NSAID {n}: drug", aliases=(f"NSAID药名{n}",), cdisc="CM.CMTRT")
        yield Field(
            f"nsaid_{n}_dose_mg",
            _V,
            _NUMBER,
            f"NSAID {n}: dose a day",
            0,
            5000,
            "mg",
            (f"NSAID日剂量{n}",),
            "CM.CMDOSTOT",
        )
        yield Field(
            f"nsaid_{n}_days", _V, _NUMBER, f"NSAID {n}: days taken", 0, 366, "days", (f"NSAID天数{n}",), "CM.DAYS"
        )
    yield Field(
        "rescue",
        _V,
        _YES_NO,
        "rescue treatment since the visit before",
        aliases=("rescue_treatment", "补救治疗", "挽救治疗"),
        cdisc="CM.RESCUE",
    )


def _reading_fields() -> Iterator[Field]:
    place = Place.READING
    yield from _keys(place)
    yield Field("reader", place, _ID, "reader", aliases=("阅片者", "阅片人"), cdisc="MO.MOEVALID")
    yield Field(
        "total",
        place,
        _NUMBER,
        "SPARCC total of the reading; empty where not evaluable",
        0,
        LARGEST_TOTAL,
        "",
        ("sparcc", "sparcc_total", "SPARCC总分"),
        "MO.SPARCC",
    )
    yield Field("locked", place, _YES_NO, "the reading is locked", aliases=("已锁定", "锁定"), cdisc="MO.LOCKED")
    yield Field("adjudicator", place, _YES_NO, "third reading", aliases=("仲裁",), cdisc="MO.ADJUD")
    yield Field("asas_positive", place, _YES_NO, "ASAS-positive MRI", aliases=("ASAS阳性",), cdisc="MO.ASASPOS")
    yield Field(
        "repeat",
        place,
        _WHOLE,
        "1, or 2 and more for the same images read again by the same reader",
        1,
        20,
        "",
        ("重复",),
        "MO.REPEAT",
    )


def _item_fields() -> Iterator[Field]:
    place = Place.ITEM
    yield from _keys(place)
    yield Field("reader", place, _ID, "reader", aliases=("阅片者", "阅片人"), cdisc="MO.MOEVALID")
    yield Field(
        "kind",
        place,
        Kind.WORD,
        "primary reading, one revised by a second opinion, or adjudication",
        aliases=("阅片类型",),
        words=("primary", "revised", "adjudication"),
    )
    yield Field("repeat", place, _WHOLE, "as in the readings", 1, 20, "", ("重复",), "MO.REPEAT")
    yield Field("slice", place, _WHOLE, "slice among the six, from the most anterior one on", 1, SLICES_SCORED)
    yield Field("slice_index", place, _WHOLE, "slice of the series, 0 the most anterior one", 0, 999)
    yield Field("joint", place, Kind.WORD, "joint, the patient's", words=tuple(side.value for side in Side))
    yield Field(
        "item",
        place,
        Kind.WORD,
        "quadrant, or the joint's point for intensity or depth",
        words=ITEMS,
        cdisc="MO.MOTESTCD",
    )
    yield Field("value", place, _YES_NO, "point; empty where not evaluable", cdisc="MO.MOORRES")
    yield Field("reason", place, _TEXT, "why it is not evaluable", cdisc="MO.MOREASND")


FIELDS: Final = (
    *_keys(Place.VISIT),
    *_participant_fields(),
    *_visit_fields(),
    *_reading_fields(),
    *_item_fields(),
    *_keys(Place.MANIFEST),
    Field(
        "path",
        Place.MANIFEST,
        _TEXT,
        "folder of `sparcc score`, from the manifest's own folder on",
        aliases=("score", "folder", "路径"),
    ),
    *_keys(Place.ALLOCATION, with_visit=False),
    Field(
        "arm", Place.ALLOCATION, _TEXT, "name of the arm in the protocol file", aliases=("组别", "分组"), cdisc="DM.ARM"
    ),
    *_keys(Place.DOSING),
    Field(
        "dose_step",
        Place.DOSING,
        _WHOLE,
        "step of the taper from this visit on, 0 the full dose",
        0,
        2,
        "",
        (),
        "EX.STEP",
    ),
)
"""Every column of every input table."""

CLINICAL: Final = (Place.VISIT, Place.PARTICIPANT)
"""A clinical table may hold columns of participants and of visits, in one file or in several."""
