"""The morning report by e-mail: a short text, and the page as attachment. No mail ever stops a night.

The password is never in the settings: it is in a variable of the environment or a file of its own.
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

from sparcc_pipeline.app.nightly.settings import MailSettings
from sparcc_pipeline.errors import ConfigError, OutputError


@dataclass(frozen=True)
class Letter:
    """One mail: to whom, its words, and files as (name, media type, content)."""

    to: Sequence[str]
    subject: str
    text: str
    attachments: Sequence[tuple[str, str, bytes]] = ()


def read_password(settings: MailSettings) -> str | None:
    """The password from the environment variable or the file that the settings name; None if they name none.

    Raises
    ------
    ConfigError : the variable is unset, or the file cannot be read, is empty, or may be read by other users
    """
    variable, file = settings.password_variable, settings.password_file
    if variable is not None:
        found = os.environ.get(variable)
        if not found:
            raise ConfigError(
                f"expected the password for mail in the environment variable {variable}, found it unset; set it"
            )
        return found
    if file is None:
        return None
    try:
        others = file.stat().st_mode & 0o077
        found = file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"expected the password for mail in {file}, found no readable text file; check the path and its rights"
        ) from error
    if others or not found:
        what = "a file that other users may read" if others else "an empty first line"
        raise ConfigError(f"expected the password for mail in {file} with the rights 0600, found {what}; mend it")
    return found


def send_letter(letter: Letter, settings: MailSettings) -> None:
    """Hand one mail in; every recipient gets it, or it is an error.

    Raises
    ------
    ConfigError : no server or sender, an address that is none, no password, or one that would go unprotected
    OutputError : no connection, refused, a certificate that is not trusted; may be tried again
    """
    sender = settings.sender or ""
    try:
        message = as_message(letter, sender)
    except ValueError as error:
        raise ConfigError(
            "expected addresses such as NAME@HOST in the settings, found one with other characters; change it"
        ) from error
    with _told(settings), _logged_in(settings) as connection:
        refused = connection.send_message(message, sender, list(letter.to))
    if refused:
        raise OutputError(
            f"expected the mail server to take all {len(letter.to)} recipients, found {len(refused)} refused; check "
            "their addresses in the settings"
        )


def greet(settings: MailSettings) -> None:
    """Connect and log in, and send nothing (errors: see `send_letter`)."""
    with _told(settings), _logged_in(settings):
        pass


def as_message(letter: Letter, sender: str) -> EmailMessage:
    """The mail as it is sent (RFC 5322, MIME)."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(letter.to), letter.subject
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid(domain=sender.rpartition("@")[2])
    # Mailing systems answer such mail neither with "out of office" nor with a receipt (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    for name, media_type, content in letter.attachments:
        main, _, sub = media_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message


@contextmanager
def _told(settings: MailSettings) -> Iterator[None]:
    """What goes wrong with the server, as an error of ours."""
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
    """What went wrong, without the server's own words, which may quote an address."""
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
