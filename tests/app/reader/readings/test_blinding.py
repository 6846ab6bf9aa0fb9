"""What must never be seen before lock: every page and answer is called as each role, and searched byte by byte."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sparcc_pipeline.app.reader.readings.views import CaseView

from ..conftest import TRIAL, USERS, Browser, World

PLANTED = {"expected": 61.7354, "probability_remission": 0.12345, "interval_90": [3, 69]}
"""Written into every result of the machine, so that it can be found wherever it shows."""

COMMENT = "zzcommentofann"


@pytest.fixture
def planted(world: World) -> World:
    """Every result of the machine is recognised, and Ann has read a case and left a comment."""
    for file in world.database.folder.glob("machine/*/result.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | PLANTED))
    ann = world.browser("ann")
    code = ann.first_case()
    state = ann.read(code, [("A", 1, "right", "upper_iliac")])
    for visit in state["content"]["visits"].values():
        visit["comment"] = COMMENT
    saved = ann.script("PUT", f"/api/cases/{code}/reading", {"revision": 1, "content": state["content"]})
    assert saved.status_code == 200, saved.text
    return world


def hidden(manifest: Path) -> list[bytes]:
    """What would unblind: identity, visits, UIDs, dates, file names, results of the machine."""
    words = {"SECRETFILE", "SECRETID", "siemens", "SIEMENS", "61.7354", "0.12345", '"probability"', '"expected"'}
    words |= {participant for participant, _ in TRIAL} | {str(manifest.parent)}
    for participant, visit in TRIAL:
        document = json.loads((manifest.parent / "scores" / f"{participant}-{visit}" / "score.json").read_text())
        words |= {document["study_uid"], document["series_uid"]}
        words |= {each["sop_instance_uid"] for each in document["slices"]}
    return [word.encode() for word in sorted(words)]


VISITS = re.compile(rb"\bW(0|12)\b")


def crawl(browser: Browser, start: str = "/") -> Iterator[httpx.Response]:
    """Every page that can be reached by links and forms' addresses, and every answer for the cases met."""
    waiting = [start, "/nothing", "/case/AAAAA-AAAAA", "/case/'%22%3E", "/login"]
    seen, codes = {"/audit.pdf"}, set[str]()  # slow to draw, and for the auditor only
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = browser.get(path)
        yield answer
        if "location" in answer.headers:
            waiting.append(answer.headers["location"])
        if answer.headers.get("content-type", "").startswith("text/html"):
            waiting += re.findall(r'(?:href|src|action)="(/[^"#]*)"', answer.text)
            codes |= set(re.findall(r"\b[A-Z2-9]{5}-[A-Z2-9]{5}\b", answer.text))
            waiting += [f"/{part}/{code}{end}" for code in codes for part, end in ADDRESSES]


ADDRESSES = [
    ("case", ""),
    ("case", "/second-opinion"),
    ("api/cases", ""),
    ("api/cases", "/second-opinion"),
    ("api/cases", "/feedback"),
    ("api/cases", "/overlay/A/5"),
    ("api/cases", "/images/A/stir/5"),
    ("api/cases", "/images/A/t1/5"),
    ("api/cases", "/images/H/stir/5"),
    ("api/cases", "/images/A/stir/99"),
]


def raw(answer: httpx.Response) -> bytes:
    """All bytes of an answer: status line's address, headers, body (unzipped; the CSRF token is random)."""
    headers = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
    return str(answer.request.url).encode() + b"\n" + headers + b"\n" + answer.content


