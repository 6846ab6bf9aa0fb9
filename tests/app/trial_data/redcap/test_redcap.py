"""`sparcc trial redcap` against a small server that speaks the API."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from sparcc_pipeline.app.trial_data.redcap import api

from ..conftest import Call, visit_row

TOKEN = "0123456789ABCDEF0123456789ABCDEF"


@dataclass
class Server:
    """A project in memory; `faults` are the statuses of the next answers, each used once."""

    rows: list[dict[str, Any]]
    url: str = ""
    faults: list[int] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, asked: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(asked)
        if self.faults and (status := self.faults.pop(0)):
            return status, b'{"error": "busy"}'
        if asked.get("token") != TOKEN:
            return 403, json.dumps({"error": f"no permission for {asked.get('token')}"}).encode()
        if asked["content"] == "version":
            return 200, b"14.5.2"
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        if asked["content"] == "metadata":
            fields = [name for name in columns if not name.startswith("redcap_")]
            return 200, json.dumps([{"field_name": name} for name in fields]).encode()
        chosen = [value for name, value in asked.items() if name.startswith("records[")]
        wanted = [value for name, value in asked.items() if name.startswith("fields[")]
        found = [row for row in self.rows if not chosen or row["record_id"] in chosen]
        if wanted:
            found = [{name: row[name] for name in (*wanted, "redcap_event_name")} for row in found]
        return 200, json.dumps(found).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    rows = []
    for name in ("P001", "P002", "P003"):
        for week in (0, 12):
            values = visit_row(name, week)
            person, event = values.pop("participant"), f"week_{values.pop('visit')[1:]}_arm_1"
            keys = {"record_id": person, "redcap_event_name": event, "redcap_data_access_group": "kashgar"}
            rows.append({**keys, **{k: str(v) for k, v in values.items()}})
    made = Server(rows)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, content = made.answer({name: values[0] for name, values in parse_qs(body).items()})
            self.send_response(status)
            if status == 302:
                self.send_header("Location", made.url + "elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{http.server_port}/api/"
    yield made
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return file


def test_a_download_is_a_clinical_table(server: Server, token: Path, trial: Call, tmp_path: Path) -> None:
    out = tmp_path / "redcap"

    ended = trial("redcap", server.url, "--token-file", token, "--out", out, "--batch", "2")

    assert ended.code == 0, ended.err
    assert "3 records, 6 rows" in ended.out
    assert sorted(each.name for each in out.iterdir()) == ["download.json", "redcap.csv"]
    read = trial("import", out / "redcap.csv", "--out", tmp_path / "tables")
    assert read.code == 0 and "3 participants, 6 visits" in read.out, read.err
    with (tmp_path / "tables" / "participants.csv").open(encoding="utf-8") as stream:
        assert {row["site"] for row in csv.DictReader(stream)} == {"kashgar"}


def test_nothing_but_exports_is_asked(server: Server, token: Path, trial: Call, tmp_path: Path) -> None:
    trial("redcap", server.url, "--token-file", token, "--out", tmp_path / "r", "--form", "visit")

    assert {each["content"] for each in server.asked} == {"version", "metadata", "record"}
    assert {each["action"] for each in server.asked} == {"export"}
    assert not any("data" in each for each in server.asked)
    assert server.asked[-1]["forms[0]"] == "visit"
    with pytest.raises(ValueError, match="expected one of"):
        api.RedcapProject(server.url, TOKEN)._post("user", "json")


def test_a_broken_download_continues_with_what_is_missing(
    server: Server, token: Path, trial: Call, tmp_path: Path
) -> None:
    out = tmp_path / "redcap"
    given = ("redcap", server.url, "--token-file", token, "--out", out, "--batch", "1")
    server.faults = [0, 0, 0, 0, 503, 503, 503, 503]

    broken = trial(*given)
    before, finished = len(server.asked), (out / "redcap.csv").exists()
    ended = trial(*given)

    assert broken.code == 3 and "found HTTP status 503" in broken.err and "it continues" in broken.err
    assert not finished
    assert ended.code == 0, ended.err
    assert [each.get("records[0]") for each in server.asked[before:]] == ["P002", "P003"]
    assert "3 records, 6 rows" in ended.out


def test_a_busy_server_is_asked_again(server: Server, token: Path, trial: Call, tmp_path: Path) -> None:
    server.faults = [429, 502]

    assert trial("redcap", server.url, "--token-file", token, "--out", tmp_path / "r").code == 0


def test_the_token_is_never_shown_nor_sent_elsewhere(server: Server, token: Path, trial: Call, tmp_path: Path) -> None:
    other = "F" * 32
    token.write_text(other)
    ended = trial("redcap", server.url, "--token-file", token, "--out", tmp_path / "r")
    assert ended.code == 3 and "status 403; check token and rights" in ended.err
    assert other not in ended.err + ended.out

    server.faults, server.asked = [302], []
    moved = trial("redcap", server.url, "--token-file", token, "--out", tmp_path / "m")
    assert moved.code == 3 and "status 302" in moved.err and len(server.asked) == 1


@pytest.mark.parametrize(("name", "cell"), [("trt01p", "1"), ("comment", "moved to the taper arm")])
def test_a_part_that_reveals_the_arm_is_not_stored(
    name: str, cell: str, server: Server, token: Path, trial: Call, tmp_path: Path
) -> None:
    server.rows[3][name] = cell

    ended = trial("redcap", server.url, "--token-file", token, "--out", tmp_path / "r", "--batch", "1")

    assert ended.code == 2 and "part 1 of the download" in ended.err
    stored = "".join(file.read_text() for file in (tmp_path / "r").rglob("*") if file.is_file())
    assert "taper" not in stored and "trt01p" not in stored


def test_a_finished_download_and_another_one_are_not_mixed(
    server: Server, token: Path, trial: Call, tmp_path: Path
) -> None:
    given = ("redcap", server.url, "--token-file", token, "--out", tmp_path / "r")
    assert trial(*given).code == 0
    assert "found a finished one" in trial(*given).err

    server.faults = [0, 0, 0, 500, 500, 500, 500]
    begun = ("redcap", server.url, "--token-file", token, "--out", tmp_path / "b")
    assert trial(*begun).code == 3
    assert "found another address, form or batch" in trial(*begun, "--batch", "7").err


@pytest.mark.parametrize(
    ("url", "message"),
    [("http://redcap.example.org/api/", "expected https"), ("redcap.example.org", "expected the address")],
)
def test_a_token_does_not_travel_in_the_clear(url: str, message: str, token: Path, trial: Call, tmp_path: Path) -> None:
    ended = trial("redcap", url, "--token-file", token, "--out", tmp_path / "r")

    assert ended.code == 2 and message in ended.err


def test_a_token_file_is_private_and_holds_one_token(token: Path, trial: Call, tmp_path: Path) -> None:
    given = ("redcap", "https://h/api/", "--token-file", token, "--out", tmp_path / "r")
    token.chmod(0o644)
    assert "chmod 600" in trial(*given).err

    token.chmod(0o600)
    token.write_text("A" * 64)
    assert "found 64 characters" in trial(*given).err
    token.unlink()
    assert "write the token into it" in trial(*given).err
