"""The webhook of the morning report, posted to a real HTTP server on loopback."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import ValidationError

from sparcc_pipeline.app.nightly.morning.report import post_report
from sparcc_pipeline.app.nightly.morning.webhook import SIGNATURE_HEADER, post_figures
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.settings_tables import MailSettings, Paths, SiteSettings, WebhookSettings
from sparcc_pipeline.errors import ConfigError, OutputError
from sparcc_pipeline.message import Message

from .morning_builders import busy_morning, morning, study


@dataclass
class Hook:
    """A server that keeps what is posted."""

    url: str = ""
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(found.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}/hooks/SECRETPATH"
        yield found
        server.shutdown()
        thread.join()


def settings_of(folder: Path, hook: Hook, **webhook: Any) -> NightlySettings:
    (folder / "work" / "reports").mkdir(parents=True, exist_ok=True)
    return NightlySettings(
        paths=Paths(identity_folder=folder / "identity", work_folder=folder / "work"),
        site=[SiteSettings(code="URM", name="Urumqi", manifest=folder / "m.csv")],
        webhook=WebhookSettings(url=hook.url, **webhook),
    )


def no_log(*_: object, **__: object) -> None:
    raise AssertionError("nothing fails")


def test_figures_are_posted_once_a_date_without_participants_or_paths(hook: Hook, tmp_path: Path) -> None:
    settings, shown = settings_of(tmp_path, hook), busy_morning()
    failed = Message("it failed: {error}", error="expected an inbox at /srv/SECRETFOLDER")
    for _ in range(2):
        post_report(settings, morning(*shown.studies, problems=(failed,)), no_log)

    (body,) = hook.bodies
    posted = json.loads(body)
    assert posted["schema"] == "sparcc-morning/1" and posted["problems"] == 1
    assert posted["all"]["scored"] > 0 and set(posted["sites"]) == {"URM", "KSH", "YIN", "KRL", "SHZ"}
    participants = {each.participant for each in shown.studies if each.participant}
    assert participants and not any(each.encode() in body for each in participants)
    assert b"SECRETFOLDER" not in body


@pytest.mark.parametrize(
    ("form", "text"), [("text", lambda body: body["text"]), ("msgtype", lambda body: body["text"]["content"])]
)
def test_chat_groups_get_one_line(hook: Hook, tmp_path: Path, form: str, text: Any) -> None:
    post_report(settings_of(tmp_path, hook, form=form), morning(study(1)), no_log)
    assert text(json.loads(hook.bodies[0])).startswith("SPARCC 2026-11-26: 0 need you, 1 received, 1 scored")


def test_a_post_is_signed_with_the_secret(hook: Hook, tmp_path: Path) -> None:
    secret = tmp_path / "webhook.secret"
    secret.write_text("a secret\n")
    secret.chmod(0o644)
    settings = WebhookSettings(url=hook.url, secret_file=secret)
    with pytest.raises(ConfigError, match="secret of the webhook"):
        post_figures(settings, {"a": 1}, "")
    secret.chmod(0o600)

    post_figures(settings, {"a": 1}, "")

    expected = hmac.new(b"a secret", hook.bodies[0], "sha256").hexdigest()
    assert hook.headers[0][SIGNATURE_HEADER.lower()] == f"sha256={expected}"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_another_answer_is_logged_and_the_next_report_posts_again(hook: Hook, tmp_path: Path, status: int) -> None:
    logged: list[BaseException] = []
    settings, hook.status = settings_of(tmp_path, hook), status
    post_report(settings, morning(study(1)), lambda _, error, **__: logged.append(error))
    hook.status = 204

    post_report(settings, morning(study(1)), no_log)

    (error,) = logged
    assert isinstance(error, OutputError) and f"status {status}" in str(error) and "SECRETPATH" not in str(error)
    assert len(hook.bodies) == 2


def test_nothing_is_posted_before_the_hour_of_the_mail(hook: Hook, tmp_path: Path) -> None:
    for hour in (7, 6):  # it is 06:30 in the zone of the report
        settings = settings_of(tmp_path, hook).model_copy(update={"mail": MailSettings(from_hour=hour)})
        post_report(settings, morning(study(1)), no_log)
        assert len(hook.bodies) == (hour == 6)


def test_a_host_that_is_down_stops_no_report(tmp_path: Path) -> None:
    logged: list[BaseException] = []
    settings = settings_of(tmp_path, Hook("http://127.0.0.1:9/hook"))
    post_report(settings, morning(study(1)), lambda _, error, **__: logged.append(error))
    assert "connection refused" in str(logged[0])


@pytest.mark.parametrize("url", ["http://chat.example/hook", "ftp://chat.example", "http://127.0.0.1.evil.example/"])
def test_figures_leave_the_machine_over_tls_only(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        WebhookSettings(url=url)
