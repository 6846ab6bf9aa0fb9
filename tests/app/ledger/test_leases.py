"""Claims: one worker a study, given back when it dies, recorded once whatever clocks and networks do."""

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
from .conftest import ATTEMPTS, LEASE, Books, Clock

BROKEN = Message("it failed: {error}", error="disk")


def _recorded(books: Books, state: State) -> int:
    """How often the history says that a study came to a state."""
    return sum(each.event == "moved" and each.to_state == state for each in books.ledger.history())


def test_a_study_has_one_worker(books: Books) -> None:
    books.study()

    claimed = books.claim(State.RECEIVED, "first")

    assert books.idle(State.RECEIVED)
    assert books.ledger.finish(claimed, {"instances": 25}).state == State.COMPLETE
    assert books.claim(State.COMPLETE).facts == {"instances": 25}


def test_many_workers_at_once_share_the_studies_without_loss_or_doubles(ledger_url: str) -> None:
    engines = [open_database(ledger_url) for _ in range(4)]
    ledgers = [Ledger(engine, Clock()) for engine in engines]
    books = Books(ledgers[0], Clock())
    numbers = {books.study(str(i), participant=f"P{i}").id for i in range(24)}
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


def test_the_study_of_a_worker_that_died_is_given_back_and_the_dead_can_no_longer_write(books: Books) -> None:
    books.study()
    dead = books.claim(State.RECEIVED, "dead")
    books.clock.jump(minutes=9)
    assert books.idle(State.RECEIVED)
    books.clock.jump(minutes=1)

    heir = books.claim(State.RECEIVED, "heir")
    books.ledger.finish(heir)

    with pytest.raises(LeaseLostError, match="given to another worker"):
        books.ledger.finish(dead)
    assert not books.ledger.renew(dead, LEASE)
    assert _recorded(books, State.COMPLETE) == 1


def test_a_worker_that_renews_keeps_its_study(books: Books) -> None:
    books.study()
    held = books.claim(State.RECEIVED)
    for _ in range(3):
        books.clock.jump(minutes=9)
        assert books.ledger.renew(held, LEASE)
        assert books.idle(State.RECEIVED)

    assert books.ledger.finish(held).state == State.COMPLETE


def test_a_clock_that_jumps_ahead_costs_work_done_twice_but_no_second_record(books: Books) -> None:
    books.study()
    slow = books.claim(State.RECEIVED, "slow")
    books.clock.jump(days=400)
    quick = books.claim(State.RECEIVED, "quick")
    books.clock.jump(days=-400)

    books.ledger.finish(quick)
    with pytest.raises(LeaseLostError):
        books.ledger.finish(slow)

    assert _recorded(books, State.COMPLETE) == 1


def test_a_clock_that_jumps_back_keeps_no_study_from_its_heir(books: Books) -> None:
    books.study()
    books.claim(State.RECEIVED, "dead")
    books.clock.jump(days=-400)

    heir = books.claim(State.RECEIVED, "heir")

    assert books.ledger.finish(heir).state == State.COMPLETE


def test_a_living_worker_outlives_a_clock_that_jumps_back(books: Books) -> None:
    books.study()
    held = books.claim(State.RECEIVED, "living")
    books.clock.jump(hours=-1)
    assert books.ledger.renew(held, LEASE)

    assert books.idle(State.RECEIVED)
    books.ledger.finish(held)


def test_a_wait_that_a_clock_made_endless_is_not_believed(books: Books) -> None:
    books.study()
    books.ledger.fail(books.claim(State.RECEIVED), BROKEN, books.clock() + timedelta(hours=5))
    assert books.idle(State.RECEIVED)

    books.clock.jump(days=-400)

    assert books.claim(State.RECEIVED).attempts == 2


def test_times_that_run_backwards_leave_no_negative_age(books: Books) -> None:
    books.study()
    books.clock.jump(days=-2)

    assert books.ledger.queue_age() == {"S01": timedelta(0)}