@pytest.mark.parametrize("name", ["ben", "ann", "cem", None])
def test_nothing_hidden_is_in_any_answer_before_lock(
    planted: World, manifest: Path, caplog: pytest.LogCaptureFixture, name: str | None
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = planted.browser(name)
    others = {user for user in USERS if user != name} | {f"R{number}" for number in range(len(USERS))}
    folders = [path.name.encode() for path in planted.database.folder.glob("*/*") if path.is_dir()]
    caplog.clear()

    answers = list(crawl(browser))

    assert len(answers) > (12 if name in ("ann", "ben") else 5)
    for answer in answers:
        content = raw(answer)
        is_file = answer.request.url.path.startswith("/static/")
        found = [word for word in [*hidden(manifest), *folders] if word in content and not is_file]
        assert found == [], answer.request.url
        if not answer.headers.get("content-type", "").startswith("application/octet-stream"):
            assert not VISITS.search(content), answer.request.url
            text = content.decode("utf-8", "replace")
            assert is_file or [other for other in others if re.search(rf"\b{other}\b", text)] == []
        if name != "ann":
            assert COMMENT.encode() not in content
    logged = "\n".join(record.getMessage() for record in caplog.records).encode()
    assert [word for word in hidden(manifest) if word in logged] == []


@pytest.mark.parametrize("name", ["dee", "eva"])
def test_who_runs_the_trial_sees_no_score_before_the_database_is_locked(planted: World, name: str) -> None:
    ann, ben = planted.browser("ann"), planted.browser("ben")
    ann.read_and_lock(ann.first_case(), [("A", 1, "right", "upper_iliac")])
    ben.read_and_lock(ben.first_case())

    for answer in crawl(planted.browser(name)):
        if not answer.request.url.path.startswith("/static/"):
            assert [w for w in (b"61.7354", b"0.12345", b"upper_iliac", COMMENT.encode()) if w in answer.content] == []


def test_images_hold_pixels_and_nothing_else(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    series = ann.case(code)["visits"][0]["series"]["stir"]

    for file in world.database.folder.glob("images/*/stir/*.gz"):
        content = file.read_bytes()
        assert content[3] == 0 and content[4:8] == bytes(4), "no name and no time in the gzip header"
        assert len(gzip.decompress(content)) == series["rows"] * series["columns"] * 2
    sent = ann.get(f"/api/cases/{code}/images/A/stir/5")
    assert sent.headers["content-encoding"] == "gzip" and len(sent.content) == series["rows"] * series["columns"] * 2
    assert set(sent.headers) <= {
        "content-encoding",
        "content-length",
        "content-type",
        "cache-control",
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "permissions-policy",
    }


def test_an_error_of_the_server_tells_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ann = world.browser("ann")
    code = ann.first_case()

    def fail(_: str) -> None:
        raise RuntimeError("P001 at W12 of SECRETID")

    monkeypatch.setattr(world.site.store, "view", fail)
    answer = ann.get(f"/api/cases/{code}")

    assert answer.status_code == 500 and answer.json()["error"]["code"] == "server"
    assert "SECRET" not in answer.text + caplog.text and "P001" not in answer.text + caplog.text
    assert answer.headers["cache-control"] == "no-store"


def test_every_answer_has_the_strict_headers(world: World) -> None:
    for name in (None, "ann"):
        for answer in crawl(world.browser(name)):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            expected = (
                "no-cache" if answer.request.url.path.startswith("/static/") and answer.is_success else "no-store"
            )
            assert answer.headers["cache-control"] == expected
            for cookie in answer.headers.get_list("set-cookie"):
                assert "HttpOnly" in cookie and "SameSite=strict" in cookie


def test_pages_run_no_script_and_no_style_of_their_own(world: World) -> None:
    for name in (None, *USERS):
        for answer in crawl(world.browser(name)):
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert not re.search(r"<[^>]+\s(on\w+|style)=", answer.text), answer.request.url
                inline = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", answer.text)
                assert inline == [] and "<style" not in answer.text


def test_the_same_participant_shows_under_other_codes_and_orders_to_each(world: World) -> None:
    with world.database.reading() as connection:
        rows = list(connection.exec_driver_sql("SELECT code, user_id, case_id, visit_order FROM reader_assignments"))
    assert len({row.code for row in rows}) == len(rows)
    by_reader = {user: [row.case_id for row in rows if row.user_id == user] for user in {row.user_id for row in rows}}
    assert all(sorted(each) == sorted(set(each)) for each in by_reader.values())


def test_the_view_before_lock_has_no_place_for_what_unblinds() -> None:
    names = set(re.findall(r'"([a-z_0-9]+)": \{', json.dumps(CaseView.model_json_schema())))
    for word in (
        "participant",
        "visit_code",
        "site",
        "arm",
        "date",
        "uid",
        "machine",
        "probability",
        "expected",
        "file",
    ):
        assert not [name for name in names if word in name.split("_")], word
