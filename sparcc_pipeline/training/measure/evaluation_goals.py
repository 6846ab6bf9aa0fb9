"""The figures that judge the model, each with its goal. A goal counts as reached only if all people were scored."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from sparcc_pipeline.training.data.labels import (
    PEOPLE,
    PEOPLE_WITH_LESIONS,
    PERSON_WITH_UNREAD_EDEMA,
    PERSON_WITHOUT_EDEMA,
)

SHARE_OF_READER_DICE: Final = 0.95
LARGEST_TOTAL_DIFFERENCE: Final = 4.0
EXACT_FIRST_SLICES: Final = 6
SACRUM_DICE: Final = 0.92
ILIUM_DICE: Final = 0.94
JOINT_LINE_WITH_T1_MM: Final = 2.7
"""The best published: 95 % of the errors of a joint's contour within 2.76 mm. Source: [Jamaludin2026]."""

JOINT_LINE_ON_STIR_MM: Final = 3.5
EMPTY_CALLED: Final = 0.05
LARGEST_QUIET_TOTAL: Final = 1
REMISSION: Final = 0.5
COVERED: Final = (0.85, 0.95)
LARGEST_MEAN_WIDTH: Final = 18
LARGEST_REPEAT_SD: Final = 1.5
LARGEST_DETECTABLE_CHANGE: Final = 4
STRESS_MEDIAN: Final = 1
STRESS_LARGEST: Final = 5
INFERENCE_SECONDS: Final = 2.5
MEMORY_MB: Final = 400

STRESS_FILE: Final = "stress.json"
RETEST_FILE: Final = "retest.json"
BENCHMARK_FILE: Final = "benchmark.json"

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """A figure and its goal.

    `value` is None if it could not be measured. `reached` is None if no number decides, or if another command measures
    the figure; `note` then holds what decides, or the command.
    """

    name: str
    value: float | None
    goal: str
    reached: bool | None
    note: str = ""


def goals_of(result: Figures, *, with_t1: bool) -> list[Goal]:
    """Return all figures of `evaluate.figures` with their goals.

    If one of the people of a goal could not be scored, the goal is not reached: the value is that of the others.
    """
    return [
        _all_scored(result),
        *_edema(result),
        *_totals(result),
        *_quiet(result),
        *_anatomy(result, JOINT_LINE_WITH_T1_MM if with_t1 else JOINT_LINE_ON_STIR_MM),
        *_sure(result),
    ]


def _goal(name: str, value: float | None, goal: str, reached: bool, scored: Figures, over: Collection[str]) -> Goal:
    return Goal(name, value, goal, value is not None and bool(reached) and all(each in scored for each in over))


def _all_scored(result: Figures) -> Goal:
    people, everyone = len(result["people"]), len(result["people"]) + len(result["failures"])
    return Goal("people who could be scored", people, f"all {everyone}", people == everyone)


def _edema(result: Figures) -> list[Goal]:
    people = result["people"]
    dice, readers = result["edema_dice_mean"], result["reader_dice_mean"]
    kappa, reader_kappa = result["quadrant_kappa"], result["reader_quadrant_kappa"]
    agrees = kappa is not None and reader_kappa is not None and kappa >= reader_kappa
    called = result["empty_quadrants_called"] / result["empty_quadrants"] if result["empty_quadrants"] else None
    few = called is not None and called <= EMPTY_CALLED
    name, near = "edema Dice against the readings, mean", dice >= SHARE_OF_READER_DICE * readers
    drawn, empty = PEOPLE_WITH_LESIONS, "share of quadrants called that all readings leave empty"
    return [
        _goal(name, dice, _reader(f">= {SHARE_OF_READER_DICE} of", readers), near, people, drawn),
        _goal("quadrant kappa against the readings", kappa, _reader(">=", reader_kappa), agrees, people, drawn),
        _goal(empty, called, f"<= {EMPTY_CALLED}", few, people, (*drawn, PERSON_WITHOUT_EDEMA)),
    ]


def _reader(sign: str, value: float | None) -> str:
    return f"{sign} {'-' if value is None else format(value, '.3g')} (reader on reader)"


def _totals(result: Figures) -> list[Goal]:
    window, own = result["total_differences"], result["total_differences_own_slices"]
    rows = [
        ("total, mean difference from the readers' mean", window, "machine", "readers", LARGEST_TOTAL_DIFFERENCE),
        ("the same on the machine's own six slices", own, "machine", "readers", LARGEST_TOTAL_DIFFERENCE),
        ("total, mean difference from each reading", window, "machine_reading", "reader_reading", None),
    ]
    goals = []
    for name, table, machine, readers, most in rows:
        value, limit = table[machine], table[readers]
        goal = _reader("<=" if most is None else f"<= {most} and <=", limit)
        reached = value <= limit and (most is None or value <= most)
        goals.append(_goal(name, value, goal, reached, result["people"], PEOPLE_WITH_LESIONS))
    return goals


def _quiet(result: Figures) -> list[Goal]:
    people, name = result["people"], PERSON_WITHOUT_EDEMA
    each, sure = people.get(name), result["certainty"]["people"].get(name)
    total = None if each is None else max(each["score"]["total"], each["score_own_slices"]["total"])
    remission = None if sure is None else sure["probability_remission"]
    quiet = total is not None and total <= LARGEST_QUIET_TOTAL
    certain = remission is not None and remission >= REMISSION
    unread = people.get(PERSON_WITH_UNREAD_EDEMA)
    return [
        _goal(f"total of {name}, without edema, six as read or its own", total, "0 or 1", quiet, people, (name,)),
        _goal(f"probability of remission of {name}", remission, f">= {REMISSION}", certain, people, (name,)),
        Goal(
            f"{PERSON_WITH_UNREAD_EDEMA}, edema that no reader drew: quadrants called on its six slices",
            None if unread is None else unread["called"]["quadrants_on_the_six"],
            "where it is, nowhere else",
            None,
            "looked at: slices below",
        ),
    ]


