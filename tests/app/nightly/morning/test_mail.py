"""Mail of the morning report, sent to a real SMTP server on loopback."""

from __future__ import annotations

import email
import email.policy
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.nightly.morning.ledger import morning_of
from sparcc_pipeline.app.nightly.morning.mail import Letter, send_letter
from sparcc_pipeline.app.nightly.morning.report import mail_report, write_morning_report
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.settings_tables import MailSettings, Paths, ReportSettings, SiteSettings
from sparcc_pipeline.errors import ConfigError, OutputError

from .morning_builders import NOW

LETTER = Letter(
    ["coordinator@example.org"], "晨报 2026", "two lines\nof text\n", [("r.html", "text/html", b"<p>1</p>")]
)


class Post:
    """Keeps mails; refuses recipients with "unknown" in them."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, to: str, options: Any) -> str:
        if "unknown" in to:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        found = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"secret", handled=False)


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


@contextmanager
def listening(post: Post, certificate: Path | None = None, *, tls: bool = False) -> Iterator[int]:
    """Run an SMTP server; with a certificate it asks for a login, after STARTTLS or in TLS from the first byte."""
    rest: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        rest = {"authenticator": post.authenticate, "auth_required": True}
        if tls:
            # The server does not see TLS from the first byte as TLS, so it must not ask for STARTTLS.
            rest |= {"ssl_context": context, "auth_require_tls": False, "auth_required": False}
        else:
            rest |= {"tls_context": context, "require_starttls": True}
    controller = Controller(post, hostname="127.0.0.1", port=free_port(), **rest)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout mail.key"
    subject = "-subj /CN=mail -addext subjectAltName=IP:127.0.0.1"
    command = f"openssl req -x509 {key} -days 9 -out mail.pem {subject}"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "mail.pem"


def mail_settings(port: int, **changes: Any) -> MailSettings:
    plain: dict[str, Any] = {"security": "none", "sender": "sparcc@example.org", "to": ["coordinator@example.org"]}
    return MailSettings(host="127.0.0.1", port=port, timeout_seconds=5.0, **(plain | changes))


def test_text_and_attachment_arrive() -> None:
    post = Post()
    with listening(post) as port:
        send_letter(LETTER, mail_settings(port))

    (mail,) = post.mails
    assert (mail["Subject"], mail["To"], mail["Auto-Submitted"]) == (
        "晨报 2026",
        "coordinator@example.org",
        "auto-generated",
    )
    body, (attached,) = mail.get_body(("plain",)), list(mail.iter_attachments())
    assert body is not None and body.get_content().splitlines() == LETTER.text.splitlines()
    assert attached.get_filename() == "r.html" and attached.get_content() == "<p>1</p>"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_login_goes_over_tls(
    security: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, file = Post(), tmp_path / "password"
    file.write_text("secret\nnot this line\n")
    file.chmod(0o600)
    monkeypatch.setenv("SPARCC_MAIL", "secret")
    with listening(post, certificate, tls=security == "tls") as port:
        for way in ({"password_file": file}, {"password_variable": "SPARCC_MAIL"}):
            send_letter(LETTER, mail_settings(port, security=security, user="me", ca_file=certificate, **way))

        with pytest.raises(OutputError, match="user or password refused"):
            monkeypatch.setenv("SPARCC_MAIL", "wrong")
            by_variable = {"password_variable": "SPARCC_MAIL"}
            send_letter(LETTER, mail_settings(port, security=security, user="me", ca_file=certificate, **by_variable))

    assert len(post.mails) == 2
    assert set(post.logins) == {(b"me", b"secret"), (b"me", b"wrong")}


def test_a_certificate_that_is_not_trusted_gets_no_password(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARCC_MAIL", "secret")
    post = Post()
    with listening(post, certificate) as port, pytest.raises(OutputError, match="not trusted"):
        send_letter(LETTER, mail_settings(port, security="starttls", user="me", password_variable="SPARCC_MAIL"))

    assert post.logins == []


def test_a_password_never_goes_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARCC_MAIL", "secret")
    post = Post()
    with listening(post) as port:
        with pytest.raises(ConfigError, match="in the clear"):
            send_letter(LETTER, mail_settings(port, user="me", password_variable="SPARCC_MAIL"))
        # A server without STARTTLS gets nothing in the clear instead.
        with pytest.raises(OutputError, match="STARTTLS"):
            send_letter(LETTER, mail_settings(port, security="starttls"))

    assert post.mails == []


def test_a_password_file_that_others_may_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    file.chmod(0o640)
    monkeypatch.delenv("SPARCC_MAIL", raising=False)
    ways: list[tuple[dict[str, Any], str]] = [
        ({"password_file": file}, "0600"),
        ({"password_file": tmp_path / "none"}, "no readable"),
        ({"password_variable": "SPARCC_MAIL"}, "unset"),
    ]
    for way, message in ways:
        with pytest.raises(ConfigError, match=message):
            send_letter(LETTER, mail_settings(1, security="tls", user="me", **way))


def test_a_refused_recipient_is_an_error_without_its_address() -> None:
    post = Post()
    with listening(post) as port:
        with pytest.raises(OutputError, match="1 refused") as one:
            send_letter(Letter(["a@example.org", "unknown@example.org"], "s", "t"), mail_settings(port))
        with pytest.raises(OutputError, match="all recipients refused"):
            send_letter(Letter(["unknown@example.org"], "s", "t"), mail_settings(port))

    assert post.recipients == [["a@example.org"]]
    assert "unknown@" not in str(one.value)


def test_a_line_break_in_an_address_is_no_second_header() -> None:
    with pytest.raises(ConfigError, match="addresses"):
        send_letter(Letter(["a@example.org\nBcc: b@example.org"], "s", "t"), mail_settings(1))


@pytest.fixture
def night(tmp_path: Path) -> tuple[NightlySettings, Ledger]:
    manifest, address = tmp_path / "m.csv", ["urm@example.org"]
    settings = NightlySettings(
        paths=Paths(identity_folder=tmp_path / "identity", work_folder=tmp_path / "work"),
        site=[
            SiteSettings(code="URM", name="Urumqi", manifest=manifest, language="zh", mail=address),
            SiteSettings(code="KSH", name="Kashgar", manifest=manifest),
        ],
        report=ReportSettings(time_zone="Asia/Shanghai"),
    )
    ledger = Ledger(open_database(settings.database_url), lambda: NOW, 1.0)
    write_morning_report(settings, morning_of(ledger, settings, NOW))
    return settings, ledger


def test_each_gets_its_own_page_once_a_date(night: tuple[NightlySettings, Ledger]) -> None:
    settings, ledger = night
    post, logged = Post(), []
    today, tomorrow = (morning_of(ledger, settings, time) for time in (NOW, NOW + timedelta(days=1)))
    with listening(post) as port:
        settings = settings.model_copy(update={"mail": mail_settings(port)})
        late = settings.model_copy(update={"mail": mail_settings(port, from_hour=7)})
        sent = [mail_report(settings, today, lambda event, **_: logged.append(event)) for _ in range(2)]
        sent.append(mail_report(late, tomorrow, lambda *_, **__: None))

    # 22:30 UTC is 6:30 in the zone of the report: before hour 7 nothing is mailed.
    assert sent == [2, 0, 0] and logged == []
    assert post.recipients == [["coordinator@example.org"], ["urm@example.org"]]
    assert [mail["Subject"][:18] for mail in post.mails] == ["SPARCC 2026-11-26:", "SPARCC 2026-11-26："]
    attached = [next(mail.iter_attachments()) for mail in post.mails]
    assert [each.get_filename() for each in attached] == ["2026-11-26-report.en.html", "2026-11-26-site-URM.html"]
    assert "Kashgar" in attached[0].get_content() and "Kashgar" not in attached[1].get_content()


def test_reports_at_once_send_one_mail(night: tuple[NightlySettings, Ledger]) -> None:
    settings, ledger = night
    post, today = Post(), morning_of(ledger, settings, NOW)
    with listening(post) as port, ThreadPoolExecutor(4) as pool:
        settings = settings.model_copy(update={"mail": mail_settings(port)})
        sent = list(pool.map(lambda _: mail_report(settings, today, lambda *_, **__: None), range(4)))

    assert sum(sent) == 2 == len(post.mails)


def test_a_mail_server_that_is_down_stops_nothing_and_is_tried_again(night: tuple[NightlySettings, Ledger]) -> None:
    settings, ledger = night
    errors: list[object] = []

    def log(event: str, error: object = None, **_: object) -> None:
        errors.append(error)

    down, morning = settings.model_copy(update={"mail": mail_settings(free_port())}), morning_of(ledger, settings, NOW)
    assert mail_report(down, morning, log) == 0
    assert [type(error) for error in errors] == [OutputError, OutputError]

    post = Post()
    with listening(post) as port:
        assert mail_report(settings.model_copy(update={"mail": mail_settings(port)}), morning, log) == 2
