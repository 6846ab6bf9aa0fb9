"""Killed before and after every commit and every rename, and run again: every study ends scored exactly once."""

from __future__ import annotations
