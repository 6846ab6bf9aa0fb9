"""Valid names and codes of users.

Contents: `require_valid`.
"""

from __future__ import annotations

import re
from typing import Final

from sparcc_pipeline.errors import ConfigError

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{1,31}")
_CODE: Final = re.compile(r"[A-Za-z0-9_-]{1,16}")


def require_valid(name: str, code: str) -> None:
    """Check the name to sign in with, and the code in results.

    Raises
    ------
    ConfigError : one of them has another form
    """
    if not _NAME.fullmatch(name):
        raise ConfigError("expected a name of 2-32 small letters, digits, . - and _, found another; change it")
    if not _CODE.fullmatch(code):
        raise ConfigError("expected a code of 1-16 letters, digits, - and _, found another; change it")
