"""Search headers and texts of blinded tables for words of arm, study drug and dose, in English and Chinese.

Contents: `require_blinded`, `header_reveals_arm`, `text_reveals_arm`. Every table of a blinded command is searched
whole, with the columns that are not read, because a query can show a faulty cell. A word that is found stops the
command.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from sparcc_pipeline.app.results.table_reader import RawTable, compact
from sparcc_pipeline.errors import BlindingError

_HEADERS: Final = re.compile(
    # CDISC: DM.ARM, ARMCD, ACTARM; ADSL.TRT01P, TRT01A, TRTP; EX.EXTRT, EXDOSE, EXDOSFRQ.
    r"(planned|act(ual)?)?arm(cd|code|n|nm|name|no|number|id)?"
    r"|trt\w*|ex(trt|dose|dosu|dosfrq|dosfrm|dostot|stdose)\w*"
    r"|(study|trial|treatment|treat|therapy|randomi[sz]ed)?(group|arm|allocation|cohort)(no|id|name|code)?"
    r"|(study|trial|current|actual|planned|assigned)?(treatment|drug|medication|dose|dosage|dosing)"
    r"(step|level|mg|arm|group|code|name|no|regimen|frequency|interval|a?day)?"
    r"|\w*randomi[sz]\w*|rand(no|num|number|id|code)?|\w*allocat\w*|\w*unblind\w*"
    r"|kit(no|num|number|id|code)?|\w*(upadacitinib|rinvoq)\w*|upa(dose|mg)?|\w*taper\w*"
    r"|\w*(组别|分组|随机|剂量|减[量]|治疗组|对照组|试验组|干预组|给药|揭盲|乌帕替尼|瑞福)\w*"
    r"|(研究|试验)?用药(剂量|量|方案|频次|频率|组)?|(研究|试验)(用)?药\w*"
)
_NSAID: Final = re.compile(r"nsaid.*")
"""Headers of the anti-inflammatory drugs: their dose is no dose of the study drug."""

_TEXTS: Final = re.compile(
    r"upadacitinib|rinvoq|(?<![a-z])upa(?![a-z])|乌帕替尼|瑞福"
    r"|(study|trial|investigational)[ _-]*(drug|medication|medicine|tablet)|(研究|试验)用?药"
    r"|(?<![a-z])(taper(s|ed|ing)?|de-?escalat\w+|unblind\w*)(?![a-z])|减[量半]|揭盲"
    r"|(full|half|reduced|lower|study|trial)[ _-]*dos(e|es|age|ing)(?![a-z])"
    r"|dose[ _-]*(reduc|decreas|step|level|lower)\w*"
    r"|全剂量|足量|半量|剂量"
    r"|(?<![a-z])(qod|q2d|q3d|eod)(?![a-z])|every\s+(other|second|third|two|three|2|3)\s+days?|alternate\s+days?"
    r"|隔[日天]|每[两三23][日天]"
    r"|(?<![a-z])(control|treatment|intervention|experimental|reduction|study|comparator|standard)"
    r"[ _-]*(arm|group)(?![a-z])"
    r"|(?<![a-z_])(arm|group)\s*[:=#-]?\s*[ab12](?![a-z0-9])"
    r"|(randomi[sz]ed|allocated|assigned)\s+(to|into)"
    r"|对照组|试验组|减[量]组|干预组|治疗组|[ab12]组|随机(分|至|到|入)"
)
_ALONE: Final = re.compile(r"(taper|control|对照|\d+(\.\d+)?\s*(mg|毫克)(\s*(qd|daily|每日|每天))?)")
"""Texts that reveal the arm if they are the whole cell."""

_REDCAP_LABEL: Final = re.compile(r"\(arm\s*\d+[^)a-z\u4e00-\u9fff]*\)$")
"""Number of the arm after an event of REDCap: events of two arms are found elsewhere."""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def header_reveals_arm(column: str) -> bool:
    """Return True for a header of arm, study drug or dose.

    Examples
    --------
    >>> [header_reveals_arm(name) for name in ("ACTARM", "TRT01P", "用药剂量", "合并用药", "nsaid_5_dose_mg")]
    [True, True, True, False, False]
    """
    plain = compact(column)
    return _HEADERS.fullmatch(plain) is not None and _NSAID.fullmatch(plain) is None


def text_reveals_arm(text: str) -> bool:
    """Return True for a text with a word of arm, study drug or dose.

    Examples
    --------
    >>> [text_reveals_arm(text) for text in ("upadacitinib 5 mg qod (taper arm)", "naproxen", "celecoxib 200 mg")]
    [True, False, False]
    """
    plain = _REDCAP_LABEL.sub("", _plain(text)).strip()
    return _ALONE.fullmatch(plain) is not None or _TEXTS.search(plain) is not None


def require_blinded(table: RawTable, known: frozenset[str]) -> None:
    """Raise an error if a header, the file's name or a text of a table reveals the arm.

    Parameters
    ----------
    known : headers that are columns of the data dictionary

    Raises
    ------
    BlindingError : a word of arm, study drug or dose; the message names the place and never the text
    """
    for column in table.columns:
        if column not in known and header_reveals_arm(column):
            raise BlindingError(
                f"expected no column that reveals the arm in {table.file}, found {column!r}; keep arm and dose in "
                "files of their own, which only unblinded commands open"
            )
    if text_reveals_arm(table.file.rpartition(".")[0]):
        raise BlindingError(
            f"expected a file name without a word of arm or dose, found one in {table.file}; rename the file"
        )
    # Most cells of a column repeat, so each text is searched once.
    for column in table.columns:
        for cell in table.values_of(column):
            if isinstance(cell, str) and text_reveals_arm(cell):
                number = next(row.number for row in table.rows if row.cells.get(column) == cell)
                raise BlindingError(
                    f"expected no word of arm, study drug or dose in {table.file}, found one in row {number}, "
                    f"column {column!r}; remove it, and keep arm and dose in files of their own, which only "
                    "unblinded commands open"
                )
