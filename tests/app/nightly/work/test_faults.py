"""A night under faults: two nights at once, a dead worker, a full disk, a lost ledger, clocks that jump."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.session import LedgerLostError
from sparcc_pipeline.app.ledger.states import NEXT, ChangeState, State
from sparcc_pipeline.app.nightly.work.outcome import Context, Done, Failed, NotYet, Outcome
from sparcc_pipeline.app.nightly.work.owner import is_dead, started, this_process
from sparcc_pipeline.errors import InputError, ModelError, OutputError

from .stub_night import WHY, StubNight, is_whole

STRAIGHT = tuple((f"P{number}", "baseline", "straight") for number in range(1, 5))
"""Studies that no step holds up."""

Nights = Callable[..., StubNight]


@pytest.fixture
def nights(ledger_url: str, tmp_path: Path) -> Iterator[Nights]:
    """Return a function that makes nights over one ledger and one folder."""
    open_database(ledger_url).dispose()
    made: list[StubNight] = []

    def make(sent: Any = STRAIGHT, **steps: Any) -> StubNight:
        made.append(StubNight(tmp_path, ledger_url, sent, **steps))
        return made[-1]

    yield make
    for night in made:
        night.close()


def _states(night: StubNight) -> list[State]:
    return [each.state for each in night.ledger.versions()]


def _scored_once(night: StubNight) -> bool:
    moves = [(each.version_id, each.to_state) for each in night.ledger.history(event="moved") if each.change_id is None]
    return all(moves.count((each.id, State.SCORED)) == 1 for each in night.ledger.versions())


def test_two_nights_at_once_do_every_study_once(nights: Nights, ledger_url: str, tmp_path: Path) -> None:
    first = nights()
    first.night._steps.take_in(first.context)
    program = (
        "import sys; from pathlib import Path; from stub_night import StubNight\n"
        "sent = tuple((f'P{n}', 'baseline', 'straight') for n in range(1, 5))\n"
        "night = StubNight(Path(sys.argv[1]), sys.argv[2], sent); night.until_delivered(); night.close()"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), ledger_url], cwd=Path(__file__).parent)
        for _ in range(2)
    ]
    first.until_delivered()

    assert [other.wait(timeout=120) for other in others] == [0, 0]
    assert _states(first) == [State.DELIVERED] * 4
    assert _scored_once(first)
    results = list((tmp_path / "work" / "results").glob("*/*/*/*"))
    assert len(results) == 4
    assert all(map(is_whole, results))


def test_one_bad_study_stops_no_other(nights: Nights) -> None:
    def deidentify(context: Context, version: Any) -> Outcome:
        raise (OutputError("no room"), InputError("no image"), ZeroDivisionError("Zhang^San"))[version.id - 1]

    night = nights(
        STRAIGHT[:3], deidentify=lambda context, version: deidentify(context, version) if version.id < 4 else Done()
    )
    night.night.run()

    failed, rejected, broken = night.ledger.versions()
    assert (failed.state, failed.reason) == (State.FAILED, "it failed: no room")
    assert (rejected.state, rejected.reason) == (State.REJECTED, "the images were refused: no image")
    assert broken.state == State.FAILED
    assert "ZeroDivisionError in test_faults.py" in str(broken.reason)
    assert not any("Zhang" in str(each) for each in (night.ledger.history(), night.logged, broken))


def test_a_full_disk_costs_an_attempt_and_leaves_nothing_half(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    night = nights()
    rename = Path.rename

    def full(source: Path, target: Path) -> Path:
        if Path(target).relative_to(night.settings.paths.work_folder).parts[0] == "results":
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(source, target)

    with monkeypatch.context() as disk:
        disk.setattr(Path, "rename", full)
        night.night.round()

    work = night.settings.paths.work_folder
    assert {(each.state, each.resume) for each in night.ledger.versions()} == {(State.FAILED, State.DEIDENTIFIED)}
    assert "no space left on device" in str(night.ledger.version(1).reason)
    assert [path for path in (work / "results").rglob("*") if path.is_file()] == []
    assert list((work / ".staging").iterdir()) == []

    night.until_delivered()
    assert _states(night) == [State.DELIVERED] * 4
    assert _scored_once(night)


def test_the_night_waits_for_a_work_folder_that_cannot_be_written(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = nights()
    mkdir = Path.mkdir

    def read_only(folder: Path, *args: Any, **more: Any) -> None:
        if ".staging" in folder.parts:
            raise OSError(errno.EROFS, "Read-only file system")
        mkdir(folder, *args, **more)

    with monkeypatch.context() as disk:
        disk.setattr(Path, "mkdir", read_only)
        night.night.round()
    assert _states(night) == [State.FAILED] * 4
    assert "read-only file system" in str(night.ledger.version(1).reason)

    night.until_delivered()
    assert _states(night) == [State.DELIVERED] * 4


def test_a_worker_that_is_lost_costs_an_attempt(nights: Nights) -> None:
    night = nights()
    run = night.night._workers.run

    def lose(function: Any, tasks: Any, done: Any, lost: Any) -> None:
        for number, task in enumerate(tasks):
            lost(task, OutputError("a worker ended with it")) if number == 0 else done(task, function(task))

    night.night._workers.run = lose  # type: ignore[method-assign]
    night.night.round()
    assert sorted(_states(night)) == sorted([State.FAILED, *[State.DELIVERED] * 3])
    night.night._workers.run = run  # type: ignore[method-assign]

    night.until_delivered()
    assert _scored_once(night)


def test_a_lost_cluster_releases_its_studies_at_once(nights: Nights) -> None:
    night = nights()

    def lose(function: Any, tasks: Any, done: Any, lost: Any) -> None:
        next(tasks)
        next(tasks)
        raise OutputError("the cluster ended")

    run, night.night._workers.run = night.night._workers.run, lose  # type: ignore[method-assign]
    night.night.round()

    assert [str(each) for each in night.night.problems] == ["the cluster ended"]
    assert night.ledger.owners() == []
    assert [each.attempts for each in night.ledger.versions()] == [0] * 4
    night.night._workers.run = run  # type: ignore[method-assign]
    night.night.round()
    assert _states(night) == [State.DELIVERED] * 4


def test_a_night_without_a_model_still_takes_in_and_delivers(nights: Nights) -> None:
    night = nights(STRAIGHT[:1])
    night.night.run()
    late = nights(STRAIGHT)

    class NoModel:
        config = late.night._workers.config

        @property
        def model_sha256(self) -> str:
            raise ModelError("there is no model")

        run = close = None

    late.night._workers = NoModel()  # type: ignore[assignment]
    late.night.run()

    assert [type(each) for each in late.night.problems] == [ModelError]
    assert _states(late) == [State.DELIVERED, *[State.DEIDENTIFIED] * 3]
    assert [each.attempts for each in late.ledger.versions()] == [0] * 4


def test_a_study_claimed_again_while_its_first_task_runs_is_recorded_by_the_second_claim_only(nights: Nights) -> None:
    night = nights(STRAIGHT[:1])
    run = night.night._workers.run

    def lose_the_lease(function: Any, tasks: Any, done: Any, lost: Any) -> None:
        first = next(tasks)
        night._offset += timedelta(hours=1)
        second = next(tasks)
        assert second.folder != first.folder
        done(first, function(first))
        assert night.ledger.version(1).state == State.DEIDENTIFIED
        done(second, function(second))
        night.night._workers.run = run  # type: ignore[method-assign]

    night.night._workers.run = lose_the_lease  # type: ignore[method-assign]
    night.night.run()

    assert night.night.problems == []
    assert _states(night) == [State.DELIVERED]
    assert _scored_once(night)
    assert list((night.settings.paths.work_folder / ".staging").iterdir()) == []


def test_a_lost_ledger_ends_the_night_and_blames_no_study(nights: Nights) -> None:
    night = nights()

    def lose_ledger(context: Context, version: Any) -> Outcome:
        raise LedgerLostError("the ledger does not answer")

    broken = nights(check_complete=lose_ledger)
    with pytest.raises(LedgerLostError):
        broken.night.run()

    assert [each.attempts for each in broken.ledger.versions()] == [0] * 4
    night.until_delivered()
    assert _states(night) == [State.DELIVERED] * 4


def test_a_clock_that_jumps_back_and_forth_loses_nothing_and_doubles_nothing(nights: Nights) -> None:
    night = nights()
    jumps = iter([400, -800, 400, -3, 3] * 40)
    real = night.clock

    def jumping() -> Any:
        night._offset += timedelta(days=next(jumps, 0))
        return real()

    night.ledger._clock = jumping
    night.until_delivered()

    assert _states(night) == [State.DELIVERED] * 4
    assert _scored_once(night)


def test_a_follow_up_that_came_first_is_compared_once_the_baseline_is_scored(nights: Nights) -> None:
    early = nights((("P1", "week12", "straight"),))
    early.night.run()
    assert early.ledger.changes() == []

    late = nights((("P1", "week12", "straight"), ("P1", "baseline", "straight")))
    late.until_delivered()

    (change,) = late.ledger.changes()
    assert change.state == ChangeState.MADE
    assert is_whole(late.settings.paths.work_folder / str(change.change_folder))


def test_a_change_is_made_once_its_copy_is_in_the_folder_of_deliveries(nights: Nights, tmp_path: Path) -> None:
    night = nights((("P1", "baseline", "straight"), ("P1", "week12", "straight")))
    deliver = night.settings.deliver.model_copy(update={"folder": tmp_path / "protocol"})
    object.__setattr__(night.context, "settings", night.settings.model_copy(update={"deliver": deliver}))
    (tmp_path / "protocol").write_text("a file instead of the folder")
    night.night.run()
    assert [each.state for each in night.ledger.changes()] == [ChangeState.FAILED]

    (tmp_path / "protocol").unlink()
    night.until_delivered()

    assert [each.state for each in night.ledger.changes()] == [ChangeState.MADE]
    assert is_whole(tmp_path / "protocol" / "S01" / "P1" / "changes" / "baseline-v1_week12-v1")


def test_a_study_that_is_not_due_waits_until_it_is(nights: Nights) -> None:
    night = nights(check_complete=lambda context, version: NotYet(context.clock() + timedelta(minutes=20)))
    assert night.night.run().moved == 0
    assert _states(night) == [State.RECEIVED] * 4

    night.night._steps = nights().night._steps
    assert night.night.run().moved == 0
    night._offset += timedelta(minutes=21)
    night.night.run()
    assert _states(night) == [State.DELIVERED] * 4


def test_a_pacs_that_is_down_is_not_asked_for_every_study_of_the_night(nights: Nights) -> None:
    asked: list[int] = []

    def refuse(context: Context, version: Any) -> Outcome:
        asked.append(version.id)
        return Failed(WHY)

    night = nights(tuple((f"P{n}", "baseline", "straight") for n in range(6)), deliver=refuse)
    night.night.round()

    assert asked == [1, 2, 3]
    assert _states(night) == [State.FAILED] * 3 + [State.SCORED] * 3


def test_staging_folders_of_ended_claims_are_removed_and_others_stay(nights: Nights) -> None:
    night = nights(STRAIGHT[:2])
    night.night._steps.take_in(night.context)
    held = night.ledger.claim(State.RECEIVED, "another-host:0:1:1", timedelta(hours=1), 5)
    assert held is not None
    staging, live = night.settings.paths.work_folder / ".staging", f"study-{held.id}-{held.claim}"
    for name in (live, f"study-{held.id}-{held.claim - 1}", "change-7-1", ".sparcc-x.partial"):
        (staging / name / "result").mkdir(parents=True)

    night.night.round()

    assert [path.name for path in staging.iterdir()] == [live]


def test_studies_of_a_dead_process_of_this_machine_are_claimed_at_once(nights: Nights) -> None:
    night = nights()
    night.night._steps.take_in(night.context)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        owner = this_process().split(":")
        owner[2:] = [str(other.pid), started(other.pid)]
        name = ":".join(owner)
        assert not is_dead(name)
        night.ledger.claim(next(iter(NEXT)), name, timedelta(days=1), 5)
        other.communicate(b"\n")
    assert is_dead(name)
    assert not is_dead(this_process())
    assert not is_dead("another-host:0:1:1")

    night.night.round()

    assert _states(night) == [State.DELIVERED] * 4
