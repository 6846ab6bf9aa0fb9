"""Leases: one worker for each study, released when the worker dies, recorded once whatever clocks and networks do."""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.leases import LeaseLostError
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.ledger.session import LedgerLostError
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.message import Message

from ..databases import Cluster
from .conftest import ATTEMPTS, LEASE, Clock, Driver

BROKEN = Message("it failed: {error}", error="disk")


def _recorded(driver: Driver, state: State) -> int:
    """Return how often the history records that a study came to a state."""
    return sum(each.event == "moved" and each.to_state == state for each in driver.ledger.history())


def test_a_study_has_one_worker(driver: Driver) -> None:
    driver.study()

    claimed = driver.claim(State.RECEIVED, "first")

    assert driver.idle(State.RECEIVED)
    assert driver.ledger.finish(claimed, {"instances": 25}).state == State.COMPLETE
    assert driver.claim(State.COMPLETE).facts == {"instances": 25}


def test_many_workers_at_once_share_the_studies_without_loss_or_doubles(ledger_url: str) -> None:
    engines = [open_database(ledger_url) for _ in range(4)]
    ledgers = [Ledger(engine, Clock()) for engine in engines]
    driver = Driver(ledgers[0], Clock())
    numbers = {driver.study(str(i), participant=f"P{i}").id for i in range(24)}
    taken: list[int] = []

    def work(ledger: Ledger, owner: str) -> None:
        while (version := ledger.claim(State.RECEIVED, owner, LEASE, ATTEMPTS)) is not None:
            taken.append(version.id)
            ledger.finish(version)

    threads = [threading.Thread(target=work, args=(ledger, f"w{i}")) for i, ledger in enumerate(ledgers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == sorted(numbers)
    for engine in engines:
        engine.dispose()


def test_the_study_of_a_dead_worker_is_released_and_the_dead_worker_cannot_write(driver: Driver) -> None:
    driver.study()
    dead = driver.claim(State.RECEIVED, "dead")
    driver.clock.jump(minutes=9)
    assert driver.idle(State.RECEIVED)
    driver.clock.jump(minutes=1)

    heir = driver.claim(State.RECEIVED, "heir")
    driver.ledger.finish(heir)

    with pytest.raises(LeaseLostError, match="given to another worker"):
        driver.ledger.finish(dead)
    assert not driver.ledger.renew(dead, LEASE)
    assert _recorded(driver, State.COMPLETE) == 1


def test_a_worker_that_renews_keeps_its_study(driver: Driver) -> None:
    driver.study()
    held = driver.claim(State.RECEIVED)
    for _ in range(3):
        driver.clock.jump(minutes=9)
        assert driver.ledger.renew(held, LEASE)
        assert driver.idle(State.RECEIVED)

    assert driver.ledger.finish(held).state == State.COMPLETE


def test_a_clock_that_jumps_ahead_costs_work_done_twice_but_no_second_record(driver: Driver) -> None:
    driver.study()
    slow = driver.claim(State.RECEIVED, "slow")
    driver.clock.jump(days=400)
    quick = driver.claim(State.RECEIVED, "quick")
    driver.clock.jump(days=-400)

    driver.ledger.finish(quick)
    with pytest.raises(LeaseLostError):
        driver.ledger.finish(slow)

    assert _recorded(driver, State.COMPLETE) == 1


def test_a_clock_that_jumps_back_keeps_no_study_from_its_heir(driver: Driver) -> None:
    driver.study()
    driver.claim(State.RECEIVED, "dead")
    driver.clock.jump(days=-400)

    heir = driver.claim(State.RECEIVED, "heir")

    assert driver.ledger.finish(heir).state == State.COMPLETE


def test_a_living_worker_outlives_a_clock_that_jumps_back(driver: Driver) -> None:
    driver.study()
    held = driver.claim(State.RECEIVED, "living")
    driver.clock.jump(hours=-1)
    assert driver.ledger.renew(held, LEASE)

    assert driver.idle(State.RECEIVED)
    driver.ledger.finish(held)


def test_a_wait_that_a_clock_made_endless_is_ignored(driver: Driver) -> None:
    driver.study()
    driver.ledger.fail(driver.claim(State.RECEIVED), BROKEN, driver.clock() + timedelta(hours=5))
    assert driver.idle(State.RECEIVED)

    driver.clock.jump(days=-400)

    assert driver.claim(State.RECEIVED).attempts == 2


def test_times_that_run_backwards_leave_no_negative_age(driver: Driver) -> None:
    driver.study()
    driver.clock.jump(days=-2)

    assert driver.ledger.queue_age() == {"S01": timedelta(0)}


def test_failed_studies_wait_longer_each_time_and_then_for_a_person(driver: Driver) -> None:
    number = driver.study().id
    for attempt in range(1, ATTEMPTS + 1):
        held = driver.claim(State.RECEIVED)
        assert held.attempts == attempt
        again = driver.clock() + timedelta(minutes=10) if attempt < ATTEMPTS else None
        failed = driver.ledger.fail(held, BROKEN, again)
        assert (failed.state, failed.resume, failed.reason) == (State.FAILED, State.RECEIVED, BROKEN)
        assert driver.idle(State.RECEIVED)
        driver.clock.jump(minutes=10)
    driver.clock.jump(days=30)
    assert driver.idle(State.RECEIVED)

    driver.ledger.retry(number, "Li")

    assert driver.claim(State.RECEIVED).attempts == 1


def test_a_study_whose_workers_die_fails(driver: Driver) -> None:
    driver.study()
    for _ in range(ATTEMPTS):
        driver.claim(State.RECEIVED)
        assert driver.ledger.give_up(ATTEMPTS) == []
        driver.clock.jump(minutes=11)
    assert driver.idle(State.RECEIVED)

    (version,) = driver.ledger.give_up(ATTEMPTS)

    assert (version.state, version.next_try_at) == (State.FAILED, None)
    assert version.reason == "3 workers ended while they had it"
    assert driver.ledger.give_up(ATTEMPTS) == []


def test_a_postponed_study_costs_no_attempt(driver: Driver) -> None:
    driver.study()
    for _ in range(2 * ATTEMPTS):
        driver.ledger.postpone(driver.claim(State.RECEIVED), driver.clock() + timedelta(minutes=10))
        assert driver.idle(State.RECEIVED)
        driver.clock.jump(minutes=10)

    assert driver.claim(State.RECEIVED).attempts == 1


def test_leases_of_a_dead_process_are_released_at_once_and_counted(driver: Driver) -> None:
    driver.study()
    dead = driver.claim(State.RECEIVED, "host:boot:1:2")
    assert driver.ledger.owners() == ["host:boot:1:2"]

    driver.ledger.release_leases_of("host:boot:1:2")

    assert driver.claim(State.RECEIVED, "heir").attempts == 2
    with pytest.raises(LeaseLostError):
        driver.ledger.finish(dead)


def test_a_commit_whose_answer_was_lost_is_recorded_once(driver: Driver) -> None:
    driver.study()
    held = driver.claim(State.RECEIVED)
    driver.ledger.finish(held, {"instances": 25})

    again = driver.ledger.finish(held, {"instances": 25})

    assert again.state == State.COMPLETE
    assert _recorded(driver, State.COMPLETE) == 1


def test_the_ledger_waits_for_a_database_that_is_gone_for_a_while(driver: Driver, ledger_url: str) -> None:
    driver.study()
    engine = open_database(ledger_url)
    gone_until = time.monotonic() + 0.4

    @event.listens_for(engine, "before_cursor_execute")
    def _gone(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        if time.monotonic() < gone_until:
            raise OperationalError(statement, None, Exception("server closed the connection unexpectedly"))

    version = Ledger(engine, driver.clock, patience_s=20).claim(State.RECEIVED, "patient", LEASE, ATTEMPTS)
    assert version is not None
    gone_until = time.monotonic() + 20

    with pytest.raises(LedgerLostError, match="locked or unavailable for 0 s; check that the database runs"):
        Ledger(engine, driver.clock, patience_s=0.1).finish(version)
    engine.dispose()


def test_the_ledger_waits_for_a_sqlite_file_that_another_program_locks(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparcc_pipeline.app.ledger.database.SQLITE_BUSY_MS", 20)
    engine = open_database(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    driver = Driver(Ledger(engine, Clock(), patience_s=20), Clock())
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    freed = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    freed.start()

    assert driver.study().state == State.RECEIVED

    freed.join()
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerLostError):
        Ledger(engine, Clock(), patience_s=0.1).claim(State.RECEIVED, "hasty", LEASE, ATTEMPTS)
    other.close()
    engine.dispose()


def test_the_ledger_waits_for_a_postgresql_server_that_restarts(cluster: Cluster, ledger_template: str) -> None:
    engine = open_database(cluster.url(ledger_template))
    driver = Driver(Ledger(engine, Clock(), patience_s=60), Clock())
    driver.study()
    held = driver.claim(State.RECEIVED)
    cluster.stop()
    started = threading.Thread(target=cluster.start)
    started.start()

    assert driver.ledger.finish(held).state == State.COMPLETE

    started.join()
    assert _recorded(driver, State.COMPLETE) == 1
    engine.dispose()
