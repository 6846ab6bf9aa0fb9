"""Measure the distance of the found joint line from the drawn one, in the plane of the slice, in mm.

The distance is that of every drawn point from the found line. The drawn lines are trimmed by 3-8 mm at their ends, so a
found joint may be longer and still be right, while a joint that is too short is as far off as the part it misses. The
distance of found points from the drawn line is measured beside that line only, as a second figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.training.data.labels import Person
from sparcc_pipeline.volume import BoolArray, FloatArray

PERCENTILE: Final = 95


@dataclass(frozen=True, eq=False)
class LineDistances:
    """Distances of one person, or of several together.

    Parameters
    ----------
    from_drawn_mm : of each drawn point on the labelled slices from the found line; inf where no joint was found
    from_found_mm : of each found point beside the drawn line, not beyond its ends, from the drawn line
    joint_slices : number of joints drawn, one for each side of a slice
    missing : (slice_index, side) of the drawn joints that were not found
    """

    from_drawn_mm: FloatArray
    from_found_mm: FloatArray
    joint_slices: int
    missing: tuple[tuple[int, Side], ...]


def distance_from_line(points_mm: FloatArray, line_mm: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the distance of each point from a chain of straight pieces, and whether it is beside it.

    A point beyond an end of the line is not beside it.

    Parameters
    ----------
    points_mm : (n, 2) (row_mm, column_mm)
    line_mm : (m, 2), at least two points, upper end first
    """
    start, piece = line_mm[:-1], np.diff(line_mm, axis=0)
    away = points_mm[:, None, :] - start[None, :, :]
    length2 = np.maximum((piece**2).sum(axis=1), np.finfo(np.float64).tiny)
    along = (away * piece).sum(axis=2) / length2
    distance = np.linalg.norm(away - np.clip(along, 0.0, 1.0)[:, :, None] * piece, axis=2)
    nearest, every = distance.argmin(axis=1), np.arange(len(points_mm))
    before = (nearest == 0) & (along[every, nearest] < 0)
    behind = (nearest == len(piece) - 1) & (along[every, nearest] > 1)
    return distance[every, nearest], ~(before | behind)


def line_distances(person: Person, joints: Joints) -> LineDistances:
    """Compare all drawn joint lines on the cartilaginous slices of one person with the joints found."""
    first, last = person.cartilaginous
    from_drawn: list[FloatArray] = [np.empty(0)]
    from_found: list[FloatArray] = [np.empty(0)]
    missing: list[tuple[int, Side]] = []
    drawn = {key: line for key, line in person.joint_lines.items() if first <= key[0] <= last}
    for (k, side), line in drawn.items():
        line_mm, found = line * np.array(person.stir.geometry.in_plane_mm), joints.at(k, side)
        if found is None:
            missing.append((k, side))
            from_drawn.append(np.full(len(line), np.inf))
            continue
        from_drawn.append(distance_from_line(line_mm, found.joint_line)[0])
        distance, beside = distance_from_line(found.joint_line, line_mm)
        from_found.append(distance[beside])
    return LineDistances(np.concatenate(from_drawn), np.concatenate(from_found), len(drawn), tuple(missing))


def pooled(people: Iterable[LineDistances]) -> LineDistances:
    """Return the points of all people together."""
    each = list(people)
    return LineDistances(
        np.concatenate([one.from_drawn_mm for one in each]),
        np.concatenate([one.from_found_mm for one in each]),
        sum(one.joint_slices for one in each),
        tuple(key for one in each for key in one.missing),
    )


def line_figures(distances: LineDistances) -> dict[str, Any]:
    """Return median and 95th percentile, ready for JSON.

    A drawn point without a found joint is infinitely far, so `percentile_95_mm` is None if more than 5 % of the points
    have none. `percentile_95_found_mm` leaves them out.
    """
    seen = distances.from_drawn_mm[np.isfinite(distances.from_drawn_mm)]
    return {
        "percentile_95_mm": within(distances.from_drawn_mm, PERCENTILE),
        "percentile_95_found_mm": within(seen, PERCENTILE),
        "median_found_mm": within(seen, 50),
        "percentile_95_from_found_mm": within(distances.from_found_mm, PERCENTILE),
        "joint_slices": distances.joint_slices,
        "missing": [{"slice": k, "side": side.value} for k, side in distances.missing],
    }


def within(distances_mm: FloatArray, percentile: float) -> float | None:
    """Return the percentile of the distances: the smallest that holds so many percent; None if it is not finite."""
    if not len(distances_mm):
        return None
    value = float(np.percentile(distances_mm, percentile, method="inverted_cdf"))
    return value if np.isfinite(value) else None
