"""Tables of a protocol file, read key by key with type, range and source.

A setting is a table `{ value = ..., source = "..." }`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeVar, cast

from sparcc_pipeline.errors import ConfigError

TEXT: Final = (str,)
FLAG: Final = (bool,)
WHOLE: Final = (int,)
NUMBER: Final = (int, float)
TABLE: Final = (dict,)
LIST: Final = (list,)
_WORDS: Final[Mapping[tuple[type, ...], str]] = {
    TEXT: "text",
    FLAG: "true or false",
    WHOLE: "a whole number",
    NUMBER: "a number",
    TABLE: "a table",
    LIST: "a list of tables",
}

NOT_IN_FILE: Final = "[D] the file does not set it: rule of earlier versions"
"""Source of an optional setting that the file leaves out."""

Tables = Mapping[str, object]
_E = TypeVar("_E", bound=Enum)


@dataclass
class Settings:
    """Value and source of every key read so far."""

    values: dict[str, object] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


class SourcedTable:
    """One table of the file: returns its keys one by one, and refuses the keys that were not read."""

    def __init__(self, content: Tables, file: str, name: str) -> None:
        self._left, self.file, self.name = dict(content), file, name

    def key(self, key: str) -> str:
        """Return the key with the name of its table."""
        return f"{self.name}.{key}" if self.name else key

    def has(self, key: str) -> bool:
        """Return True if the key is present and was not read yet."""
        return key in self._left

    def plain(self, key: str, kind: tuple[type, ...]) -> object:
        """Return a value of this type. Raises ConfigError if it is missing or of another type."""
        if key not in self._left:
            raise ConfigError(f"expected the key {self.key(key)!r} in {self.file}, found none; add it")
        value = self._left.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not FLAG):
            raise self.wrong(key, value, _WORDS[kind])
        return value

    def wrong(self, key: str, value: object, expected: str) -> ConfigError:
        """Return the error for a value that is not allowed."""
        return ConfigError(f"expected {expected} for {self.key(key)!r} in {self.file}, found {value!r}; change it")

    def table(self, key: str) -> SourcedTable:
        """Return a table within this one."""
        return SourcedTable(cast(Tables, self.plain(key, TABLE)), self.file, self.key(key))

    def tables(self, key: str) -> list[SourcedTable]:
        """Return a list of at least one table."""
        listed = cast(Sequence[object], self.plain(key, LIST))
        if not listed or not all(isinstance(each, dict) for each in listed):
            raise self.wrong(key, listed, "at least one table")
        return [SourcedTable(cast(Tables, each), self.file, f"{self.key(key)}[{n}]") for n, each in enumerate(listed)]

    def sourced(self, key: str, kind: tuple[type, ...], settings: Settings) -> object:
        """Return the value of `{ value = ..., source = "..." }`."""
        inner = self.table(key)
        value, source = inner.plain("value", kind), str(inner.plain("source", TEXT))
        inner.finish()
        if not source.strip():
            raise self.wrong(f"{key}.source", source, "where the value comes from")
        settings.values[self.key(key)], settings.sources[self.key(key)] = value, source
        return value

    def text(self, key: str, settings: Settings) -> str:
        """Return a text; its source goes into `settings`."""
        return str(self.sourced(key, TEXT, settings))

    def flag(self, key: str, settings: Settings) -> bool:
        """Return true or false; its source goes into `settings`."""
        return cast(bool, self.sourced(key, FLAG, settings))

    def whole(self, key: str, settings: Settings, lowest: int, highest: int, default: int | None = None) -> int:
        """Return a whole number in this range, or the default of an absent key; its source goes into `settings`."""
        value = cast(int, self._or_default(key, WHOLE, settings, default))
        if not lowest <= value <= highest:
            raise self.wrong(key, value, f"a whole number of {lowest}-{highest}")
        return value

    def number(
        self, key: str, settings: Settings, lowest: float, highest: float, default: float | None = None
    ) -> float:
        """Return a number in this range, or the default of an absent key; its source goes into `settings`."""
        value = cast(float, self._or_default(key, NUMBER, settings, default))
        if not lowest <= value <= highest:
            raise self.wrong(key, value, f"a number of {lowest:g}-{highest:g}")
        return float(value)

    def one_of(self, key: str, kind: type[_E], settings: Settings, default: _E | None = None) -> _E:
        """Return a member of an enumeration, or the default of an absent key; its source goes into `settings`."""
        value = self._or_default(key, TEXT, settings, None if default is None else default.value)
        allowed = [each.value for each in kind]
        if value not in allowed:
            raise self.wrong(key, value, f"one of {', '.join(map(repr, allowed))}")
        return kind(value)

    def _or_default(self, key: str, kind: tuple[type, ...], settings: Settings, default: object) -> object:
        if default is None or self.has(key):
            return self.sourced(key, kind, settings)
        settings.values[self.key(key)], settings.sources[self.key(key)] = default, NOT_IN_FILE
        return default

    def finish(self) -> None:
        """Raise ConfigError if a key was not read."""
        if self._left:
            unknown = self.key(sorted(self._left)[0])
            raise ConfigError(f"expected only known keys in {self.file}, found {unknown!r}; remove or rename it")
