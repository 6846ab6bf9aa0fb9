"""The languages of the reports: every text of the program has a translation with the same numbers."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import string
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

import sparcc_pipeline
from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.reader.web.script_words import script_templates
from sparcc_pipeline.app.report.language import ENGLISH, language
from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.message import Message, from_plain, to_plain
from sparcc_pipeline.orientation import Plane

PACKAGE = Path(sparcc_pipeline.__file__).parent
CHINESE = language("zh")

FIELD_WORDS = {
    *(side.value for side in Side),
    *(kind.value for kind in SeriesKind),
    *(plane.value for plane in Plane),
    *("unknown", "missing"),
    *("better", "worse", "unchanged"),
}
"""Words that come as a field, or from a document, rather than as a template of their own."""


def _first_argument(call: ast.Call) -> str | None:
    """The English of `Message("...")` and of `words.say("...")`; None for other calls."""
    if isinstance(call.func, ast.Name) and call.func.id == "Message":
        assert isinstance(call.args[0], ast.Constant), f"written out where it is used: {ast.unparse(call)}"
        return str(call.args[0].value)
    is_say = isinstance(call.func, ast.Attribute) and call.func.attr == "say" and isinstance(call.args[0], ast.Constant)
    return str(call.args[0].value) if is_say and isinstance(call.args[0], ast.Constant) else None


def _of_the_code() -> Iterator[str]:
    for file in PACKAGE.rglob("*.py"):
        if file.name == "message.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and (text := _first_argument(node)):
                yield text


def _of_the_pages() -> Iterator[str]:
    for file in PACKAGE.rglob("templates/*.html"):
        for call in Environment().parse(file.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_" and isinstance(call.args[0], nodes.Const):
                yield call.args[0].value


ENGLISH_TEXTS = {*_of_the_code(), *_of_the_pages(), *script_templates(), *FIELD_WORDS}


def _fields(template: str) -> list[tuple[str, str | None]]:
    """Name and format of each field."""
    return sorted({(name, form) for _, name, form, _ in string.Formatter().parse(template) if name is not None})


def test_the_sentences_were_found() -> None:
    for one in (
        "{blank} of {slices} slices are blank: check the export",
        "Points by slice",
        "Slice {slice}",
        "it covers more",
    ):
        assert one in ENGLISH_TEXTS


def test_everything_has_chinese_text() -> None:
    assert sorted(ENGLISH_TEXTS - set(CHINESE.catalogue)) == []


def test_no_text_is_in_two_files() -> None:
    files = (PACKAGE / "app" / "report" / "languages" / "zh").glob("*.toml")
    found = Counter(key for file in files for key in tomllib.loads(file.read_text(encoding="utf-8")).get("text", {}))
    assert len(found) > 1000 and [key for key, count in found.items() if count > 1] == []


def test_nothing_is_left_over_in_the_catalogue() -> None:
    assert sorted(set(CHINESE.catalogue) - ENGLISH_TEXTS) == []


@pytest.mark.parametrize("english", sorted(CHINESE.catalogue))
def test_no_number_is_lost(english: str) -> None:
    assert _fields(CHINESE.catalogue[english]) == _fields(english)


def test_a_message_is_plain_english_and_becomes_chinese_with_its_fields() -> None:
    warning = Message(
        "the {side} joint is not visible on slices {slices}: not evaluable there; check these slices by eye",
        side="left",
        slices=("3", "5-7"),
    )

    assert warning == "the left joint is not visible on slices 3, 5-7: not evaluable there; check these slices by eye"
    assert json.loads(json.dumps(warning)) == warning
    assert CHINESE.sentence(warning) == "左侧关节在层面 3、5-7 不可见：该处无法评估；请人工核对这些层面。"
    assert ENGLISH.sentence(warning) == (
        "The left joint is not visible on slices 3, 5-7: not evaluable there; check these slices by eye."
    )


def test_messages_within_messages_are_translated_too() -> None:
    reasons = (Message("no image in the file"), Message("TI {ti:g} ms nulls fluid, not fat (FLAIR)", ti=2500.0))
    reason = Message("{kind}: {reasons}", kind="other", reasons=reasons)

    assert reason == "other: no image in the file, TI 2500 ms nulls fluid, not fat (FLAIR)"
    assert CHINESE.say(reason) == "其他：文件中无图像、TI 2500 ms 抑制液体而非脂肪（FLAIR）"


def test_a_copied_sent_or_stored_message_still_knows_its_fields() -> None:
    message = Message("{series}: {reason}", series=Message("it covers more"), reason=Message("{count} days", count=3))
    stored = from_plain(json.loads(json.dumps(to_plain(message))))

    for other in (copy.deepcopy(message), pickle.loads(pickle.dumps(message)), stored):
        assert other == message
        assert CHINESE.say(other) == "覆盖范围更大：3 天"


def test_what_is_not_translated_stays_as_it_is() -> None:
    assert CHINESE.say("Siemens {Aera}") == "Siemens {Aera}"
    assert CHINESE.sentence("an error's own words") == "An error's own words。"
