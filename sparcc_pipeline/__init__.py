"""From sacroiliac STIR MRI to a SPARCC score (0-72). Research use only.

The way of a study, in the order of the packages:

errors.py, anatomy.py, volume.py   every error; the words; arrays that know where they are (mm, LPS)
orientation.py                     which way a stack of slices lies in the patient
dicom/                             source -> series -> `Volume`: the only door to DICOM
imaging/                           NIfTI files and the segmentation: `Volume` -> `TissueMaps`
sparcc/                            the published method: joints, six slices, edema, intensity, depth, score
training/                          how the model was made and measured; phantoms
app/                               files, settings, reports, command line: the only place that puts all together
"""

__version__ = "0.1.0"
