"""Read the table of codes for DICOM results, `configs/codes.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

from sparcc_pipeline.errors import ConfigError

LONGEST_VALUE: Final = 16
LONGEST_MEANING: Final = 64
"""Most characters of a CodeValue (SH) and of a CodeMeaning (LO). Source: [DicomPS3.5] 6.2."""


@dataclass(frozen=True)
class CodingScheme:
    """The private coding scheme. Source: [DicomPS3.3] C.12.1.1.1 (Coding Scheme Identification Sequence)."""

    designator: str
    uid: str
    name: str
    version: str
    responsible: str

    def item(self) -> CodingSchemeIdentificationItem:
        """Return the item of the Coding Scheme Identification Sequence."""
        item = CodingSchemeIdentificationItem(
            self.designator, name=self.name, version=self.version, responsible_organization=self.responsible
        )
        item.CodingSchemeUID = self.uid
        return item


@dataclass(frozen=True)
class CodeTable:
    """All codes, by the names that this package uses."""

    scheme: CodingScheme
    codes: Mapping[str, tuple[str, str, str]]

    def __getitem__(self, name: str) -> CodedConcept:
        """Return the code of this name.

        Raises
        ------
        ConfigError : the table has no such code
        """
        if name not in self.codes:
            raise ConfigError(f"expected a code {name!r} in codes.toml, found none; install the package again")
        scheme, value, meaning = self.codes[name]
        return CodedConcept(value=value, scheme_designator=scheme, meaning=meaning)


def read_codes(text: str) -> CodeTable:
    """Return the table from the text of `codes.toml`.

    Raises
    ------
    ConfigError : the text is not TOML, a part is missing, or a value or meaning is longer than DICOM allows
    """
    try:
        content = tomllib.loads(text)
        scheme = CodingScheme(**content["scheme"])
        private = {name: (scheme.designator, c["value"], c["meaning"]) for name, c in content["private"].items()}
        standard = {name: (code[0], code[1], code[2]) for name, code in content["standard"].items()}
    except (tomllib.TOMLDecodeError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"expected the tables [scheme], [private] and [standard] in codes.toml, found them damaged ({error}); "
            "install the package again"
        ) from error
    codes = {**standard, **private}
    long = [
        n for n, (_, value, meaning) in codes.items() if len(value) > LONGEST_VALUE or len(meaning) > LONGEST_MEANING
    ]
    if long:
        raise ConfigError(
            f"expected values of {LONGEST_VALUE} and meanings of {LONGEST_MEANING} characters at most in codes.toml, "
            f"found more in {', '.join(long)}; shorten them"
        )
    return CodeTable(scheme, codes)
