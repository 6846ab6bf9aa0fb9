"""Every column that an input table of a trial may have, with its range, unit and other headers.

Contents: `FIELDS`, `CLINICAL`, `NSAID_SLOTS`. `dictionary.py` builds the models that check cells, and the published
data dictionary, from this table. Items of questionnaires have numbers only: their texts belong to their owners.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.trial_data.read.fields import Field, Kind, Place
from sparcc_pipeline.app.trial_data.safety.fields import SAFETY_FIELDS
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.trial import instruments as ins
from sparcc_pipeline.trial.crp import HIGHEST_CRP_MG_L
from sparcc_pipeline.trial.items import ITEMS
from sparcc_pipeline.trial.reading import LARGEST_TOTAL

NSAID_SLOTS: Final = 4
"""Number of drugs that a visit can list."""

_NUMBER, _WHOLE, _YES_NO, _TEXT = Kind.NUMBER, Kind.WHOLE, Kind.YES_NO, Kind.TEXT
_ANY: Final = (None, None)
_ITEM: Final = (0, ins.LARGEST_ITEM)

_HEADERS: Final[Mapping[str, str]] = {
    "participant": "record_id subject subject_id subjid usubjid participant_id "
    "受试者编号 受试者 研究编号 患者编号 筛选号 入组编号",
    "visit": "redcap_event_name event visit_name 访视 访视名称 访视编号 随访",
    "site": "redcap_data_access_group center centre siteid 中心 研究中心 中心编号",
    "age_years": "age 年龄",
    "alt_u_l": "alt 谷丙转氨酶 丙氨酸氨基转移酶",
    "alt_uln_u_l": "alt_uln 谷丙转氨酶上限 丙氨酸氨基转移酶上限",
    "ast_u_l": "ast 谷草转氨酶 天门冬氨酸氨基转移酶",
    "ast_uln_u_l": "ast_uln 谷草转氨酶上限 天门冬氨酸氨基转移酶上限",
    "bilirubin_umol_l": "总胆红素",
    "bilirubin_uln_umol_l": "总胆红素上限",
    "egfr_ml_min": "egfr 肾小球滤过率 估算肾小球滤过率",
    "haemoglobin_g_l": "hemoglobin_g_l hb_g_l 血红蛋白 血红蛋白(g/L)",
    "neutrophils_1e9_l": "neutrophils neut 中性粒细胞 中性粒细胞计数 中性粒细胞绝对值",
    "platelets_1e9_l": "platelets plt 血小板 血小板计数",
    "lymphocytes_1e9_l": "lymphocytes lymph 淋巴细胞 淋巴细胞计数 淋巴细胞绝对值",
    "nyha_class": "nyha 心功能分级 NYHA分级",
    "pregnancy": "pregnant 妊娠 妊娠或哺乳",
    "malignancy": "恶性肿瘤",
    "tuberculosis": "tb 结核 结核病",
    "live_vaccine": "活疫苗",
    "other_inclusion_met": "其他入选标准均符合 其他纳入标准均符合",
    "other_exclusion": "符合其他排除标准",
    "end_reason": "退出原因 脱落原因 withdrawal_reason",
    "stratum": "分层 分层因素",
    "block": "区组 区组号",
    "randomised_on": "randomization_date randomised_date 随机日期 随机化日期",
    "allocation_number": "随机号 随机序号",
    "visit_date": "date 访视日期 随访日期 日期",
    "patient_global": "ptga patient_global_assessment 患者总体评价 患者整体评估",
    "crp_mg_l": "CRP(mg/L) C反应蛋白(mg/L) C-反应蛋白mg/L",
    "crp_mg_dl": "CRP(mg/dL) C反应蛋白(mg/dL)",
    "esr_mm_h": "esr 血沉 血沉(mm/h) 红细胞沉降率",
    "asdas_form": "ASDAS公式",
    "nsaid_taken": "是否使用NSAID 是否服用非甾体抗炎药",
    "nsaid_period_days": "NSAID统计天数",
    "rescue": "rescue_treatment 补救治疗 挽救治疗",
    "drug_ended": "终止研究药物 永久停用研究药物",
    "reader": "阅片者 阅片人",
    "total": "sparcc sparcc_total SPARCC总分",
    "locked": "已锁定 锁定",
    "adjudicator": "仲裁",
    "asas_positive": "ASAS阳性",
    "repeat": "重复",
    "kind": "阅片类型",
    "path": "score folder 路径",
    "arm": "组别 分组",
}
"""Other headers of a column, by its name, separated by blanks."""


def _field(
    place: Place,
    kind: Kind,
    name: str,
    label: str,
    cdisc: str = "",
    limits: tuple[float | None, float | None] = _ANY,
    unit: str = "",
    words: tuple[str, ...] = (),
) -> Field:
    """A column with the headers of `_HEADERS`."""
    return Field(name, place, kind, label, *limits, unit, tuple(_HEADERS.get(name, "").split()), cdisc, words)


def _keys(place: Place, with_visit: bool = True) -> Iterator[Field]:
    yield _field(place, Kind.IDENTIFIER, "participant", "trial number of the participant, never a name", "DM.SUBJID")
    if with_visit:
        yield _field(place, _TEXT, "visit", "planned visit, for instance W12", "SV.VISIT")


HIGHEST_NEUTROPHILS: Final = 30.0
"""A higher number of neutrophils, in 10^9/L, is a percentage or an error. A project decision: healthy people have 2-8,
and 30-80 is the usual range of the percentage."""

HIGHEST_LYMPHOCYTES: Final = 15.0
"""A higher number of lymphocytes, in 10^9/L, is a percentage or an error. A project decision."""

_LABORATORY: Final = (
    ("age_years", "age at entry", "DM.AGE", (0, 120), "years"),
    ("alt_u_l", "ALT", "LB.ALT", (0, 5000), "U/L"),
    ("alt_uln_u_l", "ALT, upper limit of normal", "LB.ALT.LBSTNRHI", (5, 200), "U/L"),
    ("ast_u_l", "AST", "LB.AST", (0, 5000), "U/L"),
    ("ast_uln_u_l", "AST, upper limit of normal", "LB.AST.LBSTNRHI", (5, 200), "U/L"),
    ("bilirubin_umol_l", "total bilirubin", "LB.BILI", (0, 1000), "umol/L"),
    ("bilirubin_uln_umol_l", "total bilirubin, upper limit of normal", "LB.BILI.LBSTNRHI", (5, 100), "umol/L"),
    ("egfr_ml_min", "estimated glomerular filtration rate", "LB.GFRE", (0, 250), "mL/min"),
    ("haemoglobin_g_l", "haemoglobin", "LB.HGB", (30, 250), "g/L"),
    ("neutrophils_1e9_l", "neutrophils", "LB.NEUT", (0, HIGHEST_NEUTROPHILS), "10^9/L"),
    ("platelets_1e9_l", "platelets", "LB.PLAT", (1, 2000), "10^9/L"),
    ("lymphocytes_1e9_l", "lymphocytes", "LB.LYM", (0, HIGHEST_LYMPHOCYTES), "10^9/L"),
)
"""Age and laboratory values of a participant: name, label, CDISC-like name, range, unit."""

_ANSWERS: Final = (
    ("pregnancy", "pregnant or breast-feeding; 0 for a man", "MH.PREGNANT"),
    ("malignancy", "malignancy that excludes", "MH.MALIGN"),
    ("tuberculosis", "active or untreated latent tuberculosis", "MH.TUBERC"),
    ("live_vaccine", "live vaccine in the time that excludes", "MH.LIVEVACC"),
    ("other_inclusion_met", "all inclusion criteria of the protocol without a column here are met", "IE.OTHERINC"),
    ("other_exclusion", "an exclusion criterion of the protocol without a column here is present", "IE.OTHEREXC"),
)
"""Criteria that the site answers with yes or no: name, label, CDISC-like name."""

_ESR: Final = ("esr_mm_h", "erythrocyte sedimentation rate", "LB.ESR", (0, ins.HIGHEST_ESR_MM_H), "mm/h")

_BLOOD_TESTS: Final = (
    ("crp_mg_l", "C-reactive protein in mg/L", "LB.CRP", (0, HIGHEST_CRP_MG_L), "mg/L"),
    ("crp_mg_dl", "C-reactive protein in mg/dL", "LB.CRP", (0, HIGHEST_CRP_MG_L / 10), "mg/dL"),
    _ESR,
)
"""Blood tests of a visit: name, label, CDISC-like name, range, unit."""


END_REASONS: Final = (
    "lost_to_follow_up",
    "withdrew_consent",
    "adverse_event",
    "lack_of_effect",
    "decision_of_the_physician",
    "pregnancy",
    "death",
    "other",
)
"""Words for the end of a participation."""


def _participant_fields() -> Iterator[Field]:
    yield _field(Place.PARTICIPANT, _TEXT, "site", "site", "DM.SITEID")
    for row in _LABORATORY:
        yield _field(Place.PARTICIPANT, _NUMBER, *row)
    nyha = "class of heart failure of the New York Heart Association; 0 without heart failure"
    yield _field(Place.PARTICIPANT, _WHOLE, "nyha_class", nyha, "FT.NYHA", (0, 4))
    for answer in _ANSWERS:
        yield _field(Place.PARTICIPANT, _YES_NO, *answer)
    ended = "why the participant left the trial; empty for those who did not"
    yield _field(Place.PARTICIPANT, Kind.WORD, "end_reason", ended, "DS.DSDECOD", words=END_REASONS)


def _items(name: str, label: str, count: int, kind: Kind) -> Iterator[Field]:
    """The items of a questionnaire."""
    highest = 1.0 if kind is _YES_NO else ins.LARGEST_ITEM
    for n in range(1, count + 1):
        aliases = (f"{label}第{n}题", f"{label}条目{n}", f"{name}{n}", f"{name}_q{n}", f"{name}_item_{n}")
        code = f"QS.{name.upper().replace('_', '')}{n:02d}"
        yield Field(f"{name}_{n}", Place.VISIT, kind, f"{label}, item {n}", 0, highest, "", aliases, code)


def _visit_fields() -> Iterator[Field]:
    place = Place.VISIT
    yield _field(place, Kind.DATE, "visit_date", "day of the visit", "SV.SVSTDTC")
    yield from _items("basdai", "BASDAI", ins.BASDAI_ITEMS, _NUMBER)
    yield _field(place, _NUMBER, "patient_global", "patient global", "QS.PTGA", _ITEM)
    for row in _BLOOD_TESTS:
        yield _field(place, _NUMBER if row is _ESR else Kind.DETECTABLE, *row)
    yield _field(place, _TEXT, "asdas_form", "form of ASDAS that the site uses: crp or esr", "QS.QSMETHOD")
    yield from _items("basfi", "BASFI", ins.BASFI_ITEMS, _NUMBER)
    yield from _items("asas_hi", "ASAS-HI", ins.ASAS_HI_ITEMS, _YES_NO)
    yield from _items("asqol", "ASQoL", ins.ASQOL_ITEMS, _YES_NO)
    yield from _nsaid_fields()
    yield _field(place, _YES_NO, "rescue", "rescue treatment since the visit before", "CM.RESCUE")
    yield _field(place, _YES_NO, "drug_ended", "study drug ended for good since the visit before", "DS.DRUGEND")


def _nsaid_fields() -> Iterator[Field]:
    place = Place.VISIT
    period = "days of the period of the NSAID index"
    yield _field(place, _YES_NO, "nsaid_taken", "NSAID taken since the visit before", "CM.CMOCCUR")
    yield _field(place, _NUMBER, "nsaid_period_days", period, "CM.PERIOD", (1, 366), "days")
    for n in range(1, NSAID_SLOTS + 1):
        drug, dose, days = f"NSAID {n}: drug", f"NSAID {n}: dose a day", f"NSAID {n}: days taken"
        yield Field(f"nsaid_{n}_drug", place, _TEXT, drug, aliases=(f"NSAID药名{n}",), cdisc="CM.CMTRT")
        yield Field(f"nsaid_{n}_dose_mg", place, _NUMBER, dose, 0, 5000, "mg", (f"NSAID日剂量{n}",), "CM.CMDOSTOT")
        yield Field(f"nsaid_{n}_days", place, _NUMBER, days, 0, 366, "days", (f"NSAID天数{n}",), "CM.DAYS")


def _reading_fields() -> Iterator[Field]:
    place = Place.READING
    total = "SPARCC total of the reading; empty where not evaluable"
    repeat = "1, or 2 and more for the same images read again by the same reader"
    yield from _keys(place)
    yield _field(place, Kind.IDENTIFIER, "reader", "reader", "MO.MOEVALID")
    yield _field(place, _WHOLE, "total", total, "MO.SPARCC", (0, LARGEST_TOTAL))
    yield _field(place, _YES_NO, "locked", "the reading is locked", "MO.LOCKED")
    yield _field(place, _YES_NO, "adjudicator", "third reading", "MO.ADJUD")
    yield _field(place, _YES_NO, "asas_positive", "ASAS-positive MRI", "MO.ASASPOS")
    yield _field(place, _WHOLE, "repeat", repeat, "MO.REPEAT", (1, 20))


def _item_fields() -> Iterator[Field]:
    place = Place.ITEM
    kind, kinds = (
        "primary reading, revised after a second opinion, or adjudication",
        ("primary", "revised", "adjudication"),
    )
    number = "slice among the six, counted from the most anterior one"
    index = "slice of the series, 0 for the most anterior one"
    item = "quadrant, or the joint's point for intensity or depth"
    sides = tuple(side.value for side in Side)
    yield from _keys(place)
    yield _field(place, Kind.IDENTIFIER, "reader", "reader", "MO.MOEVALID")
    yield _field(place, Kind.WORD, "kind", kind, words=kinds)
    yield _field(place, _WHOLE, "repeat", "as in the readings", "MO.REPEAT", (1, 20))
    yield _field(place, _WHOLE, "slice", number, limits=(1, SLICES_SCORED))
    yield _field(place, _WHOLE, "slice_index", index, limits=(0, 999))
    yield _field(place, Kind.WORD, "joint", "joint, the patient's", words=sides)
    yield _field(place, Kind.WORD, "item", item, "MO.MOTESTCD", words=ITEMS)
    yield _field(place, _YES_NO, "value", "point; empty where not evaluable", "MO.MOORRES")
    yield _field(place, _TEXT, "reason", "why it is not evaluable", "MO.MOREASND")


def _other_fields() -> Iterator[Field]:
    """Columns of the manifest, the allocation and the doses."""
    path = "folder of `sparcc score`, relative to the manifest's own folder"
    dose_step = "step of the taper from this visit on, 0 for the full dose"
    yield from _keys(Place.MANIFEST)
    yield _field(Place.MANIFEST, _TEXT, "path", path)
    yield _field(Place.MANIFEST, Kind.IDENTIFIER, "site", "number of the site", "DM.SITEID")
    outline = "outline of edema on the scored series: NIfTI file or DICOM Segmentation, relative as well"
    yield _field(Place.MANIFEST, _TEXT, "outline", outline)
    yield from _keys(Place.ALLOCATION, with_visit=False)
    yield _field(Place.ALLOCATION, _TEXT, "arm", "name of the arm in the protocol file", "DM.ARM")
    stratum = "stratum of the randomisation"
    number = "place in the list of the stratum"
    yield _field(Place.ALLOCATION, _TEXT, "stratum", stratum)
    yield _field(Place.ALLOCATION, Kind.IDENTIFIER, "block", "block of the randomisation within the stratum")
    yield _field(Place.ALLOCATION, Kind.DATE, "randomised_on", "day of the randomisation", "DS.DSSTDTC")
    yield _field(Place.ALLOCATION, _WHOLE, "allocation_number", number, limits=(1, 100_000))
    yield from _keys(Place.DOSING)
    yield _field(Place.DOSING, _WHOLE, "dose_step", dose_step, "EX.STEP", (0, 2))


FIELDS: Final = (
    *_keys(Place.VISIT),
    *_participant_fields(),
    *_visit_fields(),
    *_reading_fields(),
    *_item_fields(),
    *_other_fields(),
    *SAFETY_FIELDS,
)
"""Every column of every input table."""

CLINICAL: Final = (Place.VISIT, Place.PARTICIPANT)
"""A clinical table may hold columns of participants and of visits, in one file or in several."""
