"""The store of the reading page is for its owner only, whatever a restored backup or another umask left."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

from sparcc_pipeline.app.reader.database import HEAD_FILE, KEY_FILE, open_reader_database
from sparcc_pipeline.app.reader.settings import load_settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_rights_of_other_users_are_taken_away_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "reader.toml"
    file.write_text("")
    opened = open_reader_database(load_settings(file), lambda: NOW)
    with opened.writing() as work:
        work.record("ann", "sign_in", "ann")
    opened.engine.dispose()
    files = [opened.folder / name for name in (KEY_FILE, HEAD_FILE, "ledger.sqlite")]
    for each in (opened.folder, *files):
        each.chmod(0o755)

    open_reader_database(load_settings(file), lambda: NOW).engine.dispose()

    assert stat.S_IMODE(opened.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(each.stat().st_mode) & 0o007 for each in files] == [0, 0, 0]
