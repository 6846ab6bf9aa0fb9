"""The style of all plots (matplotlib, as SVG). Colors are those of Okabe and Ito."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import matplotlib
from matplotlib import font_manager

from sparcc_pipeline.app.report.pictures.fonts import REPORT_FONT

INK: Final = "#16202a"
SOFT: Final = "#8a96a1"
BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"

_STYLE: Final[Any] = {
    "font.family": "Noto Sans CJK SC",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.unicode_minus": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    # The same report gives the same bytes.
    "svg.hashsalt": "sparcc",
}


def picture(svg: str) -> str:
    """Return an SVG as a data URL, apart from the page so that pictures do not share names."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


@contextmanager
def plot_style() -> Iterator[None]:
    """Apply the style of all plots, with the font of the installation."""
    _load_font()
    with matplotlib.rc_context(_STYLE):
        yield


@cache
def _load_font() -> None:
    font_manager.fontManager.addfont(str(REPORT_FONT))
