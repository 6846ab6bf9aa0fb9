"""All figures of one validation, and what stands out in them.

Contents: `Validation`, `validate`, `findings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sparcc_pipeline.app.validation.figures.agreement import (
    SEED,
    ItemFigures,
    TotalRowFigures,
    item_figures,
    total_figures,
    total_pairs,
)
from sparcc_pipeline.app.validation.figures.certainty import Certainty, certainty_figures
from sparcc_pipeline.app.validation.figures.decisions import (
    CutOffFigures,
    SliceFigures,
    cut_off_figures,
    slice_figures,
)
from sparcc_pipeline.app.validation.figures.groups import GroupFigures, group_figures
from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.agreement.measures import Agreement, Estimate, clustered_limits
from sparcc_pipeline.trial.agreement.pairs import PairKind
from sparcc_pipeline.trial.protocol.definition import Protocol

FEW_PEOPLE = 20
"""With fewer people the report warns that no interval is narrow (decision of this project)."""

FEWEST_STUDIES = 3
"""Fewest studies with a reading; fewer show no agreement."""

SMALLEST_BIAS = 1.0
"""A smaller mean difference, in points of SPARCC, is not reported as a finding."""


@dataclass(frozen=True)
class ReaderBias:
    """One reader against the mean of the others: reader minus others."""

    reader: str
    studies: int
    found: Agreement


@dataclass(frozen=True)
class Validation:
    """All figures of one validation."""

    material: Material
    totals: Sequence[TotalRowFigures]
    items: Sequence[ItemFigures]
    groups: Sequence[GroupFigures]
    certainty: Certainty | None
    cut_offs: Sequence[CutOffFigures]
    slices: SliceFigures | None
    reader_bias: Sequence[ReaderBias]

    @property
    def people(self) -> int:
        """Number of people with a study and a reading."""
        return len({key.participant for key in self.material.by_study})

    @property
    def studies(self) -> int:
        """Number of studies with a reading."""
        return len(self.material.by_study)

    def pooled(self, kind: PairKind) -> TotalRowFigures | None:
        """Return the row of all readers of one kind."""
        return next((row for row in self.totals if row.pairs.kind is kind and not row.pairs.first_name), None)


def validate(material: Material, protocol: Protocol) -> Validation:
    """Return all figures.

    Raises
    ------
    InputError : fewer than FEWEST_STUDIES studies have both a score and a reading
    """
    if len(material.by_study) < FEWEST_STUDIES:
        raise InputError(
            f"expected at least {FEWEST_STUDIES} studies with a score and a reading, found {len(material.by_study)}; "
            "look at the queries above: participant and visit must agree in both tables"
        )
    return Validation(
        material,
        total_figures(total_pairs(material), len(material.readers)),
        item_figures(material) if material.items else (),
        group_figures(material),
        certainty_figures(material),
        cut_off_figures(material, protocol.target.sparcc_cut_off),
        slice_figures(material),
        _reader_bias(material),
    )


def _reader_bias(material: Material) -> list[ReaderBias]:
    """Return the readers who differ from the others: the largest bias first, and the next among the readers left."""
    readers = sorted({each.reader for readings in material.by_study.values() for each in readings})
    found: list[ReaderBias] = []
    while len(readers) > 1:
        biases = [bias for reader in readers if (bias := _bias_of(reader, readers, material)) is not None]
        biases = [each for each in biases if _is_biased(each.found)]
        if not biases:
            break
        worst = max(biases, key=lambda each: abs(each.found.mean))
        found.append(worst)
        # Of two readers who differ from each other, the figures do not show which one is right.
        readers = [] if len(readers) == 2 else [name for name in readers if name != worst.reader]
    return found


def _bias_of(reader: str, readers: Sequence[str], material: Material) -> ReaderBias | None:
    differences: list[float] = []
    people: list[str] = []
    for key, readings in material.by_study.items():
        totals = {each.reader: each.total or 0.0 for each in readings if each.reader in readers}
        others = [total for name, total in totals.items() if name != reader]
        if reader in totals and others:
            differences.append(totals[reader] - sum(others) / len(others))
            people.append(key.participant)
    if len(differences) < FEWEST_STUDIES:
        return None
    return ReaderBias(reader, len(differences), clustered_limits(differences, people, SEED))


def _is_biased(found: Agreement) -> bool:
    return found.mean_interval is not None and _stands_out(found.mean, *found.mean_interval)


def findings(result: Validation) -> list[Message]:
    """Return what stands out: bias of the machine, of a reader, and groups that differ from all others."""
    return [*_about_size(result), *_about_machine(result), *_about_readers(result), *_about_groups(result)]


def _about_size(result: Validation) -> Iterator[Message]:
    if result.people < FEW_PEOPLE:
        yield Message(
            "with {count} people no interval is narrow: read the intervals, not the values", count=result.people
        )


def _about_machine(result: Validation) -> Iterator[Message]:
    row = result.pooled(PairKind.MACHINE)
    if row is None or row.found is None:
        return
    limits = row.found.bland_altman
    if limits.mean_interval is not None and _stands_out(limits.mean, *limits.mean_interval):
        yield Message(
            "the machine's totals are {bias:+.1f} from the readings' on average (95 % interval {low:+.1f} to "
            "{high:+.1f})",
            bias=limits.mean,
            low=limits.mean_interval[0],
            high=limits.mean_interval[1],
        )


def _about_readers(result: Validation) -> Iterator[Message]:
    for each in result.reader_bias:
        interval = each.found.mean_interval
        if interval is not None:
            yield Message(
                "reader {reader} is {bias:+.1f} from the other readers on average (95 % interval {low:+.1f} to "
                "{high:+.1f})",
                reader=each.reader,
                bias=each.found.mean,
                low=interval[0],
                high=interval[1],
            )


def _about_groups(result: Validation) -> Iterator[Message]:
    for each in result.groups:
        if each.by == "size of the score" or not each.name:
            continue
        if _is_apart(each.bias_beside) and each.worse:
            yield Message(
                "{by} {name}: machine minus reading is {bias:+.1f} from that of all other studies",
                by=each.by,
                name=each.name,
                bias=each.bias_beside.value if each.bias_beside else 0.0,
            )
        elif _is_apart(each.distance_beside) and each.distance_beside and each.distance_beside.value > 0:
            yield Message(
                "{by} {name}: machine and readings are {distance:.1f} further apart than in all other studies",
                by=each.by,
                name=each.name,
                distance=each.distance_beside.value,
            )


def _is_apart(found: Estimate | None) -> bool:
    if found is None or found.low is None or found.high is None:
        return False
    return _stands_out(found.value, found.low, found.high)


def _stands_out(value: float, low: float, high: float) -> bool:
    """True if the interval excludes 0 and the value is not small."""
    return (low > 0 or high < 0) and abs(value) >= SMALLEST_BIAS
