"""SimpleITK's series reader, with which the time of loading is compared. It is never used for a score."""

from __future__ import annotations

from pathlib import Path


def read_with_simpleitk(folder: Path, series_uid: str) -> tuple[int, ...]:
    """Read one series of a folder and return its size (columns, rows, slices).

    Raises
    ------
    RuntimeError : SimpleITK cannot find or read it
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
