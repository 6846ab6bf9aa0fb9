"""The allocation list: counts by stratum, and whether its blocks hold the ratio of the arms.

Contents: `Allocated`, `Stratum`, `strata`, `constant_block`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LARGEST_BLOCK: Final = 24
"""Largest size of a block that is sought where the list names no block."""


@dataclass(frozen=True)
class Allocated:
    """One participant of the allocation list.

    Parameters
    ----------
    stratum : stratum of the randomisation; None where the list has none
    block : name of the block within the stratum; None where the list has none
    randomised_on : day as YYYY-MM-DD; None where the list has none
    number : place in the list of the stratum; None where the list has none
    """

    participant: str
    arm: str
    stratum: str | None = None
    block: str | None = None
    randomised_on: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class Stratum:
    """One stratum of the list.

    Parameters
    ----------
    counts : participants by arm
    block_size : size of the blocks, given or found; None where the sizes vary or none fits
    named : True if the list names the blocks
    wrong : names or numbers of complete blocks that do not hold the ratio of the arms, and of incomplete ones before
        the last
    """

    name: str | None
    counts: Mapping[str, int]
    block_size: int | None
    named: bool
    wrong: tuple[str, ...]


def strata(listed: Sequence[Allocated], ratio: Mapping[str, int]) -> tuple[Stratum, ...]:
    """Return every stratum in the order of its name.

    Participants of a stratum are taken by number, else by day, else in the order of the list.

    Parameters
    ----------
    ratio : planned participants of each arm

    Examples
    --------
    Two blocks of taper 2 : control 1, the second with one control too many:

    >>> arms = {"1": ("taper", "control", "taper"), "2": ("control", "taper", "control")}
    >>> listed = [Allocated(f"{b}{k}", arm, "S1", b) for b, block in arms.items() for k, arm in enumerate(block)]
    >>> [found] = strata(listed, {"taper": 100, "control": 50})
    >>> dict(found.counts), found.block_size, found.wrong
    ({'taper': 3, 'control': 3}, 3, ('2',))
    """
    unit = _unit(ratio)
    found = []
    for name in sorted({each.stratum for each in listed}, key=lambda each: each or ""):
        mine = sorted((each for each in listed if each.stratum == name), key=_place)
        counts = {arm: sum(each.arm == arm for each in mine) for arm in ratio}
        named = all(each.block is not None for each in mine)
        size, wrong = _named_blocks(mine, unit) if named else (constant_block([each.arm for each in mine], ratio), ())
        found.append(Stratum(name, counts, size, named, wrong))
    return tuple(found)


def constant_block(arms: Sequence[str], ratio: Mapping[str, int]) -> int | None:
    """Return the smallest size of blocks that all hold the ratio; None where none fits, or no block is complete.

    Parameters
    ----------
    arms : arm of each participant, in the order of the randomisation

    Examples
    --------
    >>> constant_block(["taper", "control", "taper", "control", "taper"], {"taper": 2, "control": 1})
    3
    >>> constant_block(["control", "control", "taper", "taper"], {"taper": 2, "control": 1}) is None
    True
    """
    unit = _unit(ratio)
    step = sum(unit.values())
    for size in range(step, min(LARGEST_BLOCK, len(arms)) + 1, step):
        blocks = [arms[start : start + size] for start in range(0, len(arms), size)]
        if all(_fits(block, unit, size) for block in blocks):
            return size
    return None


def _unit(ratio: Mapping[str, int]) -> dict[str, int]:
    """The ratio in its smallest whole numbers."""
    part = math.gcd(*ratio.values())
    return {arm: count // part for arm, count in ratio.items()}


def _fits(block: Sequence[str], unit: Mapping[str, int], size: int) -> bool:
    """True if a block of this size, complete or the beginning of one, can hold the ratio."""
    times, counts = size // sum(unit.values()), Counter(block)
    return all(counts[arm] <= times * share for arm, share in unit.items()) and set(counts) <= set(unit)


def _named_blocks(mine: Sequence[Allocated], unit: Mapping[str, int]) -> tuple[int | None, tuple[str, ...]]:
    """The common size of the blocks that the list names, and those that do not hold the ratio."""
    blocks: dict[str, list[str]] = {}
    for each in mine:
        blocks.setdefault(each.block or "", []).append(each.arm)
    step, names = sum(unit.values()), list(blocks)
    sizes = {len(block) for name, block in blocks.items() if name != names[-1]} or {len(blocks[names[-1]])}
    wrong = []
    for name, block in blocks.items():
        whole = -(-len(block) // step) * step
        complete = len(block) == whole
        if not _fits(block, unit, whole) or not (complete or name == names[-1]):
            wrong.append(name)
    return (sizes.pop() if len(sizes) == 1 else None), tuple(wrong)


def _place(each: Allocated) -> tuple[bool, int, str]:
    return each.number is None, each.number or 0, each.randomised_on or ""
