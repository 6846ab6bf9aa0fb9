"""How sure a total is, in words and as a bar for terminals."""

from __future__ import annotations

from typing import Final

from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.reading import LARGEST_TOTAL

BAR_LETTERS: Final = 36
"""Letters of the bar between 0 and the largest total."""


def certainty(document: ScoreDocument) -> Message:
    """Return the total of a scored study with the totals that a reader may plausibly give, in one line."""
    if document.interval_90 is None:
        return Message("{total}; how sure it is, is not known (the model is not calibrated)", total=document.total)
    low, high = document.interval_90
    if low == high == document.total:
        return Message("{total}, hardly another total", total=document.total)
    return Message("{total}, plausibly {low}-{high}", total=document.total, low=low, high=high)


def contradiction(document: ScoreDocument) -> Message | None:
    """Return why the total is outside its own interval; None where it is not."""
    if document.interval_90 is None or document.total is None:
        return None
    low, high = document.interval_90
    if low <= document.total <= high:
        return None
    return Message(
        "The measurements give {total} points, a reader would more likely give {low}-{high}: many items are close to "
        "the limit of a point. Look at the doubtful items.",
        total=document.total,
        low=low,
        high=high,
    )


def certainty_bar(document: ScoreDocument) -> str:
    """Return total and interval on the range 0-72 in ASCII letters, which every terminal shows."""
    letters = ["."] * (BAR_LETTERS + 1)
    if document.interval_90 is not None:
        low, high = (_letter(value) for value in document.interval_90)
        letters[low : high + 1] = "=" * (high + 1 - low)
    letters[_letter(document.total or 0)] = "#"
    return f"0 [{''.join(letters)}] {LARGEST_TOTAL}"


def _letter(total: int) -> int:
    return round(total * BAR_LETTERS / LARGEST_TOTAL)
