"""Assumptions of a simulated trial: typed values, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.protocol.choices import CHOICES, ChoiceValue

SCHEMA: Final = "sparcc-simulation/1"


@dataclass(frozen=True)
class Activity:
    """Activity on MRI, and the thresholds above which a quadrant has edema. Doses are shares of the full dose.

    More than ten fields: they are the keys of one table of the file, and every one is a parameter of one model.
    """

    baseline_mean: float
    baseline_sd: float
    effect_mean: float
    effect_sd: float
    visit_sd: float
    half_time_weeks: float
    half_effect_dose: float
    side_sd: float
    quadrant_sd: float
    slice_sd: float
    intense_from: float
    deep_from: float


@dataclass(frozen=True)
class Clinical:
    """Clinical activity (standard deviation 1 at entry), and the answers and CRP that follow from it.

    More than ten fields: they are the keys of one table of the file, and every one is a parameter of one model.
    """

    item_mean: float
    item_slope: float
    item_sd: float
    effect_mean: float
    effect_sd: float
    visit_sd: float
    imaging_correlation: float
    crp_median_mg_l: float
    crp_slope: float
    crp_sd: float
    esr_median_mm_h: float
    peripheral_lower: float
    function_lower: float
    health_share: float
    health_slope: float
    abnormal_laboratory: float


@dataclass(frozen=True)
class Reader:
    """Errors of a reader on the scale of activity: of an item, of a reading, and between readers."""

    item_sd: float
    case_sd: float
    severity_sd: float
    not_evaluable: float
    read_again: float


@dataclass(frozen=True)
class Machine:
    """Errors of the machine on the same scale, and the error that it reports for its total."""

    item_sd: float
    case_sd: float
    severity: float
    total_sd: float
    unscorable: float


@dataclass(frozen=True)
class Conduct:
    """Conduct of the trial: sites, dropout, missing data, days of the visits."""

    site_shares: tuple[float, ...]
    dropout_a_visit: float
    missed_visit: float
    missed_mri: float
    missing_item: float
    missing_crp: float
    day_sd: float
    late_visit: float


@dataclass(frozen=True)
class Margins:
    """Largest acceptable disadvantage of the taper arm in the change since baseline."""

    sparcc: float
    asdas: float


@dataclass(frozen=True)
class Assumptions:
    """All assumptions of a simulation; `values` and `sources` are by dotted name."""

    activity: Activity
    clinical: Clinical
    reader: Reader
    machine: Machine
    conduct: Conduct
    margins: Margins
    choices: Mapping[str, ChoiceValue]
    values: Mapping[str, object]
    sources: Mapping[str, str]


_GROUPS: Final[Mapping[str, type]] = {
    "activity": Activity,
    "clinical": Clinical,
    "reader": Reader,
    "machine": Machine,
    "conduct": Conduct,
    "margins": Margins,
}
_MAY_BE_NEGATIVE: Final = frozenset({"activity.baseline_mean", "machine.severity", "clinical.imaging_correlation"})


def assumptions_from(content: Mapping[str, Any], file: str) -> Assumptions:
    """Return the assumptions from the content of a file.

    Raises
    ------
    ConfigError : wrong schema, an unknown or missing key, or a value without source or out of range
    """
    if content.get("schema") != SCHEMA:
        raise ConfigError(f"expected schema {SCHEMA!r} in {file}, found {content.get('schema')!r}; correct it")
    unknown = set(content) - set(_GROUPS) - {"schema", "choices"}
    if unknown:
        raise ConfigError(f"expected the tables {', '.join(_GROUPS)} and choices in {file}, found {sorted(unknown)}")
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    groups = {}
    for group, kind in _GROUPS.items():
        table = _table(content, group, {field.name for field in fields(kind)}, file)
        for key, (value, source) in table.items():
            values[f"{group}.{key}"], sources[f"{group}.{key}"] = _checked(f"{group}.{key}", value, file), source
        groups[group] = kind(**{key: values[f"{group}.{key}"] for key in table})
    open_ = {choice.key: {option.value for option in choice.options} for choice in CHOICES}
    choices = _table(content, "choices", set(open_), file)
    for key, (value, source) in choices.items():
        if value not in open_[key]:
            raise ConfigError(
                f"expected one of {sorted(map(str, open_[key]))} at choices.{key} in {file}, found {value!r}"
            )
        values[f"choices.{key}"], sources[f"choices.{key}"] = value, source
    return Assumptions(
        **groups, choices={key: value for key, (value, _) in choices.items()}, values=values, sources=sources
    )


def _table(content: Mapping[str, Any], group: str, keys: set[str], file: str) -> dict[str, tuple[Any, str]]:
    table = content.get(group)
    if not isinstance(table, Mapping) or set(table) != keys:
        found = sorted(table) if isinstance(table, Mapping) else table
        raise ConfigError(f"expected [{group}] in {file} with the keys {sorted(keys)}, found {found}; correct it")
    pairs = {}
    for key, setting in table.items():
        if (
            not isinstance(setting, Mapping)
            or set(setting) != {"value", "source"}
            or not str(setting["source"]).strip()
        ):
            raise ConfigError(
                f'expected {group}.{key} = {{ value = ..., source = "..." }} in {file}, found {setting!r}; name the '
                'source, or "assumption"'
            )
        pairs[key] = (setting["value"], str(setting["source"]))
    return pairs


def _checked(name: str, value: Any, file: str) -> object:
    """The value of a key: a number of 0 or more (a few may be negative), or the shares of the sites with sum 1."""
    if name == "conduct.site_shares":
        shares = value if isinstance(value, list) else []
        if not shares or not all(_is_number(each) and each > 0 for each in shares) or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(f"expected positive shares with sum 1 at {name} in {file}, found {value!r}; correct them")
        return tuple(float(each) for each in shares)
    if not _is_number(value) or (value < 0 and name not in _MAY_BE_NEGATIVE):
        raise ConfigError(f"expected a number of 0 or more at {name} in {file}, found {value!r}; correct it")
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