def test_failed_studies_wait_longer_each_time_and_then_for_a_person(books: Books) -> None:
    number = books.study().id
    for attempt in range(1, ATTEMPTS + 1):
        held = books.claim(State.RECEIVED)
        assert held.attempts == attempt
        again = books.clock() + timedelta(minutes=10) if attempt < ATTEMPTS else None
        failed = books.ledger.fail(held, BROKEN, again)
        assert (failed.state, failed.resume, failed.reason) == (State.FAILED, State.RECEIVED, BROKEN)
        assert books.idle(State.RECEIVED)
        books.clock.jump(minutes=10)
    books.clock.jump(days=30)
    assert books.idle(State.RECEIVED)

    books.ledger.retry(number, "Li")

    assert books.claim(State.RECEIVED).attempts == 1


def test_a_study_that_ends_its_workers_is_set_aside(books: Books) -> None:
    books.study()
    for _ in range(ATTEMPTS):
        books.claim(State.RECEIVED)
        assert books.ledger.give_up(ATTEMPTS) == []
        books.clock.jump(minutes=11)
    assert books.idle(State.RECEIVED)

    (version,) = books.ledger.give_up(ATTEMPTS)

    assert (version.state, version.next_try_at) == (State.FAILED, None)
    assert version.reason == "3 workers ended while they had it"
    assert books.ledger.give_up(ATTEMPTS) == []


def test_a_look_that_came_too_early_is_no_attempt(books: Books) -> None:
    books.study()
    for _ in range(2 * ATTEMPTS):
        books.ledger.postpone(books.claim(State.RECEIVED), books.clock() + timedelta(minutes=10))
        assert books.idle(State.RECEIVED)
        books.clock.jump(minutes=10)

    assert books.claim(State.RECEIVED).attempts == 1


def test_what_a_dead_process_held_is_given_back_at_once_and_counted(books: Books) -> None:
    books.study()
    dead = books.claim(State.RECEIVED, "host:boot:1:2")
    assert books.ledger.owners() == ["host:boot:1:2"]

    books.ledger.bury("host:boot:1:2")

    assert books.claim(State.RECEIVED, "heir").attempts == 2
    with pytest.raises(LeaseLostError):
        books.ledger.finish(dead)


def test_a_commit_whose_answer_was_lost_is_recorded_once(books: Books) -> None:
    books.study()
    held = books.claim(State.RECEIVED)
    books.ledger.finish(held, {"instances": 25})

    again = books.ledger.finish(held, {"instances": 25})

    assert again.state == State.COMPLETE
    assert _recorded(books, State.COMPLETE) == 1


def test_a_ledger_that_is_gone_for_a_while_is_waited_for(books: Books, ledger_url: str) -> None:
    books.study()
    engine = open_database(ledger_url)
    gone_until = time.monotonic() + 0.4

    @event.listens_for(engine, "before_cursor_execute")
    def _gone(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        if time.monotonic() < gone_until:
            raise OperationalError(statement, None, Exception("server closed the connection unexpectedly"))

    version = Ledger(engine, books.clock, patience_s=20).claim(State.RECEIVED, "patient", LEASE, ATTEMPTS)
    assert version is not None
    gone_until = time.monotonic() + 20

    with pytest.raises(LedgerLostError, match="locked or gone for 0 s; see that the database runs"):
        Ledger(engine, books.clock, patience_s=0.1).finish(version)
    engine.dispose()


def test_a_sqlite_file_that_another_program_locks_is_waited_for(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparcc_pipeline.app.ledger.database.SQLITE_BUSY_MS", 20)
    engine = open_database(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    books = Books(Ledger(engine, Clock(), patience_s=20), Clock())
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    freed = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    freed.start()

    assert books.study().state == State.RECEIVED

    freed.join()
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerLostError):
        Ledger(engine, Clock(), patience_s=0.1).claim(State.RECEIVED, "hasty", LEASE, ATTEMPTS)
    other.close()
    engine.dispose()


def test_a_postgresql_server_that_stops_and_starts_again_is_waited_for(cluster: Cluster, ledger_template: str) -> None:
    engine = open_database(cluster.url(ledger_template))
    books = Books(Ledger(engine, Clock(), patience_s=60), Clock())
    books.study()
    held = books.claim(State.RECEIVED)
    cluster.stop()
    started = threading.Thread(target=cluster.start)
    started.start()

    assert books.ledger.finish(held).state == State.COMPLETE

    started.join()
    assert _recorded(books, State.COMPLETE) == 1
    engine.dispose()
