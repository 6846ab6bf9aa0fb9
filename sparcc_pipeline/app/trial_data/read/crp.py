"""CRP of a visit in mg/L, and columns of CRP in the wrong unit.

Contents: `crp_of_visit`, `ask_about_units`. A CRP below detection ("<5") is not the number 5: below 2 mg/L the formula
of ASDAS needs no value, and between 2 and the limit the protocol chooses.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparcc_pipeline.app.trial_data.read.cells import BelowDetection
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.crp import (
    ASDAS_LOWEST_CRP_MG_L,
    BelowDetectionRule,
    CrpUnit,
    crp_below_detection,
    crp_in_mg_l,
)
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import QueryKind

UNITS: Final = {"crp_mg_l": CrpUnit.MG_L, "crp_mg_dl": CrpUnit.MG_DL}

SAME_CRP: Final = 0.05
"""CRP in both units agrees if the values differ by at most this share. No published value: a project decision."""

UNIT_CHECK_FROM: Final = 10
"""A column of one site with at least this many values can be judged. No published value: a project decision."""

HIGHEST_MEDIAN_MG_DL: Final = 4.0
"""A median over this (40 mg/L) means that the column is in mg/L. A project decision: otherwise half of all participants
would have more than is usual in active disease."""

LARGEST_LOW_MG_L: Final = 3.0
"""A column whose largest value is under this looks like mg/dL (30 mg/L). A project decision."""

OTHER_UNIT: Final = math.sqrt(10.0)
"""The median of a site that is further than this factor from the median of the other sites is nearer to it in the other
unit, which differs by ten. A project decision; with ten values, chance alone is beyond it in about 0.5 % of sites."""

SLIP: Final = 2.0
"""A value fits its neighbours in the other unit if ten times the value is within this factor of both. A project
decision."""

PILED_UP: Final = 0.25
"""Share of the values of a site that are its lowest value, over 2 mg/L: then the lowest value is a limit of detection.
A project decision."""

Values = Mapping[tuple[str, str], tuple[dict[str, Any], Mapping[str, CheckedRow]]]
Ask = Callable[..., None]


@dataclass(frozen=True)
class Crp:
    """CRP of a visit: the value that counts, and the limit of detection where it was below it, both in mg/L."""

    mg_l: float | None
    limit_mg_l: float | None = None


def crp_of_visit(values: Mapping[str, Any], rule: BelowDetectionRule, ask: Ask) -> Crp:
    """Return CRP of one visit; if both units are given and disagree, neither counts."""
    given = {
        name: crp_in_mg_l(_number(values[name]), unit) for name, unit in UNITS.items() if values.get(name) is not None
    }
    if len(given) == 2 and abs(given["crp_mg_l"] - given["crp_mg_dl"]) > SAME_CRP * max(given.values()):
        mg_dl, mg_l = (_number(values[name]) for name in ("crp_mg_dl", "crp_mg_l"))
        ask(
            QueryKind.IMPLAUSIBLE,
            "crp_mg_dl",
            Message("a tenth of the value in mg/L"),
            Message("{mg_dl:g} mg/dL beside {mg_l:g} mg/L", mg_dl=mg_dl, mg_l=mg_l),
            Message("keep the value that the laboratory gave"),
        )
        return Crp(None)
    name = next(iter(given), None)
    if name is None or not isinstance(values[name], BelowDetection):
        return Crp(None if name is None else given[name])
    limit = given[name]
    value = crp_below_detection(limit, rule)
    if value is None:
        ask(
            QueryKind.MISSING,
            name,
            Message("a measured CRP, or a limit of detection of at most 2 mg/L"),
            Message("a CRP below {limit:g} mg/L", limit=limit),
            Message("measure it with a more sensitive method if blood is left; it counts as missing by the protocol"),
        )
    return Crp(value, limit)


def _number(value: float | BelowDetection) -> float:
    return value.limit if isinstance(value, BelowDetection) else value


def ask_about_units(visits: Values, sites: Mapping[str, str | None], protocol: Protocol, queries: Queries) -> None:
    """Ask about CRP whose values fit the other unit: by file, by site and within a participant.

    A column that claims mg/dL with values as in mg/L does not count.

    Parameters
    ----------
    sites : site of each participant
    """
    columns: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for key, (values, rows) in visits.items():
        for name in UNITS:
            if isinstance(values.get(name), float):
                columns[rows[name].file, rows[name].columns[name], name].append(key)
    for (file, column, name), keys in columns.items():
        by_site: dict[str | None, list[float]] = defaultdict(list)
        for key in keys:
            by_site[sites.get(key[0])].append(visits[key][0][name])
        if _ask_about_column(file, column, name, by_site, queries):
            for key in keys:
                del visits[key][0][name]
            continue
        _ask_about_dips(name, keys, visits, protocol, queries)


def _ask_about_column(
    file: str, column: str, name: str, by_site: Mapping[str | None, Sequence[float]], queries: Queries
) -> bool:
    """Ask about a whole column and about each site; return True if the column cannot count."""
    found = [value for values in by_site.values() for value in values]
    if len(found) >= UNIT_CHECK_FROM:
        median = statistics.median(found)
        if name == "crp_mg_dl" and median > HIGHEST_MEDIAN_MG_DL:
            expected, values_ = (
                Message("CRP in mg/dL, mostly under 4"),
                Message("{count} values with a median of {median:g}, as in mg/L", count=len(found), median=median),
            )
            remedy = Message("rename the column to crp_mg_l if that is the unit")
            queries.ask(QueryKind.IMPLAUSIBLE, None, column, expected, values_, remedy, file=file)
            return True
        if name == "crp_mg_l" and max(found) < LARGEST_LOW_MG_L and median > 0:
            expected, values_ = (
                Message("CRP in mg/L, some over 3"),
                Message("{count} values of at most {highest:g}, as in mg/dL", count=len(found), highest=max(found)),
            )
            remedy = Message("rename the column to crp_mg_dl if that is the unit")
            queries.ask(QueryKind.IMPLAUSIBLE, None, column, expected, values_, remedy, left_out="nothing", file=file)
            return False
    for expected, values_, remedy in _odd_sites(name, by_site):
        queries.ask(QueryKind.IMPLAUSIBLE, None, column, expected, values_, remedy, left_out="nothing", file=file)
    return False


def _odd_sites(name: str, by_site: Mapping[str | None, Sequence[float]]) -> Iterator[tuple[Message, Message, Message]]:
    """Yield expected, found and remedy for each site in another unit than the others, or with a limit as a value."""
    for site, values in by_site.items():
        if len(values) < UNIT_CHECK_FROM:
            continue
        shown, median, lowest = site or "?", statistics.median(values), min(values)
        others = [value for other, theirs in by_site.items() if other != site for value in theirs]
        if site is not None and len(others) >= UNIT_CHECK_FROM and min(median, statistics.median(others)) > 0:
            ratio = median / statistics.median(others)
            # The values of a column that claims mg/L and holds mg/dL are too low, and the other way round.
            if ratio < 1 / OTHER_UNIT if name == "crp_mg_l" else ratio > OTHER_UNIT:
                yield (
                    Message("CRP of site {site} in the unit of the other sites", site=shown),
                    Message(
                        "{count} values with a median of {median:g} beside {others:g} at the other sites",
                        count=len(values),
                        median=median,
                        others=statistics.median(others),
                    ),
                    Message("check the unit of this site's laboratory; correct the values if it differs"),
                )
        piled = sum(value == lowest for value in values)
        if name == "crp_mg_l" and lowest > ASDAS_LOWEST_CRP_MG_L and piled > PILED_UP * len(values):
            yield (
                Message("measured values of CRP at site {site}", site=shown),
                Message("{count} values of exactly {lowest:g}, the lowest", count=piled, lowest=lowest),
                Message("write <{lowest:g} where the laboratory reported a value below detection", lowest=lowest),
            )


def _ask_about_dips(
    name: str, keys: Sequence[tuple[str, str]], visits: Values, protocol: Protocol, queries: Queries
) -> None:
    """Ask about a value that fits the visits before and after it only if it is multiplied by ten."""
    order = {visit.visit: number for number, visit in enumerate(protocol.visits)}
    of_person: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key in sorted(keys, key=lambda key: order[key[1]]):
        of_person[key[0]].append(key)
    for mine in of_person.values():
        found = [visits[key][0][name] for key in mine]
        for before, here, after, key in zip(found, found[1:], found[2:], mine[1:], strict=False):
            if here > 0 and all(1 / SLIP <= 10 * here / other <= SLIP for other in (before, after) if other > 0):
                if min(before, after) <= 0:
                    continue
                queries.ask(
                    QueryKind.IMPLAUSIBLE,
                    visits[key][1][name],
                    name,
                    Message(
                        "CRP like that of the visits before and after: {before:g}, {after:g}",
                        before=before,
                        after=after,
                    ),
                    Message("{value:g}, a tenth of them", value=here),
                    Message("check the unit and the decimal point"),
                    left_out="nothing",
                    visit=key[1],
                )
