"""Pages as PDF, drawn by WeasyPrint with the font of the installation: the same file on every computer."""

from __future__ import annotations

import hashlib
from typing import Final

from sparcc_pipeline.errors import ConfigError

DEBIAN_PACKAGES: Final = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
"""Libraries that WeasyPrint draws with; pip does not install them."""


def require_pdf() -> None:
    """Reject a PDF before the slow work if it cannot be drawn.

    Raises
    ------
    ConfigError : the libraries of the system are missing
    """
    try:
        import weasyprint  # noqa: F401
    except OSError as error:
        raise ConfigError(
            "expected the libraries that draw a PDF, found not all of them; as root: "
            f"apt-get install {DEBIAN_PACKAGES}, or leave --pdf out"
        ) from error


def pdf_from(page: str) -> bytes:
    """Return a page as PDF. It names its font, title and date; the same page gives the same bytes.

    Raises
    ------
    ConfigError : see `require_pdf`
    """
    require_pdf()
    from weasyprint import HTML

    identifier = hashlib.sha256(page.encode()).hexdigest()[:32].encode()
    content: bytes = HTML(string=page).write_pdf(pdf_identifier=identifier)
    return content
