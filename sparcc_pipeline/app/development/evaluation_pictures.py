"""`sparcc model evaluate --overlays`: found and drawn edema and joints, one sheet of slices for each person.

For developers. The pictures show people's scans, which may not be passed on: they stay on the machine, and git ignores
the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.report.language import ENGLISH
from sparcc_pipeline.app.report.pictures.fonts import picture_font
from sparcc_pipeline.app.report.pictures.marks import PAPER, TEXT
from sparcc_pipeline.app.report.pictures.overlay import (
    EDEMA,
    HEADER_PIXELS,
    JOINT_LINE,
    panel,
    png,
    view_about,
    window_about,
)
from sparcc_pipeline.app.report.pictures.sheet import Cell, Entry, sheet, with_scale
from sparcc_pipeline.app.report.pictures.view import Pen, View
from sparcc_pipeline.app.study.files import make_folder, write_bytes, write_text
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.edema import edema_points
from sparcc_pipeline.training.measure.agreement import Prediction
from sparcc_pipeline.volume import BoolArray, FloatArray, slice_number

COLUMNS: Final = 3
PIXELS_PER_MM: Final = 4.0

READERS: Final = "#009E73"
DRAWN_JOINT: Final = "#F0E442"

MOST_READINGS: Final = 0.5
"""Share of the readings from which a voxel is inside the outline of the readers."""

LEGEND: Final[tuple[Entry, ...]] = (
    (EDEMA, Message("edema found")),
    (READERS, Message("edema drawn by at least half of the readings")),
    (JOINT_LINE, Message("joint found")),
    (DRAWN_JOINT, Message("joint drawn")),
    (None, Message("not for the repository: the images may not be passed on")),
)


def write_picture(folder: Path, contrast: str, prediction: Prediction, figures: Mapping[str, Any]) -> None:
    """Write NAME_CONTRAST.png: all slices with a drawn joint, the six as read among them.

    Parameters
    ----------
    folder : created if absent
    prediction : by networks that were trained without the person
    figures : figures of the person from `training.measure.evaluate`

    Raises
    ------
    OutputError : the folder or the file cannot be written
    """
    make_folder(folder, "pictures")
    # So that the pictures are not committed by mistake.
    write_text(folder / ".gitignore", "*\n")
    write_bytes(folder / f"{prediction.person.name}_{contrast}.png", png(draw_person(prediction, contrast, figures)))


def draw_person(prediction: Prediction, contrast: str, figures: Mapping[str, Any]) -> Image.Image:
    """Return the sheet of one person: a caption, then every slice from the first to the last with a drawn joint."""
    person, shown = prediction.person, _shown(prediction)
    view = _view(prediction, shown)
    window = window_about(person.stir.signal[shown], prediction.tissue.anatomy[shown], prediction.tissue.edema[shown])
    cells = [Cell(_panel(prediction, k, view, window), *_titles(prediction, k)) for k in shown]
    below = sheet(cells, COLUMNS, LEGEND, ENGLISH)
    whole = Image.new("RGB", (below.width, below.height + 2 * HEADER_PIXELS), PAPER)
    whole.paste(below, (0, 2 * HEADER_PIXELS))
    draw = ImageDraw.Draw(whole)
    for line, text in enumerate(_caption(prediction, contrast, figures)):
        at = (12, (line + 0.5) * HEADER_PIXELS)
        draw.text(at, text, font=picture_font(20, ENGLISH), fill=TEXT, anchor="lm")
    return whole


def _shown(prediction: Prediction) -> list[int]:
    """The cartilaginous slices, which have drawn joints, and the six that were read."""
    person = prediction.person
    first = min(person.cartilaginous[0], person.six_slices[0])
    return list(range(first, max(person.cartilaginous[1], person.six_slices[1]) + 1))


def _view(prediction: Prediction, shown: list[int]) -> View:
    """The part of the slices around all drawn and found joints."""
    drawn = [line for k in shown for side in Side if (line := _drawn_mm(prediction, k, side)) is not None]
    found = [joint.joint_line for joint in prediction.joints if joint.slice_index in shown]
    view = view_about([*drawn, *found], prediction.person.stir.geometry)
    return View(view.first, view.last, view.in_plane_mm, PIXELS_PER_MM)


def _drawn_mm(prediction: Prediction, k: int, side: Side) -> FloatArray | None:
    """(n, 2) (row_mm, column_mm) of the drawn joint; None where no joint was drawn."""
    line = prediction.person.joint_lines.get((k, side))
    return None if line is None else np.asarray(line * np.array(prediction.person.stir.geometry.in_plane_mm))


def _panel(prediction: Prediction, k: int, view: View, window: tuple[float, float]) -> Image.Image:
    """One slice with outlines and lines, the found ones over the drawn ones."""
    pen, readings = Pen(view), prediction.person.readings
    if readings is not None:
        drawn: BoolArray = readings[:, k].mean(axis=0) >= MOST_READINGS
        pen.outline(drawn, READERS, 1.4)
    pen.outline(prediction.tissue.edema[k], EDEMA, 1.4)
    for side in Side:
        line, joint = _drawn_mm(prediction, k, side), prediction.joints.at(k, side)
        if line is not None:
            pen.line(line, DRAWN_JOINT, 1.6)
        if joint is not None:
            pen.line(joint.joint_line, JOINT_LINE, 1.6)
    plain = panel(prediction.person.stir.signal[k], view, *window)
    return with_scale(Image.alpha_composite(plain.convert("RGBA"), pen.layer()).convert("RGB"), view)


def _titles(prediction: Prediction, k: int) -> tuple[Message, Message]:
    """Slice and its place among the six that were read; number of quadrants with edema on each side."""
    first, last = prediction.person.six_slices
    title = Message("Slice {slice}", slice=slice_number(k))
    if first <= k <= last:
        title = Message("Slice {slice}, {place} of the six", slice=slice_number(k), place=k - first + 1)
    area, edema = prediction.person.stir.geometry.pixel_area_mm2, prediction.tissue.edema[k]
    counts = []
    for side in Side:
        joint = prediction.joints.at(k, side)
        points = {} if joint is None else edema_points(joint, edema, area)
        counts.append("-" if joint is None else str(sum(point or 0 for point in points.values())))
    return title, Message("quadrants right {right}, left {left}", right=counts[0], left=counts[1])


def _caption(prediction: Prediction, contrast: str, figures: Mapping[str, Any]) -> tuple[str, str]:
    """Totals and Dice, then the six slices and the joint line; only in English, for developers."""
    points = "{total} ({edema} + {intensity} + {depth})"
    readings = ", ".join(map(str, figures["reader_totals"])) or "none"
    dice = figures["edema_dice_mean"]
    edema = "" if dice is None else f"    edema Dice {dice:.2f} (readers {figures['reader_dice']:.2f})"
    line = figures["joint_line"]["percentile_95_found_mm"]
    off = "-" if line is None else f"{line:.2f}"
    bones = ", ".join(f"{name} {value:.3f}" for name, value in figures["bone_dice"].items())
    return (
        f"{prediction.person.name}, {contrast.replace('_', ' ')}    total {points.format(**figures['score'])}, on its "
        f"own six {points.format(**figures['score_own_slices'])}    readings: {readings}{edema}",
        f"first of the six {figures['first_slice']} (read {figures['first_slice_read']})    "
        f"joint line, 95 % within {off} mm    Dice {bones}",
    )
