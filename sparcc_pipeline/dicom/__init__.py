"""The only door to DICOM: from a source of any form to a `Volume`, and from a score to a PACS.

input/       a source -> `Volume`
  source.py        folder, zip, DICOMDIR or single file -> candidate files (files/)
  studies.py       many sources -> the studies among them
  elements.py      single elements as plain values; pydicom kept quiet
  headers.py       one file's header -> plain values; a person's name is never read (protocol.py, missing_uids.py)
  files/           archives, DICOMDIR; files that are not DICOM and may have been images
  classify.py      sequence timing and image type -> STIR, fat-suppressed, T1 or other, and why (inversion.py)
  discover.py      candidate files -> series (series/: split and joined stacks, copies, cut ends, warnings)
  select.py        series -> the STIR series to score, and why (series/account.py: the use of every file)
  read.py          series -> Volume (stack.py: slices in order; pixels.py and declared.py: their values)
deidentify/  an upload -> MR images without the identity of their patient
output/      a scored study -> DICOM files
network/     DICOM files to and from a PACS
uids.py      UIDs that are derived from content
write.py     Volume -> DICOM series, for phantoms and tests (vendor_headers.py: headers in the style of vendors)
"""
