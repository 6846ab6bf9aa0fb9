"""The reason why a step failed, as the ledger keeps it.

The text of an error is the field `error`, a Message if the error was raised with one. What a coordinator can do depends
on the kind of the error, which the study's facts hold as `reason_kind` (see `morning.words`).
"""

from __future__ import annotations

from sparcc_pipeline.app.study.faults import place_of
from sparcc_pipeline.errors import SparccError
from sparcc_pipeline.message import Message, words_of


def kind_of(error: Exception) -> str:
    """Return the kind of an error, as rows of a batch name it."""
    return type(error).__name__.removesuffix("Error")


def refused_because(sentence: str) -> Message:
    """Return the reason of refused images, with the sentence of the error."""
    return Message("the images were refused: {error}", error=_one_line(sentence))


def failed_because(sentence: str) -> Message:
    """Return the reason of a failed step, with the sentence of the error."""
    return Message("it failed: {error}", error=_one_line(sentence))


def _one_line(sentence: str) -> str:
    return sentence if isinstance(sentence, Message) else " ".join(sentence.split())


def failure_of(error: Exception) -> Message:
    """Return why a step failed: the sentence of a SparccError; of any other error kind and place only.

    The text of another error may quote identity.
    """
    if isinstance(error, SparccError):
        return failed_because(words_of(error))
    file, line = place_of(error)
    return Message(
        "a fault of the program: {kind} in {file}, line {line}; report it with this line",
        kind=type(error).__name__,
        file=file,
        line=line,
    )
