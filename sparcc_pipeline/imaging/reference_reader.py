"""SimpleITK's own series reader: what loading is measured against. No score is ever made from it."""

from __future__ import annotations

from pathlib import Path


def read_with_simpleitk(folder: Path, series_uid: str) -> tuple[int, ...]:
    """Find one series in a folder and read it; returns its size (columns, rows, slices).

    Raises
    ------
    RuntimeError : SimpleITK cannot read it
    """
    import SimpleITK as sitk

    found = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if series_uid not in found:
        raise RuntimeError(f"expected the series in one folder, SimpleITK found {len(found)} others there")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series_uid))
    image = sitk.Cast(reader.Execute(), sitk.sitkFloat32)
    size: tuple[int, ...] = image.GetSize()
    return size
