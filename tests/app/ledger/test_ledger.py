"""Uploads become one study however they come; people decide; changes are due whichever visit comes first."""

from __future__ import annotations

import pytest

from sparcc_pipeline.app.ledger.leases import LeaseLostError
from sparcc_pipeline.app.ledger.ledger import FileRecord, StudyVersion, UploadRecord
from sparcc_pipeline.app.ledger.states import ChangeState, State, UploadState
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message

from .conftest import ATTEMPTS, LEASE, Driver

WHY = Message("{count} days", count=3)


def _upload(driver: Driver, name: str, site: str = "S01") -> None:
    driver.ledger.record_upload(
        UploadRecord(name, site, "inbox", [FileRecord(f"bytes of {name}", 5, f"sop of {name}")])
    )


def _come(driver: Driver, upload: str, content: str, study: str = "study", site: str = "S01") -> StudyVersion:
    """Record an upload that holds (more of) a study."""
    _upload(driver, upload, site)
    return driver.ledger.record_study(site, study, content, [upload])


def test_the_same_upload_twice_is_one_study(driver: Driver) -> None:
    first = _come(driver, "upload-1", "content")
    again = _come(driver, "upload-2", "content")
    same = _come(driver, "upload-2", "content")

    assert first.id == again.id == same.id
    assert driver.ledger.uploads_of(first.id) == ["upload-1", "upload-2"]
    assert [each.files for each in driver.ledger.uploads()] == [1, 1]
    assert driver.ledger.instances(["upload-1", "upload-2"]) == 2


def test_two_sites_with_the_same_content_and_study_stay_two_studies(driver: Driver) -> None:
    one = _come(driver, "upload-1", "content", site="S01")
    other = _come(driver, "upload-2", "content", site="S02")

    assert one.id != other.id
    assert other.supersedes is None


def test_a_study_grows_until_it_is_complete_and_then_has_a_new_version(driver: Driver) -> None:
    first = _come(driver, "upload-1", "half")
    grown = _come(driver, "upload-2", "whole")
    assert grown.id == first.id
    driver.ledger.assign(first.id, "P1", "baseline")
    driver.ledger.finish(driver.claim(State.RECEIVED))

    more = driver.ledger.assign(_come(driver, "upload-3", "more").id, "P1", "baseline")

    assert (more.version, more.supersedes, more.state) == (2, first.id, State.RECEIVED)
    assert more.result_folder == "results/S01/P1/baseline/v2"
    assert driver.ledger.version(first.id).superseded_by == more.id
    assert driver.idle(State.COMPLETE), "a version that was superseded goes no further"
    assert [each.id for each in driver.ledger.versions(current=True)] == [more.id]
    assert driver.ledger.counts() == {("S01", State.RECEIVED): 1}


def test_a_worker_that_checks_a_study_while_it_grows_cannot_record_it_as_complete(driver: Driver) -> None:
    _come(driver, "upload-1", "half")
    looked_at = driver.claim(State.RECEIVED)
    _come(driver, "upload-2", "whole")

    with pytest.raises(LeaseLostError):
        driver.ledger.finish(looked_at)

    assert driver.claim(State.RECEIVED).content_key == "whole"


def test_a_study_quarantined_for_missing_slices_continues_when_they_come(driver: Driver) -> None:
    _come(driver, "upload-1", "half")
    driver.ledger.quarantine(driver.claim(State.RECEIVED), WHY)

    _come(driver, "upload-2", "whole")

    assert driver.claim(State.RECEIVED).reason is None


def test_assigning_a_visit_counts_its_versions_and_is_recorded_once(driver: Driver) -> None:
    one = driver.ledger.assign(_come(driver, "upload-1", "one", "study-1").id, "P1", "week12")
    other = driver.ledger.assign(_come(driver, "upload-2", "two", "study-2").id, "P1", "week12")

    assert driver.ledger.assign(one.id, "P1", "week12") == one
    assert (one.version, other.version) == (1, 2)
    assert other.name == "S01/P1/week12 v2"
    assert [each.id for each in driver.ledger.rivals(other)] == [one.id]
    assert len(driver.ledger.history(event="assigned")) == 2


