"""The only door to DICOM: from a source of any form to a `Volume`, and from a score to a PACS.

source.py       folder, zip, DICOMDIR or single file -> candidate files
directory.py    DICOMDIR -> the files that it lists
elements.py     single elements as plain values; pydicom kept quiet
headers.py      one file's header -> plain values; a person's name is never read (protocol.py, elements.py, pixels.py)
classify.py     sequence timing and image type -> STIR, fat-suppressed, T1 or other, and why
discover.py     candidate files -> series
select.py       series -> the STIR series to score, why this one, and the others
read.py         series -> Volume (stack.py: slices in order, or a named refusal)
write.py        Volume -> DICOM series, for phantoms and tests

source_header.py, identity.py        what the results take from the headers of their source
results.py      a scored study -> DICOM files (seg.py, sr.py, overlay.py, presentation.py)
send.py         DICOM files -> PACS (cstore.py, stow.py)
"""
