"""Leave-one-person-out: each person is measured with networks that never saw them.

The edema threshold of a person is the one that is best on average over the other people (each again by networks that
never saw them), so that nothing is chosen on the fold it is measured on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from sparcc_pipeline.errors import SparccError, UnscorableError
from sparcc_pipeline.imaging.engines import TorchNetwork
from sparcc_pipeline.imaging.segmentation import Segmenter
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.training.calibrate import fit_calibration, measure_calibration, read_items
from sparcc_pipeline.training.labels import PEOPLE, PEOPLE_WITH_LESIONS, PERSON_WITHOUT_EDEMA, Person
from sparcc_pipeline.training.measure import (
    PLAIN_FACTORS,
    Prediction,
    bone_dice,
    edema_dice,
    empty_called,
    machine_kappa,
    plain_dice,
    reader_dice,
    reader_kappa,
    reader_scores,
    score_on_window,
)
from sparcc_pipeline.training.train import PEOPLE_FOR_EDEMA, TrainingRun
from sparcc_pipeline.volume import Volume

FEWEST_FOR_A_THRESHOLD: Final = 2
"""People with readers' lesions: the threshold of each is chosen on the others."""

THRESHOLDS: Final = tuple(np.round(np.arange(0.05, 0.951, 0.05), 2).tolist())


PERSON_COLUMNS: Final = (
    "person", "sacrum", "right ilium", "left ilium", "first slice (read)", "threshold", "edema Dice", "readers",
    "plain", "total", "totals of the readings",
)  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """A figure of the model card, and what it was meant to reach; the value is None where it could not be measured."""

    name: str
    value: float | None
    goal: str
    reached: bool


def predict(run: TrainingRun, person: Person, *, with_t1: bool, threads: int = 2) -> Prediction:
    """What networks that never saw a person say of that person, on STIR alone or with the T1 beside it."""
    # 2014 is in no training of edema: the network of everybody else is that of everybody.
    left_out = person.name if person.name in PEOPLE_FOR_EDEMA else None
    segmenter = Segmenter(
        TorchNetwork(run.bones(person.name), threads),
        TorchNetwork(run.edema(left_out), threads),
        0.5,
        {},
        edema_inputs=run.plan.edema.inputs,
    )
    t1 = Volume(person.t1, person.stir.geometry, person.stir.series) if with_t1 else None
    return Prediction(person, *segmenter.segment(person.stir, t1))


def evaluate(run: TrainingRun, told: Callable[[str], None]) -> dict[str, Any]:
    """All figures of the model card, ready for JSON; trains the folds that the run does not hold yet.

    The figures are those of studies with T1; "stir_alone" holds the same without it. A person whose fold finds no joint
    has its reason in "failures" and is in no other figure.

    Raises
    ------
    UnscorableError : fewer than two people with readers' lesions could be scored, so that no threshold can be chosen
    """
    return {**_evaluate(run, told, with_t1=True), "stir_alone": _evaluate(run, told, with_t1=False)}


def _evaluate(run: TrainingRun, told: Callable[[str], None], *, with_t1: bool) -> dict[str, Any]:
    everybody: dict[str, Prediction] = {}
    failures: dict[str, str] = {}
    for name in PEOPLE:
        told(f"measuring {name} {'with T1' if with_t1 else 'on STIR alone'} with networks that never saw {name}")
        try:
            everybody[name] = predict(run, run.people[name], with_t1=with_t1)
        except SparccError as error:
            failures[name] = " ".join(str(error).split())
            told(f"{name} could not be scored: {failures[name]}")
    return figures(everybody, failures)


