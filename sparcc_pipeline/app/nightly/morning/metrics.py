"""Figures for a monitoring system, as a text file in Prometheus' exposition format.

`work_folder/metrics/sparcc.prom`, replaced in one step: node_exporter's textfile collector or any web server may hand
it on. Site codes and states are the only labels: no participant, no study.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sparcc_pipeline.app.study.files import replace_bytes

METRICS_FILE: Final = "sparcc.prom"

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True)
class Metric:
    """One family of the exposition format.

    Parameters
    ----------
    samples : values by their labels; a family without samples is left out

    Raises
    ------
    ValueError : a name is not valid, or two samples have the same labels
    """

    name: str
    kind: Literal["gauge", "counter"]
    text: str
    samples: Sequence[tuple[Mapping[str, str], float]]

    def __post_init__(self) -> None:
        labels = [tuple(sorted(each.items())) for each, _ in self.samples]
        if not _NAME.fullmatch(self.name) or not all(_LABEL.fullmatch(name) for each in labels for name, _ in each):
            raise ValueError(f"{self.name}: not a name of a metric, or of its labels")
        if len(set(labels)) < len(labels):
            raise ValueError(f"{self.name}: two values with the same labels")


def metrics_text(metrics: Iterable[Metric]) -> str:
    """The families as text (exposition format 0.0.4)."""
    lines = []
    for metric in metrics:
        if metric.samples:
            lines += [f"# HELP {metric.name} {_escaped(metric.text)}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{_labels(labels)} {_number(value)}" for labels, value in metric.samples]
    return "".join(f"{line}\n" for line in lines)


def write_metrics(metrics: Iterable[Metric], folder: Path) -> Path:
    """Replace `sparcc.prom` in one step.

    Raises
    ------
    OutputError : it cannot be written; the earlier one is then still there
    """
    file = folder / METRICS_FILE
    replace_bytes(file, metrics_text(metrics).encode("utf-8"))
    return file


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    inside = ",".join(f'{name}="{_escaped(value, quotes=True)}"' for name, value in labels.items())
    return f"{{{inside}}}"


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quotes else text


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(int(value)) if float(value).is_integer() else repr(float(value))
