"""Why a step of a study did not succeed, as the ledger keeps it.

The words of an error are the field `error`, a message of their own where the error was raised with one; what a
coordinator can do about it goes by its kind, which the study's facts hold as `reason_kind` (see `report_words`).
"""

from __future__ import annotations

from sparcc_pipeline.app.study.faults import place_of
from sparcc_pipeline.errors import SparccError
from sparcc_pipeline.message import Message, words_of


def kind_of(error: Exception) -> str:
    """The kind of an error, as rows of a batch name it."""
    return type(error).__name__.removesuffix("Error")


def refused_because(sentence: str) -> Message:
    """The images were refused, with the sentence of the error that says why."""
    return Message("the images were refused: {error}", error=_one_line(sentence))


def failed_because(sentence: str) -> Message:
    """A step failed, with the sentence of the error that says why."""
    return Message("it failed: {error}", error=_one_line(sentence))


def _one_line(sentence: str) -> str:
    return sentence if isinstance(sentence, Message) else " ".join(sentence.split())


def failure_of(error: Exception) -> Message:
    """Why a step failed: the sentence of an error of ours; of any other only its kind and place, for it may quote."""
    if isinstance(error, SparccError):
        return failed_because(words_of(error))
    file, line = place_of(error)
    return Message(
        "a fault of the program: {kind} in {file}, line {line}; it should be reported with this line",
        kind=type(error).__name__, file=file, line=line,
    )  # fmt: skip