def figures(everybody: Mapping[str, Prediction], failures: Mapping[str, str]) -> dict[str, Any]:
    """The figures of the people who could be scored, and why the others could not (see `evaluate`)."""
    lesions = [name for name in PEOPLE_WITH_LESIONS if name in everybody]
    if len(lesions) < FEWEST_FOR_A_THRESHOLD:
        raise UnscorableError(
            f"expected at least {FEWEST_FOR_A_THRESHOLD} people with readers' lesions who can be scored, found "
            f"{len(lesions)} ({'; '.join(failures.values())}); look at the networks of this run"
        )
    predictions = {name: everybody[name] for name in PEOPLE_FOR_EDEMA if name in everybody}
    thresholds = {name: best_threshold(predictions, leaving_out=name) for name in everybody}
    measured = {name: everybody[name].at(thresholds[name]) for name in everybody}
    with_lesions = [measured[name] for name in lesions]
    plain = _plain([prediction.person for prediction in with_lesions])
    people = {name: _person(prediction, plain.get(name)) for name, prediction in measured.items()}
    called, empty = empty_called([measured[name] for name in predictions])
    threshold = best_threshold(predictions, leaving_out=None)
    calibrations = {name: _calibration(predictions, thresholds[name], leaving_out=name) for name in predictions}
    result: dict[str, Any] = {
        "edema_threshold": threshold,
        "calibration": asdict(_calibration(predictions, threshold, leaving_out=None)),
        "certainty": measure_calibration({name: measured[name] for name in predictions}, calibrations),
        "people": people,
        "failures": dict(failures),
        "edema_dice_mean": float(np.mean([people[name]["edema_dice_mean"] for name in lesions])),
        "reader_dice_mean": float(np.mean([people[name]["reader_dice"] for name in lesions])),
        "plain_dice_mean": float(np.mean(list(plain.values()))),
        "quadrant_kappa": machine_kappa(with_lesions),
        "reader_quadrant_kappa": reader_kappa([prediction.person for prediction in with_lesions]),
        "empty_quadrants": empty,
        "empty_quadrants_called": called,
    }
    result["goals"] = [vars(goal) for goal in _goals(result)]
    return result


def _calibration(predictions: Mapping[str, Prediction], threshold: float, leaving_out: str | None) -> Calibration:
    """How sure the model is, from everybody but one, at the threshold that was chosen without that one."""
    others = [prediction for name, prediction in predictions.items() if name != leaving_out]
    return fit_calibration([reading for other in others for reading in read_items(other.at(threshold))])


def best_threshold(predictions: Mapping[str, Prediction], leaving_out: str | None) -> float:
    """The threshold with the highest mean edema Dice over the people with lesions but one."""
    chosen = [predictions[name] for name in PEOPLE_WITH_LESIONS if name in predictions and name != leaving_out]
    means = [np.mean([np.mean(edema_dice(p, threshold)) for p in chosen]) for threshold in THRESHOLDS]
    return float(THRESHOLDS[int(np.argmax(means))])


def _plain(people: Sequence[Person]) -> dict[str, float]:
    """Dice of the plain threshold for each person, its factor chosen on the others."""
    table = {person.name: np.array([plain_dice(person, factor) for factor in PLAIN_FACTORS]) for person in people}
    best = {
        name: int(np.argmax(np.mean([curve for other, curve in table.items() if other != name], axis=0)))
        for name in table
    }
    return {name: float(curve[best[name]]) for name, curve in table.items()}


def _person(prediction: Prediction, plain: float | None) -> dict[str, Any]:
    """The figures of one person."""
    person = prediction.person
    six = choose_six_slices(prediction.joints, prediction.tissue.ligamentous)
    score = score_on_window(prediction)
    has_lesions = person.readings is not None
    per_reading = edema_dice(prediction, prediction.tissue.edema_threshold) if has_lesions else []
    return {
        "bone_dice": bone_dice(prediction),
        "first_slice": six.first,
        "first_slice_read": person.six_slices[0],
        "edema_threshold": prediction.tissue.edema_threshold,
        "edema_dice": per_reading,
        "edema_dice_mean": float(np.mean(per_reading)) if has_lesions else None,
        "reader_dice": reader_dice(person) if has_lesions else None,
        "plain_dice": plain,
        "score": {"edema": score.edema, "intensity": score.intensity, "depth": score.depth, "total": score.total},
        "reader_totals": [reading.total for reading in reader_scores(prediction)] if has_lesions else [],
    }


