"""The morning report by e-mail: a short text with the page attached. No mail stops a night.

The password is never in the settings, but in an environment variable or a file of its own.
"""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from sparcc_pipeline.app.nightly.settings_tables import MailSettings
from sparcc_pipeline.errors import ConfigError, OutputError


@dataclass(frozen=True)
class Letter:
    """One mail: recipients, text, and attachments as (name, media type, content)."""

    to: Sequence[str]
    subject: str
    text: str
    attachments: Sequence[tuple[str, str, bytes]] = ()


def read_password(settings: MailSettings) -> str | None:
    """Return the password from the environment variable or file in the settings; None if they name neither.

    Raises
    ------
    ConfigError : the variable is unset, or the file cannot be read, is empty, or may be read by other users
    """
    variable = settings.password_variable
    if variable is not None:
        found = os.environ.get(variable)
        if not found:
            raise ConfigError(
                f"expected the password for mail in the environment variable {variable}, found it unset; set it"
            )
        return found
    return None if settings.password_file is None else read_secret(settings.password_file, "the password for mail")


def read_secret(file: Path, what: str) -> str:
    """Return the first line of a file that only its owner may read.

    Raises
    ------
    ConfigError : the file cannot be read, is empty, or may be read by other users
    """
    try:
        others = file.stat().st_mode & 0o077
        found = file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"expected {what} in {file}, found no readable text file; check the path and its rights"
        ) from error
    if others or not found:
        wrong = "a file that other users may read" if others else "an empty first line"
        raise ConfigError(f"expected {what} in {file} with the rights 0600, found {wrong}; correct it")
    return found


def send_letter(letter: Letter, settings: MailSettings) -> None:
    """Send one mail to all its recipients.

    Raises
    ------
    ConfigError : no server or sender, an invalid address, no password, or a password without TLS
    OutputError : no connection, mail or a recipient refused, or an untrusted certificate; another try may succeed
    """
    sender = settings.sender or ""
    try:
        message = as_message(letter, sender)
    except ValueError as error:
        raise ConfigError(
            "expected addresses such as NAME@HOST in the settings, found one with other characters; change it"
        ) from error
    with _as_output_error(settings), _logged_in(settings) as connection:
        refused = connection.send_message(message, sender, list(letter.to))
    if refused:
        raise OutputError(
            f"expected the mail server to take all {len(letter.to)} recipients, found {len(refused)} refused; check "
            "their addresses in the settings"
        )


def greet(settings: MailSettings) -> None:
    """Connect and log in without sending (errors: see `send_letter`)."""
    with _as_output_error(settings), _logged_in(settings):
        pass


def as_message(letter: Letter, sender: str) -> EmailMessage:
    """Return the mail in the format of RFC 5322 and MIME."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(letter.to), letter.subject
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid(domain=sender.rpartition("@")[2])
    # With this header, mail systems send no "out of office" and no receipt (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    for name, media_type, content in letter.attachments:
        main, _, sub = media_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message


@contextmanager
def _as_output_error(settings: MailSettings) -> Iterator[None]:
    """Raise errors of the server as OutputError."""
    try:
        yield
    except (OSError, smtplib.SMTPException) as error:
        raise OutputError(
            f"expected the mail server {settings.host}:{settings.port} to take the report, found "
            f"{_fault(error, settings.timeout_seconds)}; check [mail] in the settings: the report is in its folder"
        ) from error


@contextmanager
def _logged_in(settings: MailSettings) -> Iterator[smtplib.SMTP]:
    if settings.host is None or settings.sender is None:
        raise ConfigError("expected host and sender in [mail] of the settings, found one of them missing; add it")
    if settings.user is not None and settings.security == "none":
        raise ConfigError(
            'expected security = "starttls" or "tls" in [mail] with a user, found "none", which would send the '
            "password in the clear; change it"
        )
    password = read_password(settings)
    with _connect(settings, settings.host) as connection:
        if settings.user is not None:
            connection.login(settings.user, password or "")
        yield connection


def _connect(settings: MailSettings, host: str) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.security == "tls":
        return smtplib.SMTP_SSL(host, settings.port, timeout=settings.timeout_seconds, context=context)
    connection = smtplib.SMTP(host, settings.port, timeout=settings.timeout_seconds)
    if settings.security == "starttls":
        try:
            connection.starttls(context=context)
        except BaseException:
            connection.close()
            raise
    return connection


def _fault(error: Exception, timeout_s: float) -> str:
    """Return the fault without the server's own text, which may quote an address."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return "user or password refused"
        case smtplib.SMTPNotSupportedError():
            return "it offers no STARTTLS or no login"
        case smtplib.SMTPRecipientsRefused():
            return "all recipients refused"
        case smtplib.SMTPResponseException():
            return f"status {error.smtp_code}"
        case ssl.SSLError():
            return "a certificate that is not trusted, or no TLS there"
        case TimeoutError():
            return f"no answer within {timeout_s:g} s"
        case OSError() if error.strerror:
            return error.strerror.lower()
        case _:
            return "the connection dropped"
