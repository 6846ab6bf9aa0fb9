"""Users, passwords and sessions of the reading page.

A session is a random token in a cookie; the database holds its hash. Every sign-in creates a new token.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, select, update

from sparcc_pipeline.app.reader.accounts.names import require_valid
from sparcc_pipeline.app.reader.accounts.passwords import Lane, Passwords
from sparcc_pipeline.app.reader.accounts.roles import Role, User
from sparcc_pipeline.app.reader.accounts.throttle import Throttle
from sparcc_pipeline.app.reader.audit.trail import digest_of, stamp
from sparcc_pipeline.app.reader.database import SYSTEM, ReaderDatabase
from sparcc_pipeline.app.reader.settings import Session
from sparcc_pipeline.app.reader.tables import SESSIONS, USERS
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message

SEEN_EVERY: Final = timedelta(seconds=30)
"""Shortest time between two updates of a session's last use."""
SIGN_INS_A_MINUTE: Final = 60
"""Most sign-ins from one address in a minute, right or wrong; a hospital may have one address."""
ACCOUNT_FACTOR: Final = 5
"""The account itself is locked after this many times the wrong passwords of one address: an attack from many places."""


class Accounts:
    """Users and sessions in the database."""

    def __init__(self, database: ReaderDatabase, settings: Session) -> None:
        self._database, self._settings = database, settings
        self._passwords = Passwords(settings.argon2_memory_kib, settings.argon2_passes)
        # A stranger who guesses passwords takes neither the place nor the tries of a signature.
        self._sign_in_lane, self._signature_lane = Lane(1, 12), Lane(2, 200)
        minutes = timedelta(minutes=settings.lockout_minutes)
        self._wrong_sign_ins = Throttle(settings.failures, minutes, database.clock)
        self._wrong_signatures = Throttle(settings.failures, minutes, database.clock)
        self._sign_ins = Throttle(SIGN_INS_A_MINUTE, timedelta(minutes=1), database.clock)

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
        require_valid(name, code)
        password = password or secrets.token_urlsafe(12)
        self._require_long(password)
        hashed = self._passwords.hash(password, self._signature_lane)
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
            new = {"code": code, "role": role.value, "password": digest_of(hashed), "must_change": must_change}
            work.record(by, "add_user", name, new=new)
        return password

    def reset(self, name: str, *, by: str = SYSTEM) -> str:
        """Return a new random password, to be changed at sign-in; end all sessions of the user.

        Raises
        ------
        Refusal : no such user
        """
        password = secrets.token_urlsafe(12)
        hashed = self._passwords.hash(password, self._signature_lane)
        with self._database.writing() as work:
            user = _existing(work.connection.execute(select(USERS).where(USERS.c.name == name)).first())
            values = {"password_hash": hashed, "must_change": True, "failures": 0, "locked_until": None}
            work.connection.execute(update(USERS).where(USERS.c.id == user.id).values(**values))
            work.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user.id))
            work.record(by, "reset_password", name, new={"password": digest_of(hashed), "must_change": True})
        self._wrong_sign_ins.clear_name(name)
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
        hashed = self._passwords.hash(new, self._signature_lane)
        with self._database.writing() as work:
            changed = {"password_hash": hashed, "must_change": False}
            work.connection.execute(update(USERS).where(USERS.c.id == user.id).values(**changed))
            work.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user.id))
            new_values = {"password": digest_of(hashed), "must_change": False}
            work.record(user.name, "change_password", user.name, new=new_values)

    def set_language(self, user: User, code: LanguageCode) -> None:
        """Set the language of a user's pages."""
        with self._database.writing() as work:
            work.connection.execute(update(USERS).where(USERS.c.id == user.id).values(language=code))

    def sign_in(self, name: str, password: str, address: str) -> str:
        """Sign in from an address and return the token of the new session.

        Raises
        ------
        Refusal : wrong name or password, or too many tries; the message is the same for all
        """
        place = (address, name)
        if self._sign_ins.is_closed(address) or self._wrong_sign_ins.is_closed(place):
            raise Refusal(401, "sign_in", _WRONG)
        self._sign_ins.count(address)
        with self._database.reading() as connection:
            row = connection.execute(select(USERS).where(USERS.c.name == name)).first()
        right = self._passwords.is_right(None if row is None else row.password_hash, password, self._sign_in_lane)
        if not right or row is None or not row.active or self.is_locked_out(row):
            self._count_wrong_sign_in(row, place)
            raise Refusal(401, "sign_in", _WRONG)
        self._wrong_sign_ins.clear(place)
        token = secrets.token_urlsafe(32)
        oldest = stamp(self._database.clock() - timedelta(hours=self._settings.longest_hours))
        with self._database.writing() as work:
            if row.failures:
                work.connection.execute(update(USERS).where(USERS.c.id == row.id).values(failures=0))
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
        Refusal : wrong password; too many end all sessions of the user, sign-ins of strangers do not count
        """
        with self._database.reading() as connection:
            row = connection.execute(select(USERS).where(USERS.c.id == user.id)).one()
        if not self._passwords.is_right(row.password_hash, password, self._signature_lane) or not row.active:
            if self._wrong_signatures.count(user.id):
                self._end_sessions(row)
            raise Refusal(403, "wrong_password", Message("the password is wrong"))
        self._wrong_signatures.clear(user.id)

    def _end_sessions(self, row: Row[Any]) -> None:
        """End all sessions after too many wrong signatures; the next session has its tries again."""
        with self._database.writing() as work:
            work.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == row.id))
            work.record(SYSTEM, "signatures_refused", row.name, new={"tries": self._settings.failures})
        self._wrong_signatures.clear(row.id)

    def all_users(self) -> list[Row[Any]]:
        """Return every user, by name."""
        with self._database.reading() as connection:
            return list(connection.execute(select(USERS).order_by(USERS.c.name)))

    def is_locked_out(self, row: Row[Any]) -> bool:
        """Return True while an account is locked after too many wrong passwords."""
        return row.locked_until is not None and row.locked_until > stamp(self._database.clock())

    def _count_wrong_sign_in(self, row: Row[Any] | None, place: tuple[str, str]) -> None:
        """Count a wrong password; the trail gets one entry for all tries of an address, and none for unknown names."""
        closed = self._wrong_sign_ins.count(place)
        if row is None or self.is_locked_out(row):
            return
        most = self._settings.failures * ACCOUNT_FACTOR
        with self._database.writing() as work:
            mine = USERS.c.id == row.id
            count = work.connection.execute(select(USERS.c.failures).where(mine)).scalar_one() + 1
            values: dict[str, Any] = {"failures": count}
            if closed:
                work.record(SYSTEM, "sign_ins_refused", row.name, new={"tries": self._settings.failures})
            if count >= most:
                until = self._database.clock() + timedelta(minutes=self._settings.lockout_minutes)
                values = {"failures": 0, "locked_until": stamp(until)}
                work.record(SYSTEM, "lock_out", row.name, new={"until": values["locked_until"]})
            work.connection.execute(update(USERS).where(mine).values(**values))

    def _require_long(self, password: str) -> None:
        if len(password) < self._settings.shortest_password:
            raise ConfigError(
                f"expected a password of at least {self._settings.shortest_password} characters, found a shorter one; "
                "choose another"
            )


_WRONG: Final = Message("wrong name or password, or too many tries; wait and try again")


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _existing(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise Refusal(404, "not_found", Message("there is no such user"))
    return row


def _code(language: str) -> LanguageCode:
    return "zh" if language == "zh" else "en"
