"""Users, passwords and sessions of the reading page.

Contents: `Accounts`, `add_user`. A session is a random token in a cookie; the database holds its hash. Every sign-in
creates a new token, so that a token planted before the sign-in is worthless.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, select, update

from sparcc_pipeline.app.reader.accounts.passwords import Passwords
from sparcc_pipeline.app.reader.accounts.roles import Role, User
from sparcc_pipeline.app.reader.audit.trail import stamp
from sparcc_pipeline.app.reader.database import SYSTEM, ReaderDatabase
from sparcc_pipeline.app.reader.settings import Session
from sparcc_pipeline.app.reader.tables import SESSIONS, USERS
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message

NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{1,31}")
CODE: Final = re.compile(r"[A-Za-z0-9_-]{1,16}")
SEEN_EVERY: Final = timedelta(seconds=30)
"""Shortest time between two updates of a session's last use."""
SIGNATURE_REFUSED: Final = "signature_refused"


class Accounts:
    """Users and sessions in the database."""

    def __init__(self, database: ReaderDatabase, settings: Session) -> None:
        self._database, self._settings = database, settings
        self._passwords = Passwords(settings.argon2_memory_kib, settings.argon2_passes)

    @property
    def shortest_password(self) -> int:
        """The smallest number of characters of a password."""
        return self._settings.shortest_password

    def add(
        self,
        name: str,
        code: str,
        role: Role,
        *,
        by: str = SYSTEM,
        password: str | None = None,
        must_change: bool = True,
    ) -> str:
        """Add a user and return the password, which is random unless given.

        Raises
        ------
        ConfigError : name or code is not valid or is taken, or the password is too short
        """
        _require_form(name, code)
        password = password or secrets.token_urlsafe(12)
        self._require_long(password)
        hashed = self._passwords.hash(password)
        with self._database.writing() as work:
            taken = work.connection.execute(select(USERS.c.id).where((USERS.c.name == name) | (USERS.c.code == code)))
            if taken.first() is not None:
                raise ConfigError("expected a new name and a new code, found one that is taken; choose another")
            work.connection.execute(
                USERS.insert().values(
                    name=name,
                    code=code,
                    role=role.value,
                    password_hash=hashed,
                    must_change=must_change,
                    active=True,
                    failures=0,
                    locked_until=None,
                    language="en",
                )
            )
            work.record(by, "add_user", name, new={"code": code, "role": role.value})
        return password

    def reset(self, name: str, *, by: str = SYSTEM) -> str:
        """Return a new random password, to be changed at sign-in; end all sessions of the user.

        Raises
        ------
        Refusal : no such user
        """
        password = secrets.token_urlsafe(12)
        hashed = self._passwords.hash(password)
        with self._database.writing() as work:
            user = _existing(work.connection.execute(select(USERS).where(USERS.c.name == name)).first())
            values = {"password_hash": hashed, "must_change": True, "failures": 0, "locked_until": None}
            work.connection.execute(update(USERS).where(USERS.c.id == user.id).values(**values))
            work.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user.id))
            work.record(by, "reset_password", name)
        return password

    def set_active(self, name: str, active: bool, *, by: str) -> None:
        """Open or close an account; closing ends all its sessions at once.

        Raises
        ------
        Refusal : no such user, or the user's own account
        """
        if name == by:
            raise Refusal(409, "forbidden", Message("you cannot close your own account"))
        with self._database.writing() as work:
            user = _existing(work.connection.execute(select(USERS).where(USERS.c.name == name)).first())
            work.connection.execute(update(USERS).where(USERS.c.id == user.id).values(active=active))
            if not active:
                work.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user.id))
            work.record(by, "set_active", name, old={"active": user.active}, new={"active": active})

    def change_password(self, user: User, old: str, new: str) -> None:
        """Change the user's own password; end all sessions.

        Raises
        ------
        Refusal : the old password is wrong, or the new one is too short or the same
        """
        self.require_password(user, old)
        if len(new) < self._settings.shortest_password or new == old:
            raise Refusal(
                422,
                "invalid",
                Message(
                    "expected a new password of at least {count} characters, other than the old one",
                    count=self._settings.shortest_password,
                ),
            )
        hashed = self._passwords.hash(new)
        with self._database.writing() as work:
            changed = {"password_hash": hashed, "must_change": False}
            work.connection.execute(update(USERS).where(USERS.c.id == user.id).values(**changed))
            work.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user.id))
            work.record(user.name, "change_password", user.name)

    def set_language(self, user: User, code: LanguageCode) -> None:
        """Set the language of a user's pages."""
        with self._database.writing() as work:
            work.connection.execute(update(USERS).where(USERS.c.id == user.id).values(language=code))

    def sign_in(self, name: str, password: str) -> str:
        """Sign in and return the token of the new session.

        Raises
        ------
        Refusal : wrong name or password, or the account is locked or closed; the message is the same for all
        """
        with self._database.reading() as connection:
            row = connection.execute(select(USERS).where(USERS.c.name == name)).first()
        if not self._right(row, password):
            self._count_failure(row, name, "sign_in_refused")
            raise Refusal(401, "sign_in", _WRONG)
        assert row is not None
        token = secrets.token_urlsafe(32)
        oldest = stamp(self._database.clock() - timedelta(hours=self._settings.longest_hours))
        with self._database.writing() as work:
            self._clear(work.connection, row)
            work.connection.execute(delete(SESSIONS).where(SESSIONS.c.created_at < oldest))
            work.connection.execute(
                SESSIONS.insert().values(
                    token_hash=_hashed(token),
                    user_id=row.id,
                    csrf=secrets.token_urlsafe(32),
                    created_at=work.now,
                    seen_at=work.now,
                )
            )
            work.record(row.name, "sign_in", row.name)
        return token

    def sign_out(self, token: str, user: User) -> None:
        """End a session."""
        with self._database.writing() as work:
            work.connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash == _hashed(token)))
            work.record(user.name, "sign_out", user.name)

    def user_of(self, token: str | None, *, by_user: bool = True) -> User | None:
        """Return the user of a session; None if there is no session or it has ended.

        Parameters
        ----------
        by_user : the user acts; False: the page asks by itself, which keeps no session alive
        """
        if not token:
            return None
        now = self._database.clock()
        with self._database.reading() as connection:
            row = connection.execute(
                select(SESSIONS.c.token_hash, SESSIONS.c.csrf, SESSIONS.c.created_at, SESSIONS.c.seen_at, USERS)
                .join(USERS, USERS.c.id == SESSIONS.c.user_id)
                .where(SESSIONS.c.token_hash == _hashed(token), USERS.c.active.is_(True))
            ).first()
        if row is None:
            return None
        seen, created = datetime.fromisoformat(row.seen_at), datetime.fromisoformat(row.created_at)
        idle, longest = timedelta(minutes=self._settings.idle_minutes), timedelta(hours=self._settings.longest_hours)
        if now - seen > idle or now - created > longest:
            return None
        if by_user and now - seen > SEEN_EVERY:
            with self._database.writing() as work:
                mine = SESSIONS.c.token_hash == row.token_hash
                work.connection.execute(update(SESSIONS).where(mine).values(seen_at=work.now))
        return User(row.id, row.name, row.code, Role(row.role), row.must_change, _code(row.language), row.csrf)

    def require_password(self, user: User, password: str) -> None:
        """Check the password again, as a signature.

        Raises
        ------
        Refusal : wrong password; it counts like a wrong sign-in, and too many end all sessions of the user
        """
        with self._database.reading() as connection:
            row = connection.execute(select(USERS).where(USERS.c.id == user.id)).one()
        if not self._right(row, password):
            self._count_failure(row, row.name, SIGNATURE_REFUSED)
            raise Refusal(403, "wrong_password", Message("the password is wrong"))
        if row.failures:
            with self._database.writing() as work:
                self._clear(work.connection, row)

    def all_users(self) -> list[Row[Any]]:
        """Return every user, by name."""
        with self._database.reading() as connection:
            return list(connection.execute(select(USERS).order_by(USERS.c.name)))

    def is_locked_out(self, row: Row[Any]) -> bool:
        """Return True while an account is locked after too many wrong passwords."""
        return row.locked_until is not None and row.locked_until > stamp(self._database.clock())

    def _right(self, row: Row[Any] | None, password: str) -> bool:
        """Return True if password and account allow a sign-in; takes equally long for an unknown user."""
        right = self._passwords.is_right(None if row is None else row.password_hash, password)
        return right and row is not None and row.active and not self.is_locked_out(row)

    def _count_failure(self, row: Row[Any] | None, name: str, action: str) -> None:
        with self._database.writing() as work:
            known = row is not None
            # A password typed into the name field must not enter the trail.
            work.record(name if known else "unknown", action, name if known else "unknown")
            if row is None or self.is_locked_out(row):
                return
            current = work.connection.execute(select(USERS.c.failures).where(USERS.c.id == row.id)).scalar_one()
            values: dict[str, Any] = {"failures": current + 1}
            if current + 1 >= self._settings.failures:
                until = self._database.clock() + timedelta(minutes=self._settings.lockout_minutes)
                values = {"failures": 0, "locked_until": stamp(until)}
                if action == SIGNATURE_REFUSED:
                    # Not after failed sign-ins: otherwise a stranger could end the sessions of any user.
                    work.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == row.id))
                work.record(SYSTEM, "lock_out", name, new={"until": values["locked_until"]})
            work.connection.execute(update(USERS).where(USERS.c.id == row.id).values(**values))

    @staticmethod
    def _clear(connection: Any, row: Row[Any]) -> None:
        connection.execute(update(USERS).where(USERS.c.id == row.id).values(failures=0, locked_until=None))

    def _require_long(self, password: str) -> None:
        if len(password) < self._settings.shortest_password:
            raise ConfigError(
                f"expected a password of at least {self._settings.shortest_password} characters, found a shorter one; "
                "choose another"
            )


_WRONG: Final = Message("wrong name or password, or too many tries; wait and try again")


def add_user(database: ReaderDatabase, settings: Session, name: str, code: str, role: Role, **options: Any) -> str:
    """Add a user, see `Accounts.add`."""
    return Accounts(database, settings).add(name, code, role, **options)


def _require_form(name: str, code: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError("expected a name of 2-32 small letters, digits, . - and _, found another; change it")
    if not CODE.fullmatch(code):
        raise ConfigError("expected a code of 1-16 letters, digits, - and _, found another; change it")


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _existing(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise Refusal(404, "not_found", Message("there is no such user"))
    return row


def _code(language: str) -> LanguageCode:
    return "zh" if language == "zh" else "en"
