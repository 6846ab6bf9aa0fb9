"""A study with a person's identity in every place that DICOM has for text, and a search for it in what comes out."""

from __future__ import annotations

import gzip
import io
import itertools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom import config
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

from sparcc_pipeline.dicom.deidentify.confidentiality import read_profile
from sparcc_pipeline.dicom.input.elements import quiet_pydicom

NAME, CHINESE_NAME, BORN, NUMBER = "ZHANGSAN", "张三丰", "19630417", "PID8839201"
STREET, CHINESE_STREET, PRIVATE = "Nanjing Road", "南京路八十八号", "PRIVSECRET"
SECRETS = (NAME, CHINESE_NAME, BORN, NUMBER, STREET, CHINESE_STREET, PRIVATE)
UID_WITH_NUMBER = "1.2.840.8839201.19630417"

CHARACTER_SETS = ("ISO_IR 192", "GB18030", ["", "ISO 2022 IR 58"])

_NEEDED_NAMES = """
AcquisitionNumber BurnedInAnnotation ConversionType EchoNumbers EchoTime FrameOfReferenceUID ImageOrientationPatient
ImagePositionPatient ImageType ImagesInAcquisition InstanceNumber InversionTime LossyImageCompression
LossyImageCompressionMethod MagneticFieldStrength Modality NumberOfFrames PhotometricInterpretation PixelSpacing
PresentationLUTShape RepetitionTime RescaleIntercept RescaleSlope SOPClassUID SOPInstanceUID ScanOptions
ScanningSequence SeriesInstanceUID SliceThickness SpacingBetweenSlices SpecificCharacterSet StudyDate
StudyInstanceUID TemporalPositionIdentifier TriggerTime
"""
NEEDED = frozenset(_NEEDED_NAMES.split())
"""Without these it would be no STIR stack of MR images any more."""

_TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_ASCII_VRS = frozenset({"AE", "AS", "CS", "UR"})


def encodings(secret: str) -> list[bytes]:
    """A secret as it may lie in a file: texts of four encodings, small letters included."""
    forms = {secret, secret.lower()}
    return [form.encode(name) for form in forms for name in ("utf-8", "gb18030", "utf-16-le", "utf-16-be")]


NEEDLES = sorted({needle for secret in SECRETS for needle in encodings(secret)})


def salt(path: Path, index: int) -> None:
    """Write identity into every place of one DICOM file; its picture and geometry stay what they are."""
    with quiet_pydicom(), config.disable_value_validation():
        ds = pydicom.dcmread(path)
        texts = itertools.cycle((f"{NAME}^WEI", f"{CHINESE_NAME} {NUMBER}", f"{STREET} {BORN}", CHINESE_STREET))
        ds.SpecificCharacterSet = CHARACTER_SETS[index % len(CHARACTER_SETS)]
        _salt_every_element(ds, texts)
        ds.ImageType = [*ds.ImageType, NAME]
        ds.SeriesDescription = ds.ProtocolName = f"t2_tirm_cor {NAME} {BORN}"
        ds.PatientName, ds.PatientID = f"{NAME}^WEI={CHINESE_NAME}", NUMBER
        _salt_sequences(ds, texts)
        _salt_private(ds)
        _salt_bytes(ds)
        ds.PixelData += (NAME + BORN).encode()
        ds.preamble = (f"{NAME} {NUMBER} {STREET} {BORN} ".encode() * 4)[:128]
        ds.file_meta.SourceApplicationEntityTitle = ds.file_meta.SendingApplicationEntityTitle = NAME
        ds.file_meta.ImplementationVersionName = NAME
        ds.file_meta.PrivateInformationCreatorUID = UID(UID_WITH_NUMBER)
        ds.file_meta.PrivateInformation = f"{PRIVATE} {CHINESE_NAME}".encode("gb18030")
        path.unlink()
        ds.save_as(path.with_name(f"{NAME}_{CHINESE_NAME}_{index:04d}.dcm"), enforce_file_format=True)


def _salt_every_element(ds: Dataset, texts: Iterator[str]) -> None:
    """Every element of the dictionary that holds text, dates, numbers as text, or UIDs."""
    for number, entry in DicomDictionary.items():
        tag, vr = Tag(number), entry[0]
        if tag.group in (0x0000, 0x0002) or tag.elem == 0 or keyword_for_tag(tag) in NEEDED:
            continue
        value: object = None
        if vr in _TEXT_VRS:
            value = next(texts)
        elif vr in _ASCII_VRS:
            value = f"{NAME} {STREET} {BORN}"
        elif vr in {"DA", "IS", "DS"}:
            value = BORN
        elif vr == "DT":
            value = f"{BORN}101112"
        elif vr == "UI":
            value = UID_WITH_NUMBER
        if value is not None:
            ds.add(DataElement(tag, vr, value))


