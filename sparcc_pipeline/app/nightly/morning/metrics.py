"""Figures for a monitoring system, as a text file in Prometheus' exposition format.

`work_folder/metrics/sparcc.prom` is replaced in one step; node_exporter's textfile collector or any web server may
serve it. Site codes and states are the only labels: no participant, no study.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from sparcc_pipeline.app.study.files import replace_bytes

METRICS_FILE: Final = "sparcc.prom"


@dataclass(frozen=True)
class Metric:
    """One family of the exposition format.

    Parameters
    ----------
    samples : values by their labels; a family without samples is left out

    Raises
    ------
    ValueError : two samples have the same labels
    """

    name: str
    kind: Literal["gauge", "counter"]
    text: str
    samples: Sequence[tuple[Mapping[str, str], float]]

    def __post_init__(self) -> None:
        labels = {frozenset(each.items()) for each, _ in self.samples}
        if len(labels) < len(self.samples):
            raise ValueError(f"{self.name}: two values with the same labels")

    def as_family(self) -> Family:
        """Return the family as `prometheus_client` knows it; it adds `_total` to the name of a counter."""
        family = Family(self.name.removesuffix("_total"), self.text, self.kind)
        for labels, value in self.samples:
            family.add_sample(self.name, dict(labels), value)
        return family


class _Families(Collector):
    """A registry of fixed values."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._families = [metric.as_family() for metric in metrics if metric.samples]

    def collect(self) -> Iterable[Family]:
        return self._families


def metrics_text(metrics: Iterable[Metric]) -> str:
    """Return the families as text (exposition format 0.0.4)."""
    return generate_latest(_Families(metrics)).decode("utf-8")


def write_metrics(metrics: Iterable[Metric], folder: Path) -> Path:
    """Replace `sparcc.prom` in one step, and return its path.

    Raises
    ------
    OutputError : the file cannot be written; the earlier one stays
    """
    file = folder / METRICS_FILE
    replace_bytes(file, metrics_text(metrics).encode("utf-8"))
    return file
