"""Write datasets as Dataset-JSON 1.1 and as SAS transport files, and their metadata as Define-XML 2.1.

Contents: `dataset_json`, `transport_file`, `define_xml`. Sources: [DatasetJson]; [DefineXml]. The SAS transport files
need pyreadstat (extra `trial`); the others nothing beside the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from sparcc_pipeline import __version__
from sparcc_pipeline.app.trial_data.cdisc.dataset import LONGEST_TEXT, Dataset, Kind, Variable
from sparcc_pipeline.errors import ConfigError

VERSION: Final = "1.1.0"
DEFINE_FILE: Final = "define.xml"
_ODM: Final = "http://www.cdisc.org/ns/odm/v1.3"
_DEFINE: Final = "http://www.cdisc.org/ns/def/v2.1"
_XLINK: Final = "http://www.w3.org/1999/xlink"
_SAS_EPOCH: Final = date(1960, 1, 1)
_TYPES: Final = {Kind.TEXT: "text", Kind.WHOLE: "integer", Kind.NUMBER: "float", Kind.DATE: "date"}
_STANDARDS: Final = {"SDTM": ("SDTMIG", "3.4"), "ADaM": ("ADaMIG", "1.3")}
"""Name and version of the standard of each group of datasets."""


def dataset_json(dataset: Dataset, study: str, created_at: str) -> str:
    """Return a dataset as Dataset-JSON."""
    columns = [_column(dataset, each) for each in dataset.variables]
    names = [each.name for each in dataset.variables]
    content = {
        "datasetJSONCreationDateTime": created_at,
        "datasetJSONVersion": VERSION,
        "fileOID": f"{study}.{dataset.name}",
        "originator": "sparcc-pipeline",
        "sourceSystem": {"name": "sparcc-pipeline", "version": __version__},
        "studyOID": f"STUDY.{study}",
        "metaDataVersionOID": _version_oid(dataset.group),
        "metaDataRef": DEFINE_FILE,
        "itemGroupOID": f"IG.{dataset.name}",
        "records": len(dataset.rows),
        "name": dataset.name,
        "label": dataset.label,
        "columns": columns,
    }
    head = json.dumps(content, ensure_ascii=False, indent=1)[:-2]
    rows = ",\n".join(
        json.dumps([row.get(name) for name in names], ensure_ascii=False) for row in dataset.sorted_rows()
    )
    return f'{head},\n "rows": [\n{rows}\n ]\n}}\n'


def _column(dataset: Dataset, each: Variable) -> dict[str, Any]:
    column: dict[str, Any] = {
        "itemOID": f"IT.{dataset.name}.{each.name}",
        "name": each.name,
        "label": each.label,
        "dataType": each.kind.value,
    }
    if each.kind is Kind.DATE:
        column |= {"targetDataType": "integer", "displayFormat": "E8601DA."}
    if each.kind is Kind.TEXT:
        column["length"] = _length(dataset, each)
    if each.name in dataset.keys:
        column["keySequence"] = list(dataset.keys).index(each.name) + 1
    return column


def _length(dataset: Dataset, each: Variable) -> int:
    return max([1, *(len(str(row[each.name]).encode()) for row in dataset.rows if row.get(each.name) is not None)])


def require_transport() -> None:
    """Reject SAS transport files before the slow work if pyreadstat is missing.

    Raises
    ------
    ConfigError : the extra is not installed
    """
    try:
        import pyreadstat  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "expected the package pyreadstat for SAS transport files, found none; install it: pip install "
            "'.[trial]', or leave --xpt out"
        ) from error


def transport_file(dataset: Dataset, file: Path) -> None:
    """Write a dataset as SAS transport file, version 5. A text over 200 bytes is cut there."""
    import pandas
    import pyreadstat

    rows, columns = dataset.sorted_rows(), {}
    for each in dataset.variables:
        values = [_transported(row.get(each.name), each.kind) for row in rows]
        columns[each.name] = pandas.Series(values, dtype=object if each.kind is Kind.TEXT else float)
    pyreadstat.write_xport(
        pandas.DataFrame(columns),
        str(file),
        file_label=dataset.label,
        column_labels=[each.label for each in dataset.variables],
        table_name=dataset.name,
        file_format_version=5,
        variable_format={each.name: "DATE9." for each in dataset.variables if each.kind is Kind.DATE},
    )


def _transported(value: Any, kind: Kind) -> Any:
    if kind is Kind.TEXT:
        # A byte of a character that is cut in two would be no text.
        return "" if value is None else str(value).encode()[:LONGEST_TEXT].decode("utf-8", "ignore")
    if value is None:
        return float("nan")
    return float((date.fromisoformat(value) - _SAS_EPOCH).days) if kind is Kind.DATE else float(value)


def define_xml(datasets: Sequence[Dataset], study: str, name: str, created_at: str) -> str:
    """Return the metadata of datasets of one group as Define-XML."""
    group = datasets[0].group
    for prefix, address in (("", _ODM), ("def", _DEFINE), ("xlink", _XLINK)):
        ElementTree.register_namespace(prefix, address)
    attributes = {"FileType": "Snapshot", "FileOID": f"{study}.define", "ODMVersion": "1.3.2"}
    attributes |= {"CreationDateTime": created_at, f"{{{_DEFINE}}}Context": "Other"}
    root = ElementTree.Element(f"{{{_ODM}}}ODM", attributes)
    study_ = _child(root, "Study", OID=f"STUDY.{study}")
    names = _child(study_, "GlobalVariables")
    for tag, text in (("StudyName", study), ("StudyDescription", name), ("ProtocolName", study)):
        _child(names, tag).text = text
    version = _child(study_, "MetaDataVersion", OID=_version_oid(group), Name=f"{study} {group}")
    version.set(f"{{{_DEFINE}}}DefineVersion", "2.1.0")
    standard, number = _STANDARDS[group]
    standards = ElementTree.SubElement(version, f"{{{_DEFINE}}}Standards")
    details = {"OID": "STD.1", "Name": standard, "Type": "IG", "Version": number, "Status": "Final"}
    ElementTree.SubElement(standards, f"{{{_DEFINE}}}Standard", details)
    for dataset in datasets:
        _group(version, dataset)
    for dataset in datasets:
        for each in dataset.variables:
            _item(version, dataset, each)
    for dataset in datasets:
        for each in dataset.variables:
            if each.comment:
                oid = f"COM.{dataset.name}.{each.name}"
                comment = ElementTree.SubElement(version, f"{{{_DEFINE}}}CommentDef", {"OID": oid})
                _describe(comment, each.comment)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _group(version: ElementTree.Element, dataset: Dataset) -> None:
    group = _child(
        version,
        "ItemGroupDef",
        OID=f"IG.{dataset.name}",
        Name=dataset.name,
        Repeating="No" if dataset.structure == "One record per subject" else "Yes",
        IsReferenceData="No",
        SASDatasetName=dataset.name,
        Purpose="Tabulation" if dataset.group == "SDTM" else "Analysis",
    )
    if dataset.group == "SDTM":
        group.set("Domain", dataset.name)
    group.set(f"{{{_DEFINE}}}Structure", dataset.structure)
    group.set(f"{{{_DEFINE}}}StandardOID", "STD.1")
    group.set(f"{{{_DEFINE}}}ArchiveLocationID", f"LF.{dataset.name}")
    _describe(group, dataset.label)
    for number, each in enumerate(dataset.variables, 1):
        reference = {"ItemOID": f"IT.{dataset.name}.{each.name}", "OrderNumber": str(number)}
        reference["Mandatory"] = "Yes" if each.name in dataset.keys else "No"
        if each.name in dataset.keys:
            reference["KeySequence"] = str(list(dataset.keys).index(each.name) + 1)
        _child(group, "ItemRef", **reference)
    ElementTree.SubElement(group, f"{{{_DEFINE}}}Class", {"Name": dataset.class_name})
    file = f"{dataset.name.lower()}.json"
    leaf = ElementTree.SubElement(group, f"{{{_DEFINE}}}leaf", {"ID": f"LF.{dataset.name}", f"{{{_XLINK}}}href": file})
    ElementTree.SubElement(leaf, f"{{{_DEFINE}}}title").text = file


def _item(version: ElementTree.Element, dataset: Dataset, each: Variable) -> None:
    item = _child(version, "ItemDef", OID=f"IT.{dataset.name}.{each.name}", Name=each.name, DataType=_TYPES[each.kind])
    item.set("SASFieldName", each.name)
    if each.kind is not Kind.DATE:
        item.set("Length", str(_length(dataset, each) if each.kind is Kind.TEXT else 8))
    if each.kind is Kind.NUMBER:
        item.set("SignificantDigits", "6")
    if each.comment:
        item.set(f"{{{_DEFINE}}}CommentOID", f"COM.{dataset.name}.{each.name}")
    _describe(item, each.label)
    source = {"Collected": "Investigator", "Derived": "Sponsor"}.get(each.origin)
    origin = {"Type": each.origin} | ({"Source": source} if source else {})
    ElementTree.SubElement(item, f"{{{_DEFINE}}}Origin", origin)


def _describe(parent: ElementTree.Element, text: str) -> None:
    translated = _child(_child(parent, "Description"), "TranslatedText")
    translated.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
    translated.text = text


def _child(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, f"{{{_ODM}}}{tag}", attributes)


def _version_oid(group: str) -> str:
    return f"MDV.{group}"
