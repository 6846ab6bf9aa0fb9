"""Queries about the allocation list: days, order and blocks.

Contents: `ask_about_allocation`. Nothing of the list is left out: the arms count as listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path

from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.unblinded.allocation import Allocation
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.allocation.blocks import strata
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import QueryKind


def ask_about_allocation(
    file: Path, allocation: Allocation, dates: Mapping[tuple[str, str], date], protocol: Protocol, queries: Queries
) -> None:
    """Ask about days of randomisation that do not fit the visits, numbers that do not fit the days, and wrong blocks.

    Parameters
    ----------
    dates : date of each visit, by participant and visit
    """
    _ask_about_days(allocation, dates, protocol, queries)
    _ask_about_order(allocation, queries)
    _ask_about_blocks(file, allocation, protocol, queries)


def _ask_about_days(
    allocation: Allocation, dates: Mapping[tuple[str, str], date], protocol: Protocol, queries: Queries
) -> None:
    """The day of randomisation is from the baseline on, and not after the next visit that took place."""
    for each in allocation.listed:
        if each.randomised_on is None:
            continue
        days = [dates.get((each.participant, visit.visit)) for visit in protocol.visits]
        later = [day for day in days[1:] if day is not None]
        day = date.fromisoformat(each.randomised_on)
        early = days[0] is not None and day < days[0]
        if early or (later and day > min(later)):
            queries.ask(
                QueryKind.IMPLAUSIBLE,
                allocation.rows[each.participant],
                "randomised_on",
                Message("a day from the baseline to the next visit"),
                each.randomised_on,
                Message("check the day of randomisation and the dates of the visits"),
                left_out="nothing",
            )


def _ask_about_order(allocation: Allocation, queries: Queries) -> None:
    """Within a stratum a higher number is not randomised on an earlier day, and no number occurs twice."""
    numbered = [each for each in allocation.listed if each.number is not None]
    for stratum in {each.stratum for each in numbered}:
        mine = sorted((each for each in numbered if each.stratum == stratum), key=lambda each: each.number or 0)
        for before, each in pairwise(mine):
            if each.number == before.number:
                queries.ask(
                    QueryKind.DUPLICATE,
                    allocation.rows[each.participant],
                    "allocation_number",
                    Message("each number of a stratum once"),
                    Message("{number} of {participant} too", number=each.number, participant=before.participant),
                    Message("correct one of them"),
                    left_out="nothing",
                )
            elif each.randomised_on and before.randomised_on and each.randomised_on < before.randomised_on:
                queries.ask(
                    QueryKind.IMPLAUSIBLE,
                    allocation.rows[each.participant],
                    "randomised_on",
                    Message("days in the order of the numbers"),
                    Message("{day}, before number {number}", day=each.randomised_on, number=before.number),
                    Message("check number and day; the arms count as listed"),
                    left_out="nothing",
                )


def _ask_about_blocks(file: Path, allocation: Allocation, protocol: Protocol, queries: Queries) -> None:
    """Blocks that the list names hold the ratio of the arms; unnamed ones of one size must fit the order."""
    ratio = {arm.name: arm.participants for arm in protocol.arms}
    ordered = all(each.number is not None or each.randomised_on is not None for each in allocation.listed)
    for stratum in strata(allocation.listed, ratio):
        name = stratum.name or "-"
        if stratum.wrong:
            found = Message("another one in block {names} of stratum {stratum}", names=stratum.wrong, stratum=name)
        elif not stratum.named and ordered and stratum.block_size is None and min(stratum.counts.values()):
            found = Message("no block of one size that fits stratum {stratum}", stratum=name)
        else:
            continue
        queries.ask(
            QueryKind.IMPLAUSIBLE,
            None,
            "block",
            Message("the ratio of the arms in each block"),
            found,
            Message("check the list with the statistician; give the column block if the sizes vary"),
            left_out="nothing",
            file=file.name,
        )
