"""`sparcc validate merge`: the aggregates of several sites in one table, with random effects over the sites.

Contents: `SiteFigures`, `read_site_figures`, `merged`, `Merged`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.validation.aggregate import SCHEMA
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.trial.agreement.measures import Estimate
from sparcc_pipeline.trial.agreement.random_effects import RandomEffects, pooled_difference, pooled_icc

ROWS: Final = (
    ("icc_machine", "totals", "machine", "icc_agreement"),
    ("icc_readers", "totals", "between", "icc_agreement"),
    ("bias_machine", "totals", "machine", "difference"),
    ("kappa_quadrants_machine", "edema", "machine", "kappa"),
    ("kappa_quadrants_readers", "edema", "between", "kappa"),
    ("kappa_intensity_machine", "intense", "machine", "kappa"),
    ("kappa_depth_machine", "deep", "machine", "kappa"),
    ("kappa_asas_machine", "asas", "machine", "kappa"),
)
"""Figures of the merged table: name, totals or an item, comparison, figure."""


@dataclass(frozen=True)
class SiteFigures:
    """The aggregates of one site; `name` is that of its file."""

    name: str
    content: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The model that scored, or several."""
        return ", ".join(sorted({f"{each['name']} {each['version']}" for each in self.content["models"]}))

    def figure(self, of: str, pair: str, key: str) -> Estimate | None:
        """Return one figure; None where the site has none or suppressed it."""
        rows = self.content["totals"] if of == "totals" else self.content["items"]
        for row in rows:
            same = row["pair"] == pair and (not row.get("mean_of_readers") if of == "totals" else row["item"] == of)
            if same and row.get(key):
                return Estimate(row[key]["value"], row[key]["low"], row[key]["high"])
        return None


@dataclass(frozen=True)
class MergedFigure:
    """One figure of each site in their order, and over all of them."""

    name: str
    sites: Sequence[Estimate | None]
    pooled: RandomEffects | None


@dataclass(frozen=True)
class Merged:
    """All sites in one table; `people` leaves out sites that suppressed their number."""

    sites: Sequence[SiteFigures]
    figures: Sequence[MergedFigure]

    @property
    def people(self) -> int:
        """Number of people of all sites."""
        return sum(site.content["people"] or 0 for site in self.sites)

    @property
    def one_model(self) -> bool:
        """True if one model scored at all sites."""
        return len({each["sha256"] for site in self.sites for each in site.content["models"]}) == 1


def read_site_figures(files: Sequence[Path]) -> list[SiteFigures]:
    """Return the aggregates of each file.

    Raises
    ------
    InputError : fewer than two files, one that is no `validation.json`, or one file twice
    """
    if len(files) < 2:
        raise InputError(f"expected validation.json of at least two sites, found {len(files)}; give all of them")
    sites, seen = [], dict[str, str]()
    for file in files:
        content, digest = _content(file)
        if digest in seen:
            raise InputError(f"expected each site once, found the same figures in {seen[digest]} and {file.name}")
        seen[digest] = file.name
        # Every site calls its file validation.json, so the folder names it.
        name = file.parent.name if file.stem == "validation" and file.parent.name else file.stem
        sites.append(SiteFigures(name, content))
    return sites


def _content(file: Path) -> tuple[dict[str, Any], str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        sound = content["schema"] == SCHEMA and all(
            isinstance(content[name], list) for name in ("models", "totals", "items")
        )
    except (OSError, ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise InputError(
            f"expected validation.json of `sparcc validate` (schema {SCHEMA}) at {file.name}, found something else; "
            "ask the site for that file"
        )
    return content, hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def merged(sites: Sequence[SiteFigures]) -> Merged:
    """Return the figures of all sites, ICCs and kappas pooled after Fisher's transform."""
    figures = []
    for name, of, pair, key in ROWS:
        found = [site.figure(of, pair, key) for site in sites]
        pool: Callable[[Sequence[Estimate]], RandomEffects | None] = (
            pooled_difference if key == "difference" else pooled_icc
        )
        figures.append(MergedFigure(name, found, pool([each for each in found if each is not None])))
    return Merged(sites, figures)


def merged_rows(found: Merged) -> list[dict[str, Any]]:
    """Return the table as rows: one a figure and site, and one a figure over all sites."""
    rows = []
    for figure in found.figures:
        for site, each in zip(found.sites, figure.sites, strict=True):
            rows.append(_row(figure.name, site.name, site.content["people"], each))
        if figure.pooled is not None:
            extra = {"between_sd": figure.pooled.between_sd, "i_squared": figure.pooled.i_squared}
            rows.append(_row(figure.name, "all", found.people, figure.pooled.mean) | extra)
    return rows


def _row(name: str, site: str, people: int | None, found: Estimate | None) -> dict[str, Any]:
    value, low, high = (None, None, None) if found is None else (found.value, found.low, found.high)
    return {"figure": name, "site": site, "people": people, "value": value, "low": low, "high": high}