def _goals(result: Mapping[str, Any]) -> list[Goal]:
    people, everyone = result["people"], len(result["people"]) + len(result["failures"])
    sacrum = float(np.mean([each["bone_dice"]["sacrum"] for each in people.values()]))
    ilium = float(np.mean([v for e in people.values() for k, v in e["bone_dice"].items() if k != "sacrum"]))
    within = sum(abs(each["first_slice"] - each["first_slice_read"]) <= 1 for each in people.values())
    called = result["empty_quadrants_called"] / result["empty_quadrants"]
    without_edema = people[PERSON_WITHOUT_EDEMA]["score"]["total"] if PERSON_WITHOUT_EDEMA in people else None
    quiet = without_edema is not None and without_edema <= 2
    return [
        Goal("people who could be scored", len(people), f"all {everyone}", len(people) == everyone),
        Goal("Dice of the sacrum within 25 mm of the joint", sacrum, ">= 0.92", sacrum >= 0.92),
        Goal("Dice of the ilium within 25 mm of the joint", ilium, ">= 0.94", ilium >= 0.94),
        Goal("first of the six slices within one of the reading", within, f"all {everyone}", within == everyone),
        Goal("edema Dice, mean", result["edema_dice_mean"], ">= 0.45", result["edema_dice_mean"] >= 0.45),
        Goal("quadrant kappa", result["quadrant_kappa"], ">= 0.40", result["quadrant_kappa"] >= 0.40),
        Goal("share of empty quadrants called", called, "<= 0.10", called <= 0.10),
        Goal("total of 2015, without edema", without_edema, "<= 2", quiet),
    ]


def evaluation_markdown(result: Mapping[str, Any]) -> str:
    """The figures as Markdown tables: with T1, and on STIR alone."""
    return "\n".join(
        [
            "### With T1\n",
            *_figures(result),
            "\n### STIR alone\n",
            *_figures(result["stir_alone"]),
            "\n### How sure (with T1)\n",
            *_certainty(result["certainty"]),
        ]
    ) + "\n"  # fmt: skip


def _figures(result: Mapping[str, Any]) -> list[str]:
    rows = ["| figure | value | goal | reached |", "|---|---|---|---|"]
    for g in result["goals"]:
        value = "" if g["value"] is None else format(g["value"], ".3g")
        rows.append(f"| {g['name']} | {value} | {g['goal']} | {'yes' if g['reached'] else '**no**'} |")
    rows += [
        "",
        f"Beside them: edema Dice of reader against reader {result['reader_dice_mean']:.2f}, of a plain threshold",
        f"inside perfect bones and joints {result['plain_dice_mean']:.2f}; quadrant kappa of the readers among",
        f"themselves {result['reader_quadrant_kappa']:.2f};",
        f"{result['empty_quadrants_called']} of {result['empty_quadrants']}",
        f"quadrants that no reading marks were called. Threshold: {result['edema_threshold']:.2f}.",
        "",
        f"| {' | '.join(PERSON_COLUMNS)} |",
        f"|{'---|' * len(PERSON_COLUMNS)}",
    ]
    for name, each in result["people"].items():
        bones = " | ".join(f"{each['bone_dice'][key]:.3f}" for key in ("sacrum", "right ilium", "left ilium"))
        edema = " | ".join(
            "" if each[key] is None else f"{each[key]:.2f}" for key in ("edema_dice_mean", "reader_dice", "plain_dice")
        )
        first = f"{each['first_slice']} ({each['first_slice_read']})"
        score = "{total} ({edema} + {intensity} + {depth})".format(**each["score"])
        readings = ", ".join(map(str, each["reader_totals"]))
        rows.append(f"| {name} | {bones} | {first} | {each['edema_threshold']:.2f} | {edema} | {score} | {readings} |")
    blank = " |" * (len(PERSON_COLUMNS) - 2)
    rows += [f"| {name} | not scored: {reason} |{blank}" for name, reason in result["failures"].items()]
    return rows


def _certainty(result: Mapping[str, Any]) -> list[str]:
    """Intervals and reliability, each person by the calibration of the others."""
    rows = [
        "| person | expected | 90 % interval | chance of remission | totals of the readings |",
        "|---|---|---|---|---|",
    ]
    for name, each in result["people"].items():
        low, high = each["interval_90"]
        totals = ", ".join(map(str, each["reader_totals"]))
        rows.append(
            f"| {name} | {each['expected']:.1f} | {low}-{high} | {each['probability_remission']:.2f} | {totals} |"
        )
    rows += [
        "",
        f"The interval holds {result['totals_covered']} of {result['totals']} totals. Brier score of the quadrants",
        f"{result['brier']:.3f} ({result['brier_of_the_mean']:.3f} for one who always says the mean).",
        "",
        "| probability said | quadrants | said on average | happened |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {b['from']:g}-{b['to']:g} | {b['items']} | {b['said']:.2f} | {b['happened']:.2f} |"
        for b in result["reliability"]
    ]
    return rows
