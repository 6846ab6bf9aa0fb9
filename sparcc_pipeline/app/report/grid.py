"""The grid of a score on pages: its columns are ordered as in the image, the patient's right on the left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparcc_pipeline.anatomy import Bone, Level, Quadrant, Side
from sparcc_pipeline.message import Message

QUADRANTS_AS_SHOWN: Final = {
    Side.RIGHT: (Quadrant.UPPER_ILIAC, Quadrant.LOWER_ILIAC, Quadrant.UPPER_SACRAL, Quadrant.LOWER_SACRAL),
    Side.LEFT: (Quadrant.UPPER_SACRAL, Quadrant.LOWER_SACRAL, Quadrant.UPPER_ILIAC, Quadrant.LOWER_ILIAC),
}
"""Columns of the grid in the order of the image: the ilia outside, the sacrum between."""

BONE_NAMES: Final = {Bone.ILIUM: Message("Iliac"), Bone.SACRUM: Message("Sacral")}
LEVEL_NAMES: Final = {Level.UPPER: Message("upper"), Level.LOWER: Message("lower")}
SIDE_NAMES: Final = {Side.RIGHT: Message("Patient's right"), Side.LEFT: Message("Patient's left")}

ITEM_NAMES: Final = {
    "upper_iliac": Message("upper iliac quadrant"),
    "lower_iliac": Message("lower iliac quadrant"),
    "upper_sacral": Message("upper sacral quadrant"),
    "lower_sacral": Message("lower sacral quadrant"),
    "intense": Message("intensity"),
    "deep": Message("depth"),
}
"""The six items of a joint-slice, by their keys in `score.json`."""


@dataclass(frozen=True)
class GridSide:
    """The columns of one joint: their headings, and the keys of its four quadrants in `score.json`."""

    key: str
    name: Message
    bones: tuple[Message, Message]
    quadrants: tuple[tuple[str, Message], ...]


GRID: Final = tuple(
    GridSide(
        key=side.value,
        name=SIDE_NAMES[side],
        bones=(BONE_NAMES[quadrants[0].bone], BONE_NAMES[quadrants[-1].bone]),
        quadrants=tuple((quadrant.value, LEVEL_NAMES[quadrant.level]) for quadrant in quadrants),
    )
    for side, quadrants in QUADRANTS_AS_SHOWN.items()
)


def points_text(count: int) -> Message:
    """Return a number of points in words."""
    return Message("{count} point", count=count) if count == 1 else Message("{count} points", count=count)
