"""The list of what stays, against PS3.15 table E.1-1; and that nothing can hide in what stays."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from sparcc_pipeline.dicom.deidentify.confidentiality import (
    cleaned_description,
    kept_numbers,
    kept_time,
    kept_words,
    read_profile,
)
from sparcc_pipeline.dicom.input.protocol import SEQUENCE_WORDS

PROFILE = read_profile()

TO_REMOVE_OR_EMPTY: Final = (
    "AccessionNumber",
    "AcquisitionComments",
    "AcquisitionContextSequence",
    "AcquisitionProtocolDescription",
    "AdditionalPatientHistory",
    "AdmissionID",
    "AdmittingDate",
    "AdmittingDiagnosesDescription",
    "AffectedSOPInstanceUID",
    "Allergies",
    "AuthorObserverSequence",
    "BranchOfService",
    "CassetteID",
    "ClinicalTrialCoordinatingCenterName",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ContentCreatorName",
    "ContentSequence",
    "ContributionDescription",
    "CountryOfResidence",
    "CurrentPatientLocation",
    "CustodialOrganizationSequence",
    "DataSetTrailingPadding",
    "DerivationDescription",
    "DetectorID",
    "DeviceSerialNumber",
    "DigitalSignaturesSequence",
    "EthnicGroup",
    "FrameComments",
    "GantryID",
    "GraphicAnnotationSequence",
    "IconImageSequence",
    "ImageComments",
    "ImagePresentationComments",
    "ImagingServiceRequestComments",
    "InstitutionAddress",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "InsurancePlanIdentification",
    "IssuerOfPatientID",
    "LastMenstrualDate",
    "MedicalAlerts",
    "MedicalRecordLocator",
    "MilitaryRank",
    "ModifiedAttributesSequence",
    "NameOfPhysiciansReadingStudy",
    "Occupation",
    "OperatorsName",
    "OriginalAttributesSequence",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientAddress",
    "PatientAge",
    "PatientBirthDate",
    "PatientBirthName",
    "PatientBirthTime",
    "PatientComments",
    "PatientID",
    "PatientInstitutionResidence",
    "PatientMotherBirthName",
    "PatientName",
    "PatientReligiousPreference",
    "PatientSex",
    "PatientSize",
    "PatientTelephoneNumbers",
    "PatientWeight",
    "PerformedLocation",
    "PerformedProcedureStepDescription",
    "PerformedStationAETitle",
    "PerformingPhysicianName",
    "PersonName",
    "PhysiciansOfRecord",
    "PregnancyStatus",
    "ReasonForStudy",
    "ReferencedPatientSequence",
    "ReferencedStudySequence",
    "ReferringPhysicianName",
    "RegionOfResidence",
    "RequestAttributesSequence",
    "RequestedProcedureDescription",
    "RequestingPhysician",
    "ReviewerName",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "SmokingStatus",
    "SpecialNeeds",
    "StationName",
    "StructureSetLabel",
    "StudyComments",
    "StudyDescription",
    "StudyID",
    "TextComments",
    "TextString",
    "TimezoneOffsetFromUTC",
    "VerifyingObserverName",
    "VisitComments",
)
"""Elements with the action X, Z, D or combinations of them in table E.1-1, typed from the standard: none may stay."""

TO_REPLACE: Final = (
    "ConcatenationUID",
    "DimensionOrganizationUID",
    "FrameOfReferenceUID",
    "ReferencedSOPInstanceUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "SynchronizationFrameOfReferenceUID",
)
"""Elements with the action U that stay: by new values only."""


@pytest.mark.parametrize("keyword", sorted(set(TO_REMOVE_OR_EMPTY)))
def test_what_the_standard_removes_does_not_stay(keyword: str) -> None:
    assert keyword not in PROFILE.keywords


@pytest.mark.parametrize("keyword", TO_REPLACE)
def test_what_the_standard_replaces_is_replaced(keyword: str) -> None:
    assert keyword in PROFILE.uids


def test_every_uid_that_stays_is_new_or_registered() -> None:
    assert {k for k in PROFILE.keywords if dictionary_VR(k) == "UI"} == PROFILE.uids | PROFILE.classes
    assert all("Class" in keyword for keyword in PROFILE.classes)


def test_each_element_is_treated_by_one_rule_that_fits_its_kind() -> None:
    groups = [
        PROFILE.numbers,
        PROFILE.dates,
        PROFILE.times,
        PROFILE.uids,
        PROFILE.classes,
        PROFILE.sequences,
        PROFILE.descriptions,
        frozenset(PROFILE.words),
        frozenset(PROFILE.forms),
    ]
    assert sum(map(len, groups)) == len(PROFILE.keywords)
    for keyword in PROFILE.keywords:
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        vr = dictionary_VR(tag)
        assert (vr in {"DA", "DT"}) == (keyword in PROFILE.dates), keyword
        assert (vr == "TM") == (keyword in PROFILE.times), keyword
        assert (vr == "SQ") == (keyword in PROFILE.sequences), keyword
        if vr in {"LO", "SH", "LT", "ST", "UT", "PN", "AE", "CS", "UC"}:
            assert keyword in PROFILE.words or keyword in PROFILE.forms or keyword in PROFILE.descriptions, keyword
        assert vr not in {"PN", "LT", "ST", "UT", "UC", "UR", "AE", "OB", "OW", "UN"}, keyword


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_a_description_keeps_known_words_only_and_stays_what_it_was(text: str) -> None:
    cleaned = cleaned_description(text, PROFILE)
    named = [word for word, pattern in SEQUENCE_WORDS.items() if pattern.search(text.lower())]

    assert [word for word, pattern in SEQUENCE_WORDS.items() if pattern.search(cleaned)] == named
    known = PROFILE.description_words | {word.replace(" ", "") for word in SEQUENCE_WORDS}
    assert all(part in known or re.fullmatch(r"\d{1,2}(\.\d)?(mm|t)?", part) for part in cleaned.split("_") if part)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("t2_tirm_cor_obl_3mm", "t2_tirm_cor_obl_3mm"),
        ("OCor STIR", "ocor_stir"),
        ("STIR Zhang San 13800138000", "stir"),
        ("张三 T1 cor", "t1_cor"),
        ("Zhangstirsan", "stir"),
        ("dark Li fluid", ""),
        ("T2 fat saturation", "t2_fat_fatsaturation"),
    ],
)
def test_descriptions(text: str, cleaned: str) -> None:
    assert cleaned_description(text, PROFILE) == cleaned


@pytest.mark.parametrize(
    ("keyword", "value", "kept"),
    [
        ("SequenceName", "*tir2d1_21", True),
        ("SequenceName", "zhangsan", False),
        ("SequenceName", "fl zhang", False),
        ("ManufacturerModelName", "Skyra", True),
        ("ManufacturerModelName", "MAGNETOM Vida", True),
        ("ManufacturerModelName", "SIGNA Pioneer", True),
        ("ManufacturerModelName", "Ingenia Elition X", True),
        ("ManufacturerModelName", "uMR 780", True),
        ("ManufacturerModelName", "Skyra of Dr Zhang", False),
        ("Manufacturer", "Siemens Healthineers", True),
        ("Manufacturer", "Zhang & Sons", False),
        ("BodyPartExamined", "PELVIS", True),
        ("BodyPartExamined", "ZHANGSAN", False),
        ("ImageType", "DIXON", False),
        ("ImageType", "WATER", True),
    ],
)
def test_words_and_forms(keyword: str, value: str, kept: bool) -> None:
    assert kept_words(keyword, [value], PROFILE) == ([value] if kept else [])


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "kept"),
    [
        ("ImagePositionPatient", "DS", "-123.456789012", True),
        ("RescaleIntercept", "DS", "-19595", True),
        ("EchoTime", "DS", "4.2e+1", True),
        ("EchoTime", "DS", "19630417", False),
        ("EchoTime", "DS", "ZHANG", False),
        ("SeriesNumber", "IS", "901", True),
        ("SeriesNumber", "IS", "19630417", False),
        ("Rows", "US", 512, True),
        ("Rows", "UL", 19630417, False),
        ("Rows", "US", "512", False),
        ("EffectiveEchoTime", "FD", 42.0, True),
        ("EffectiveEchoTime", "FD", 13800138000.0, False),
        ("EffectiveEchoTime", "FD", float("nan"), False),
    ],
)
def test_numbers(keyword: str, vr: str, value: object, kept: bool) -> None:
    assert (kept_numbers(keyword, vr, [value]) is not None) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("101530.25", "101530.25"),
        ("10:15:30", "101530"),
        ("1015", "1015"),
        ("2515", ""),
        ("ZHANG", ""),
        ("101530ZHANG", ""),
    ],
)
def test_times(text: str, kept: str) -> None:
    assert kept_time(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SIJ 23/11/87", "sij"),
        ("t2 stir cor, tel 13 81 23 45 67 8", "t2_stir_cor"),
        ("stir 4mm 1.5T 65mm 19.8mm 2.9t", "stir_4mm_1.5t"),
        ("stir 19870523", "stir"),
    ],
)
def test_numbers_stay_only_as_a_thickness_or_a_field_strength(text: str, kept: str) -> None:
    assert cleaned_description(text, PROFILE) == kept
