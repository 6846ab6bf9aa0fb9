"""Blocks of an allocation list: every block that holds the ratio, every one that does not, named and found."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from sparcc_pipeline.trial.allocation.blocks import Allocated, constant_block, strata

RATIO = {"taper": 100, "control": 50}
T, C = "taper", "control"


def named(*blocks: str, stratum: str = "S1") -> list[Allocated]:
    """Participants in these blocks, one letter an arm."""
    arms = {"T": T, "C": C}
    return [
        Allocated(f"{stratum}-{b}-{k}", arms[letter], stratum, str(b), number=100 * b + k + 1)
        for b, block in enumerate(blocks, 1)
        for k, letter in enumerate(block)
    ]


def test_every_block_of_three_by_counting() -> None:
    for letters in itertools.product("TC", repeat=3):
        block = "".join(letters)
        [found] = strata(named(block, "TTC"), RATIO)

        assert (found.wrong == ()) == (block.count("T") == 2), block
        assert found.counts == {T: block.count("T") + 2, C: block.count("C") + 1}


@pytest.mark.parametrize(
    ("blocks", "size", "wrong"),
    [
        (("TTC", "T"), 3, ()),
        (("TTC", "CC"), 3, ("2",)),
        (("TT", "TTC"), 2, ("1",)),
        (("TTC", "TTTTCC"), 3, ()),
        (("TTTTCC", "TTC", "TTC"), None, ()),
        (("TTTCCC", "TTC"), 6, ("1",)),
        (("TTC",), 3, ()),
    ],
)
def test_named_blocks(blocks: tuple[str, ...], size: int | None, wrong: tuple[str, ...]) -> None:
    [found] = strata(named(*blocks), RATIO)

    assert found.named
    assert (found.block_size, found.wrong) == (size, wrong)


def test_strata_are_checked_apart_and_in_order() -> None:
    found = strata([*named("TTC", stratum="B"), *named("CCC", stratum="A")], RATIO)

    assert [(each.name, each.wrong) for each in found] == [("A", ("1",)), ("B", ())]
    assert strata([], RATIO) == ()


@pytest.mark.parametrize("size", [3, 6, 9, 12])
def test_the_size_of_permuted_blocks_is_found(size: int) -> None:
    """The first block has all of one arm first, so no smaller size fits."""
    generator = np.random.default_rng(size)
    unit = [T] * (2 * size // 3) + [C] * (size // 3)
    arms = unit + [str(arm) for _ in range(4) for arm in generator.permutation(unit)]

    assert constant_block(arms, RATIO) == size
    assert constant_block(arms[:-2], RATIO) == size


def test_no_size_fits_a_list_that_drifts() -> None:
    assert constant_block([C] * 5 + [T], RATIO) is None
    assert constant_block([T, T], RATIO) is None


def test_the_order_is_that_of_the_numbers_then_of_the_days() -> None:
    listed = [
        Allocated(f"P{n}", arm, "S1", randomised_on=f"2026-03-{n:02d}")
        for n, arm in ((6, C), (4, T), (5, T), (2, T), (1, T), (3, C))
    ]
    [found] = strata(listed, RATIO)

    assert (found.block_size, found.named, found.wrong) == (3, False, ())
    by_number = [Allocated(each.participant, each.arm, "S1", number=k + 1) for k, each in enumerate(listed)]
    assert strata(by_number, RATIO)[0].block_size is (constant_block([each.arm for each in listed], RATIO))


def test_an_arm_outside_the_protocol_fits_no_block() -> None:
    assert constant_block([T, T, "placebo"], RATIO) is None
    assert Counter(strata(named("TTC"), RATIO)[0].counts) == Counter({T: 2, C: 1})