def test_a_study_released_from_quarantine_continues_where_it_was_held(driver: Driver) -> None:
    number = driver.score().id
    driver.ledger.finish(driver.claim(State.SCORED))
    held = driver.study("b", visit="week12")
    driver.ledger.finish(driver.claim(State.RECEIVED))
    quarantined = driver.ledger.quarantine(driver.claim(State.COMPLETE), WHY, {"waits_for": "burnt_in"})
    assert (quarantined.state, quarantined.reason, quarantined.resume) == (State.QUARANTINED, WHY, State.COMPLETE)
    assert driver.idle(State.COMPLETE)

    released = driver.ledger.release(held.id, "no name in the picture", "Li")

    assert released.state == State.COMPLETE
    expected = {"by": "Li", "reason": "no name in the picture", "at": driver.clock().isoformat()}
    assert released.facts["released"] == expected
    assert released.facts["waits_for"] == "burnt_in"
    assert driver.ledger.history(held.id)[-1].by == "Li"
    for wrong in (held.id, number, 99):
        with pytest.raises(ConfigError, match="expected"):
            driver.ledger.release(wrong, "again", "Li")


def test_a_person_can_retry_a_rejected_study_and_reject_a_waiting_one(driver: Driver) -> None:
    number = driver.study().id
    driver.ledger.reject(driver.claim(State.RECEIVED), WHY)
    with pytest.raises(ConfigError, match="in quarantine, or one that failed"):
        driver.ledger.refuse(number, "no", "Li")
    driver.ledger.retry(number, "Li")
    with pytest.raises(ConfigError, match=r"found 1 \(S01/P1/baseline v1\) received; nothing was changed"):
        driver.ledger.retry(number, "Li")
    driver.ledger.quarantine(driver.claim(State.RECEIVED), WHY)

    refused = driver.ledger.refuse(number, "of another trial", "Li")

    assert (refused.state, refused.reason) == (State.REJECTED, "rejected by Li: of another trial")
    assert driver.idle(State.RECEIVED)


def test_a_person_decides_which_of_two_studies_of_a_visit_counts_and_may_reverse_it(driver: Driver) -> None:
    old = driver.score()
    new = driver.study("rescan")
    driver.ledger.quarantine(driver.claim(State.RECEIVED), WHY)

    driver.ledger.supersede(old.id, new.id, "Li")
    assert driver.ledger.version(new.id).state == State.RECEIVED
    assert driver.idle(State.SCORED)
    driver.ledger.supersede(new.id, old.id, "Li")

    assert driver.ledger.version(old.id).superseded_by is None
    assert driver.ledger.version(new.id).superseded_by == old.id
    third = driver.study("third")
    elsewhere = driver.study("elsewhere", visit="week12")
    for pair in ((old.id, old.id), (old.id, elsewhere.id), (new.id, third.id)):
        with pytest.raises(ConfigError):
            driver.ledger.supersede(*pair, "Li")


def test_uploads_that_hold_no_study_wait_with_their_reason(driver: Driver) -> None:
    _upload(driver, "upload-1")
    for _ in range(2):
        driver.ledger.close_upload("upload-1", UploadState.REJECTED, WHY)
    (waiting,) = driver.ledger.uploads(UploadState.REJECTED)
    assert waiting.reason == WHY

    assert driver.ledger.release_upload("upload-1", "unpacked by hand", "Li").state == UploadState.RECEIVED

    for wrong in ("upload-1", "upload-2"):
        with pytest.raises(ConfigError):
            driver.ledger.release_upload(wrong, "again", "Li")
    assert [each.event for each in driver.ledger.history()] == ["received", "moved", "moved"]