def _salt_sequences(ds: Dataset, texts: Iterator[str]) -> None:
    """Every sequence that stays, and every tenth of the others, each with texts and a sequence within."""
    sequences = [number for number, entry in DicomDictionary.items() if entry[0] == "SQ" and Tag(number).group]
    stay = [number for number in sequences if keyword_for_tag(number) in read_profile().sequences]
    for number in sorted({*stay, *sequences[::10]}):
        item, inner = Dataset(), Dataset()
        inner.CodeMeaning, inner.TextValue, inner.PersonName = next(texts), next(texts), NAME
        item.PatientName, item.PatientID, item.ImageComments = CHINESE_NAME, NUMBER, next(texts)
        item.ReferencedSOPInstanceUID, item.PatientAddress = UID_WITH_NUMBER, STREET
        item.SeriesDescription, item.FrameType, item.StackID = NAME, [NAME, "PRIMARY"], NAME
        item.ConceptNameCodeSequence = Sequence([inner])
        ds.add(DataElement(Tag(number), "SQ", Sequence([item])))
    # Functional groups in a classic image would make it a multi-frame one.
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        del ds[keyword]


def _salt_private(ds: Dataset) -> None:
    for group, creator in ((0x0029, "SIEMENS CSA HEADER"), (0x0011, NAME), (0x0019, "SIEMENS MR HEADER")):
        block = ds.private_block(group, creator, create=True)
        block.add_new(0x08, "LO", f"{PRIVATE} {CHINESE_NAME}")
        block.add_new(0x10, "OB", f"{PRIVATE} {NAME}".encode("utf-16-le"))
        block.add_new(0x0C, "IS", BORN)
        block.add_new(0x0D, "UN", f"{CHINESE_NAME}{PRIVATE}".encode("utf-16-be"))


def _salt_bytes(ds: Dataset) -> None:
    """Overlays, curves, icons, documents, spectra, trailing padding: bytes in which a text can lie."""
    content = f"{NAME} {BORN} {CHINESE_NAME}".encode()
    bytes_of_dicom = (0x60003000, 0x50003000, 0x00420011, 0x00282000, 0x7FE10010, 0xFFFCFFFC)
    for tag, vr in (*((tag, "OB") for tag in bytes_of_dicom), (0x60023000, "OW"), (0x00091001, "UN")):
        if dictionary_has_tag(tag) or tag in (0x7FE10010, 0x00091001, 0x60023000):
            ds.add(DataElement(Tag(tag), vr, content + b" " * (len(content) % 2)))
    ds.add(DataElement(Tag(0x60004000), "LT", f"{NAME} {STREET}"))
    ds.add(DataElement(Tag(0x60001500), "LO", CHINESE_NAME))


def findings(folder: Path, *, apart_from: tuple[Path, ...] = ()) -> list[str]:
    """Every place below a folder that holds a secret: in names, in bytes, and within what is compressed."""
    found = []
    for path in sorted(folder.rglob("*")):
        if any(path == other or other in path.parents for other in apart_from):
            continue
        relative = str(path.relative_to(folder))
        if any(secret.lower() in relative.lower() for secret in SECRETS):
            found.append(f"name of {relative}")
        if path.is_file():
            found += [
                f"{relative} {where}: {needle!r}"
                for where, content in _contents(path.read_bytes(), "")
                for needle in NEEDLES
                if needle in content
            ]
    return found


def _contents(content: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """Bytes, and what is compressed in them: zip, gzip, the chunks of PNG, the streams of PDF and others."""
    yield where or "bytes", content
    if content[:2] == b"\x1f\x8b":
        yield from _contents(gzip.decompress(content), f"{where}/gzip")
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield f"{where}/zip names", name.encode()
                yield from _contents(archive.read(name), f"{where}/zip")
    elif content[:4] in (b"\x89PNG", b"%PDF"):
        start = -1
        while (start := content.find(b"\x78", start + 1)) >= 0:
            try:
                yield f"{where}/zlib", zlib.decompressobj().decompress(content[start:])
            except zlib.error:
                continue
