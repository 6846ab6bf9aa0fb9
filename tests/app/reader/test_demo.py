"""The demo: filled once, found again, with users who can sign in, and a training set with known items."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparcc_pipeline.app.reader import demo
from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.web.server import make_app
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import PhantomSpec
from sparcc_pipeline.volume import Volume

from ..conftest import KnownSegmenter
from .conftest import Browser

VISITS = (demo.DemoVisit("D001", "W00", 11, 3), demo.DemoVisit("T001", "W00", 41, 2, t1=False, training=True))


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo of two time points, scored from their known tissue."""
    drawn: list[PhantomSpec] = []
    write = demo._write_images

    def remember(visit: demo.DemoVisit, folder: Path) -> PhantomSpec:
        drawn.append(write(visit, folder))
        return drawn[-1]

    class Knowing(KnownSegmenter):
        def segment(self, volume: Volume, t1: Volume | None = None):  # type: ignore[no-untyped-def]
            return KnownSegmenter(make_phantom(drawn[-1]).tissue).segment(volume, t1)

    monkeypatch.setattr(demo, "_write_images", remember)
    monkeypatch.setattr(installation, "load_installed_segmenter", lambda _: Knowing(make_phantom(PhantomSpec()).tissue))
    demo.demo_settings(tmp_path / "demo", VISITS)
    return tmp_path / "demo"


def test_the_demo_is_ready_to_use(filled: Path) -> None:
    settings = demo.demo_settings(filled)  # found again, not created again
    app = make_app(settings)
    reader = Browser(app)
    assert reader.sign_in("anna", demo.PASSWORD).status_code == 303
    case = reader.case(reader.first_case())
    (visit,) = case["visits"]
    assert visit["series"]["t1"] is not None, "the T1 belongs to the study"
    assert visit["stir_to_t1"] == list(range(visit["series"]["stir"]["slices"]))
    assert visit["joints"], "the quadrants can be clicked"
    assert 'href="/case/' in reader.get("/calibration").text
    assert len(demo.USERS) == 6
    # Sites belong to a night, which the demo has not.
    assert set(demo.USERS.values()) == set(Role) - {Role.SITE}
    app.state.site.database.engine.dispose()


def test_a_folder_with_other_files_stays_unchanged(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="choose another"):
        demo.demo_settings(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
