"""Nightly processing of studies that sites send: intake, de-identification, scoring, delivery, morning report."""
