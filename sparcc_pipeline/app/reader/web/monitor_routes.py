"""The coordinator's page about the readers: agreement, time and drift, without a score.

Contents: `monitor_routes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from sparcc_pipeline.app.reader.reliability.monitoring import Chart, monitor
from sparcc_pipeline.app.reader.web.site import Site

WIDTH: Final = 260
HEIGHT: Final = 72


def monitor_routes(site: Site) -> APIRouter:
    """Return the route of the page."""
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/coordinator/readers")
    def readers_page(request: Request) -> Response:
        with site.database.reading() as connection:
            readers = monitor(connection, site.store, site.protocol)
        pictures = {each.reader: _picture(each.chart) for each in readers if each.chart is not None}
        return site.page(request, "monitor.html", readers=readers, pictures=pictures, width=WIDTH, height=HEIGHT)

    return router


def _picture(chart: Chart) -> dict[str, str]:
    """Return the lines of a drift chart as points of an SVG picture; its scale shows no points of the score."""
    largest = max(*map(abs, chart.averages), *chart.limits)

    def points(values: Sequence[float]) -> str:
        step = WIDTH / max(len(values) - 1, 1)
        return " ".join(
            f"{k * step:.1f},{HEIGHT / 2 - value / largest * (HEIGHT / 2 - 4):.1f}" for k, value in enumerate(values)
        )

    below = [-limit for limit in chart.limits]
    return {"average": points(chart.averages), "upper": points(chart.limits), "lower": points(below)}
