"""Nightly processing of what sites send: ways in, de-identification, scoring, delivery, the morning's report."""
