"""Read the assumptions of a simulation from the content of a file: every key known, in range, with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.assumptions import (
    CALIBRATED,
    CAN_BE_CALIBRATED,
    HIERARCHIES,
    LARGEST_MARGINS,
    Activity,
    Analysis,
    Assumptions,
    Clinical,
    Conduct,
    Expected,
    Machine,
    Margins,
    Reader,
)
from sparcc_pipeline.trial.protocol.choices import CHOICES

SCHEMA: Final = "sparcc-simulation/1"

_GROUPS: Final[Mapping[str, type]] = {
    "activity": Activity,
    "clinical": Clinical,
    "reader": Reader,
    "machine": Machine,
    "conduct": Conduct,
    "margins": Margins,
    "analysis": Analysis,
    "expected": Expected,
}
_MAY_BE_NEGATIVE: Final = frozenset(
    {
        "activity.baseline_mean",
        "machine.severity",
        "clinical.imaging_correlation",
        "conduct.dropout_seen",
        "conduct.dropout_unseen",
    }
)


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
        groups[group] = _group(kind, group, values)
    _require_lengths(values, file)
    open_ = {choice.key: {option.value for option in choice.options} for choice in CHOICES}
    choices = _table(content, "choices", set(open_), file)
    for key, (value, source) in choices.items():
        if value not in open_[key]:
            raise ConfigError(
                f"expected one of {sorted(map(str, open_[key]))} at choices.{key} in {file}, found {value!r}"
            )
        values[f"choices.{key}"], sources[f"choices.{key}"] = value, source
    return Assumptions(
        **groups,
        choices={key: value for key, (value, _) in choices.items()},
        values=values,
        sources=sources,
        to_calibrate=frozenset(name for name in CAN_BE_CALIBRATED if values[name] == CALIBRATED),
    )


def _group(kind: type, group: str, values: Mapping[str, object]) -> Any:
    """An instance of a group; a value to be calibrated is NaN."""
    mine = {field.name: values[f"{group}.{field.name}"] for field in fields(kind)}
    return kind(**{key: float("nan") if value == CALIBRATED else value for key, value in mine.items()})


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
    """The value of a key: a number of 0 or more (a few may be negative), or what the key needs beside that."""
    if value == CALIBRATED and name in CAN_BE_CALIBRATED:
        return CALIBRATED
    if name == "analysis.hierarchy":
        if value not in HIERARCHIES:
            raise ConfigError(
                f"expected one of {', '.join(HIERARCHIES)} at {name} in {file}, found {value!r}; correct it"
            )
        return str(value)
    if name in _LISTS:
        return _numbers(name, value, file)
    if name == "conduct.site_shares":
        shares = value if isinstance(value, list) else []
        if not shares or not all(_is_number(each) and each > 0 for each in shares) or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(f"expected positive shares with sum 1 at {name} in {file}, found {value!r}; correct them")
        return tuple(float(each) for each in shares)
    if not _is_number(value) or (value < 0 and name not in _MAY_BE_NEGATIVE):
        raise ConfigError(f"expected a number of 0 or more at {name} in {file}, found {value!r}; correct it")
    if name in LARGEST_MARGINS and not 0 < value < LARGEST_MARGINS[name][0]:
        most, why = LARGEST_MARGINS[name]
        raise ConfigError(
            f"expected a margin of groups over 0 and under {most:g} at {name} in {file}, found {value!r}: {most:g} is "
            f"{why}, and a difference of groups that large means that far more people are worse; choose a smaller one"
        )
    return float(value)


_LISTS: Final = frozenset({"expected.reader_levels", "expected.reader_sd", "reader.item_sd"})


def _numbers(name: str, value: Any, file: str) -> tuple[float, ...]:
    """A list of two or more numbers of 0 or more; the levels must rise."""
    listed = value if isinstance(value, list) else []
    rising = name != "expected.reader_levels" or listed == sorted(set(listed))
    if len(listed) < 2 or not all(_is_number(each) and each >= 0 for each in listed) or not rising:
        raise ConfigError(
            f"expected a list of two or more numbers, levels in order, at {name} in {file}, found {value!r}"
        )
    return tuple(float(each) for each in listed)


def _require_lengths(values: Mapping[str, object], file: str) -> None:
    """Each level of `expected.reader_levels` needs one value in both lists."""
    lists = {name: values[name] for name in sorted(_LISTS) if values[name] != CALIBRATED}
    counts = {name: len(value) for name, value in lists.items() if isinstance(value, tuple)}
    if len(set(counts.values())) > 1:
        raise ConfigError(f"expected as many values as levels in {file}, found {counts}; correct one list")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