@pytest.mark.parametrize("order", [("baseline", "week12"), ("week12", "baseline")])
def test_the_change_is_due_whichever_visit_comes_first(driver: Driver, order: tuple[str, str]) -> None:
    for visit in order:
        assert driver.ledger.plan_changes("baseline") == 0
        driver.score(visit, visit=visit)
    driver.score("stranger", participant="P2", visit="week12")
    driver.score("same code elsewhere", site="S02", visit="week12")

    assert [driver.ledger.plan_changes("baseline") for _ in range(2)] == [1, 0]
    held = driver.ledger.claim_change("worker", LEASE, ATTEMPTS)
    assert held is not None
    assert driver.ledger.claim_change("other", LEASE, ATTEMPTS) is None
    assert [each.visit for each in driver.ledger.pair_of(held)] == ["baseline", "week12"]
    assert held.change_folder == "changes/S01/P1/baseline-v1_week12-v1"
    driver.ledger.finish_change(held, {"total": -4})

    (change,) = driver.ledger.changes()
    assert (change.state, change.facts) == (ChangeState.MADE, {"total": -4})


def test_a_new_version_of_a_visit_is_compared_anew_and_the_old_comparison_stays(driver: Driver) -> None:
    baseline = driver.score("baseline")
    driver.score("week12", visit="week12")
    driver.ledger.plan_changes("baseline")
    better = driver.score("rescan")
    driver.ledger.supersede(baseline.id, better.id, "Li")

    driver.ledger.plan_changes("baseline")
    held = driver.ledger.claim_change("worker", LEASE, ATTEMPTS)

    assert held is not None
    assert held.baseline_id == better.id
    driver.ledger.refuse_change(held, WHY, {})
    assert driver.ledger.claim_change("worker", LEASE, ATTEMPTS) is None
    assert [each.state for each in driver.ledger.changes()] == [ChangeState.DUE, ChangeState.REFUSED]


def test_a_change_is_leased_as_a_study_is(driver: Driver) -> None:
    driver.score("baseline")
    driver.score("week12", visit="week12")
    driver.ledger.plan_changes("baseline")
    for _ in range(ATTEMPTS):
        dead = driver.ledger.claim_change("dead", LEASE, ATTEMPTS)
        assert dead is not None
        driver.clock.jump(minutes=11)
    assert driver.ledger.claim_change("heir", LEASE, ATTEMPTS) is None
    assert driver.ledger.give_up_changes(ATTEMPTS) == 1

    assert dead is not None
    with pytest.raises(LeaseLostError):
        driver.ledger.finish_change(dead, {})
    (failed,) = driver.ledger.changes()
    assert (failed.state, failed.reason) == (ChangeState.FAILED, "3 workers ended while they had it")
    assert failed.lease_owner is None


def test_a_dead_process_releases_studies_and_changes_alike(driver: Driver) -> None:
    driver.score("baseline")
    follow_up = driver.score("week12", visit="week12")
    driver.ledger.plan_changes("baseline")
    change = driver.ledger.claim_change("dead", LEASE, ATTEMPTS)
    study = driver.claim(State.SCORED, "dead")
    assert change is not None
    assert driver.ledger.owners() == ["dead"]

    driver.ledger.release_leases_of("dead")

    released = [each for each in driver.ledger.history() if each.event == "given back"]
    assert [(each.version_id, each.change_id) for each in released] == [(study.id, None), (follow_up.id, change.id)]
    heir = driver.ledger.claim_change("heir", LEASE, ATTEMPTS)
    assert heir is not None and (heir.id, heir.claim, heir.attempts) == (change.id, change.claim + 1, 2)
    assert not driver.ledger.renew_change(change, LEASE)


def test_a_change_released_without_a_result_costs_no_attempt(driver: Driver) -> None:
    driver.score("baseline")
    driver.score("week12", visit="week12")
    driver.ledger.plan_changes("baseline")
    for _ in range(2 * ATTEMPTS):
        held = driver.ledger.claim_change("worker", LEASE, ATTEMPTS)
        assert held is not None and held.attempts == 1
        driver.ledger.release_change(held)
    assert held is not None
    driver.ledger.release_change(held)

    assert len([each for each in driver.ledger.history() if each.event == "given back"]) == 2 * ATTEMPTS
