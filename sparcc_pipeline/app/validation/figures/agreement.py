"""Agreement of machine and readers beside reader and reader: totals, items, ASAS sign.

Contents: `TotalRowFigures`, `ItemFigures`, `total_pairs`, `total_figures`, `item_figures`, `SEED`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.trial.agreement.pairs import PairKind, QuadrantPairs, TotalPairs, quadrant_pairs
from sparcc_pipeline.trial.agreement.summary import QuadrantAgreement, TotalAgreement
from sparcc_pipeline.trial.items import QUADRANTS
from sparcc_pipeline.trial.reading import Reading

SEED: Final = 1
"""Seed of the bootstrap, fixed so that the same readings give the same intervals."""

ASAS: Final = "asas"

ITEM_KINDS: Final = {"edema": QUADRANTS, "intense": ("intense",), "deep": ("deep",)}
"""Items that are compared together, by their name in reports."""

MEAN_OF_READERS: Final = "mean of the readers"

_Rows = list[tuple[float, float, str]]


@dataclass(frozen=True)
class TotalRowFigures:
    """One comparison of totals; `pairs` without names holds the pairs of all readers, `one_pair` if they are two."""

    pairs: TotalPairs
    found: TotalAgreement | None
    one_pair: bool = False

    @property
    def directed(self) -> bool:
        """False for pairs of several readers: which of two is the second has no meaning, so they have no bias."""
        return self.pairs.kind is not PairKind.BETWEEN or bool(self.pairs.first_name) or self.one_pair

    @property
    def mean_absolute(self) -> float:
        """Mean absolute difference of the totals."""
        return float(np.abs(np.subtract(self.pairs.second, self.pairs.first)).mean())


@dataclass(frozen=True)
class ItemFigures:
    """One comparison of items; the counts are both, first only, second only, neither."""

    item: str
    pairs: QuadrantPairs
    found: QuadrantAgreement | None

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Number of items with a point in both, in the first only, in the second only, in neither."""
        table = np.zeros((2, 2), dtype=int)
        for a, b in zip(self.pairs.first, self.pairs.second, strict=True):
            if a is not None and b is not None:
                table[a, b] += 1
        return int(table[1, 1]), int(table[1, 0]), int(table[0, 1]), int(table[0, 0])


def total_pairs(material: Material, *, single: bool = True) -> list[TotalPairs]:
    """Return the pairs of totals: machine with all readers, with their mean, readers with each other, then single ones.

    Parameters
    ----------
    single : also return the pairs of each reader
    """
    found: dict[tuple[PairKind, str, str], _Rows] = defaultdict(list)
    for key, readings in material.by_study.items():
        machine = float(material.studies[key].total)
        mean = material.mean_total(key)
        for reading in readings:
            for name in ("", reading.reader) if single else ("",):
                found[PairKind.MACHINE, name, ""].append((_total(reading), machine, key.participant))
        if mean is not None:
            found[PairKind.MACHINE, MEAN_OF_READERS, ""].append((mean, machine, key.participant))
        for first, second in combinations(readings, 2):
            for names in (("", ""), (first.reader, second.reader)) if single else (("", ""),):
                found[PairKind.BETWEEN, *names].append((_total(first), _total(second), key.participant))
    for first, again in _read_again(material):
        for name in ("", first.reader) if single else ("",):
            found[PairKind.WITHIN, name, name].append((_total(first), _total(again), first.participant))
    order = [PairKind.MACHINE, PairKind.BETWEEN, PairKind.WITHIN]
    keys = sorted(found, key=lambda key: (order.index(key[0]), key[1] != "", key[1] != MEAN_OF_READERS, *key[1:]))
    return [TotalPairs(*key, *_columns(found[key])) for key in keys if not _repeats(key, keys)]


def _repeats(key: tuple[PairKind, str, str], keys: Iterable[tuple[PairKind, str, str]]) -> bool:
    """True for the row of single names where it is the only one of its kind: the row of all readers is the same."""
    named = [each for each in keys if each[0] is key[0] and each[1] not in ("", MEAN_OF_READERS)]
    return named == [key]


def _total(reading: Reading) -> float:
    assert reading.total is not None
    return reading.total


def _columns(rows: _Rows) -> tuple[tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    first, second, participants = zip(*rows, strict=True)
    return first, second, participants


def _read_again(material: Material) -> Iterable[tuple[Reading, Reading]]:
    """Yield the first reading and each repeat of it."""
    for reading in material.readings:
        if reading.repeat > 1 and reading.total is not None:
            key = StudyKey(reading.participant, reading.visit)
            for first in material.by_study.get(key, ()):
                if first.reader == reading.reader:
                    yield first, reading


def total_figures(pairs: Iterable[TotalPairs], readers: int) -> list[TotalRowFigures]:
    """Return the agreement of each pair; `readers` is the number of all readers."""
    return [TotalRowFigures(each, each.agreement(SEED), one_pair=readers == 2) for each in pairs]


def item_figures(material: Material, *, single: bool = True) -> list[ItemFigures]:
    """Return the agreement on edema of quadrants, intensity, depth, and the ASAS sign, of all readers and of each."""
    machine = [study.items for study in material.studies.values()]
    rows: list[ItemFigures] = []
    for name, items in ITEM_KINDS.items():
        pairs = quadrant_pairs([*material.items, *machine], items)
        rows += _with_pooled(name, pairs, single=single)
    return rows + _with_pooled(ASAS, _sign_pairs(material), single=single)


def _with_pooled(item: str, pairs: Sequence[QuadrantPairs], *, single: bool) -> list[ItemFigures]:
    rows: list[QuadrantPairs] = []
    for kind in (PairKind.MACHINE, PairKind.BETWEEN, PairKind.WITHIN):
        of_kind = [each for each in pairs if each.kind is kind]
        if of_kind:
            rows.append(_pooled(kind, of_kind))
        if single and len(of_kind) > 1:
            rows += of_kind
    return [ItemFigures(item, each, each.agreement(SEED)) for each in rows]


def _pooled(kind: PairKind, pairs: Sequence[QuadrantPairs]) -> QuadrantPairs:
    return QuadrantPairs(
        kind,
        "",
        "",
        tuple(point for each in pairs for point in each.first),
        tuple(point for each in pairs for point in each.second),
        tuple(name for each in pairs for name in each.participants),
        sum(each.images for each in pairs),
        sum(each.apart for each in pairs),
    )


def _sign_pairs(material: Material) -> list[QuadrantPairs]:
    """Return the pairs of answers to the ASAS definition, as items: 1 positive, 0 negative."""
    found: dict[tuple[PairKind, str, str], list[tuple[int | None, int | None, str]]] = defaultdict(list)
    for key, readings in material.by_study.items():
        machine = int(material.studies[key].asas_positive)
        for reading in readings:
            found[PairKind.MACHINE, reading.reader, ""].append((_sign(reading), machine, key.participant))
        for first, second in combinations(readings, 2):
            row = (_sign(first), _sign(second), key.participant)
            found[PairKind.BETWEEN, first.reader, second.reader].append(row)
    pairs = []
    for names, rows in found.items():
        one, other, participants = zip(*rows, strict=True)
        if any(a is not None and b is not None for a, b in zip(one, other, strict=True)):
            pairs.append(QuadrantPairs(*names, one, other, participants, len(rows), 0))
    return pairs


def _sign(reading: Reading) -> int | None:
    return None if reading.asas_positive is None else int(reading.asas_positive)