def _anatomy(result: Figures, joint_line_mm: float) -> list[Goal]:
    people, line = result["people"], result["joint_line"]["percentile_95_mm"]
    # Rounded, so that people at a goal are at the goal together.
    sacrum = round(fmean(each["bone_dice"]["sacrum"] for each in people.values()), 9)
    ilium = round(fmean(v for e in people.values() for k, v in e["bone_dice"].items() if k != "sacrum"), 9)
    off = [abs(each["first_slice"] - each["first_slice_read"]) for each in people.values()]
    near, exact, everyone = sum(each <= 1 for each in off), off.count(0), len(people) + len(result["failures"])
    close = line is not None and line <= joint_line_mm
    rows = [
        ("Dice of the sacrum within 25 mm of the joint", sacrum, f">= {SACRUM_DICE}", sacrum >= SACRUM_DICE),
        ("Dice of the ilia within 25 mm of the joint", ilium, f">= {ILIUM_DICE}", ilium >= ILIUM_DICE),
        ("joint line, 95th percentile of the distance, mm", line, f"<= {joint_line_mm}", close),
    ]
    return [
        *(_goal(*row, people, PEOPLE) for row in rows),
        Goal("first of the six slices within one of the reading", near, f"all {everyone}", near == everyone),
        Goal(
            "first of the six slices as read",
            exact,
            f">= {EXACT_FIRST_SLICES} of {everyone}",
            exact >= EXACT_FIRST_SLICES,
        ),
    ]


def _sure(result: Figures) -> list[Goal]:
    certainty, (low, high) = result["certainty"], COVERED
    readers = [certainty["people"][name] for name in PEOPLE_WITH_LESIONS if name in certainty["people"]]
    totals = sum(len(each["reader_totals"]) for each in readers)
    share = sum(each["covered"] for each in readers) / totals if totals else None
    inside = share is not None and low <= share <= high
    width = certainty["mean_width"]
    people, drawn = result["people"], PEOPLE_WITH_LESIONS
    name = "share of the readers' totals in the 90 % interval"
    everybody = (*drawn, PERSON_WITHOUT_EDEMA)
    narrow = width <= LARGEST_MEAN_WIDTH
    return [
        _goal(name, share, f"{low}-{high}", inside, people, drawn),
        _goal("90 % interval, mean width", width, f"<= {LARGEST_MEAN_WIDTH}", narrow, people, everybody),
    ]


def goals_elsewhere(folder: Path) -> list[Goal]:
    """Return the figures of the installed model that other commands measure, from their files in the run's folder.

    If the file of a figure is absent or unreadable, the figure has no value and a note with the command.
    """
    return [
        *_retest(_read(folder / RETEST_FILE)),
        *_stress(_read(folder / STRESS_FILE)),
        *_benchmark(_read(folder / BENCHMARK_FILE)),
    ]


def _retest(found: Figures) -> list[Goal]:
    matched = found.get("over_all", {}).get("matched", {})
    of = "not measured here: `sparcc model retest` with the same --run"
    if matched:
        of = f"{found['model'].get('name')} {found['model'].get('version')}, {matched.get('repeats')} repeats"
    rows = (
        ("repeat scans: largest SD of the total of a scan under 20", "largest_sd_low", LARGEST_REPEAT_SD),
        ("repeat scans: smallest detectable change", "sdc", LARGEST_DETECTABLE_CHANGE),
    )
    return [_at_most(name, matched.get(key), most, of) for name, key, most in rows]


def _stress(found: Figures) -> list[Goal]:
    model, over_all = found.get("model", {}), found.get("over_all", {})
    of = "not measured here: `sparcc model stress` with the same --run"
    if over_all:
        of = f"{model.get('name')} {model.get('version')}, {over_all.get('rows')} scans"
    rows = (
        ("stress: change of the total, median", "median_change", STRESS_MEDIAN),
        ("stress: change of the total, largest", "largest_change", STRESS_LARGEST),
        ("stress: failures without a reason", "failed_without_reason", 0),
    )
    return [_at_most(name, over_all.get(key), most, of) for name, key, most in rows]


def _benchmark(found: Figures) -> list[Goal]:
    try:
        # Segmenting also finds the joints; the benchmark times the two apart.
        seconds: float | None = sum(found["warm"][step][0] for step in ("segment", "joint"))
        memory, machine = found["peak_memory_mb"], found["machine"]
        of = f"{machine['cores']} cores, {found['threads']} threads, load {machine['load_before']} before"
    except (KeyError, TypeError, IndexError):
        seconds, memory, of = None, None, f"not measured here: `sparcc benchmark STUDY --json > RUN/{BENCHMARK_FILE}`"
    return [
        _at_most("inference of 25 slices, ONNX Runtime, seconds", seconds, INFERENCE_SECONDS, of),
        _at_most("peak memory of the whole program, MB", memory, MEMORY_MB, of),
    ]


def _at_most(name: str, value: float | None, most: float, note: str) -> Goal:
    return Goal(name, value, f"<= {most}" if most else "0", None if value is None else value <= most, note)


def _read(path: Path) -> Figures:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
