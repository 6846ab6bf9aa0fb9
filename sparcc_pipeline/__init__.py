"""From sacroiliac STIR MRI to a SPARCC score (0-72). Research use only.

The packages, from the core outwards:

errors.py, message.py   every error; messages that can be translated
anatomy.py, volume.py   names of bones, sides and quadrants; arrays with a position in the patient (LPS, mm)
orientation.py          orientation of a stack of slices
rigid.py                rigid motion between two scans
sparcc/                 the published method: joints, six slices, edema, intensity, depth, score, change
trial/                  instruments, entry criteria and target of a trial
simulation/             a simulated trial
imaging/                NIfTI files and the segmentation: `Volume` -> `TissueMaps`
dicom/                  source -> series -> `Volume`, and results as DICOM; the only package that imports pydicom
training/               training and evaluation of the model; phantoms
app/                    files, settings, reports, command line; the only package that combines the others
"""

__version__ = "0.1.0"
