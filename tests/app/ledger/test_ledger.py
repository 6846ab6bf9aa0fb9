"""What comes in is one study however it comes; people's decisions; changes whichever visit comes first."""

from __future__ import annotations

import pytest

from sparcc_pipeline.app.ledger.leases import LeaseLostError
from sparcc_pipeline.app.ledger.ledger import FileRecord, StudyVersion, UploadRecord
from sparcc_pipeline.app.ledger.states import ChangeState, State, UploadState
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message

from .conftest import ATTEMPTS, LEASE, Books

WHY = Message("{count} days", count=3)


def _upload(books: Books, name: str, site: str = "S01") -> None:
    books.ledger.record_upload(UploadRecord(name, site, "inbox", [FileRecord(f"bytes of {name}", 5, f"sop of {name}")]))


def _come(books: Books, upload: str, content: str, study: str = "study", site: str = "S01") -> StudyVersion:
    """An upload that holds (more of) a study."""
    _upload(books, upload, site)
    return books.ledger.record_study(site, study, content, [upload])


def test_the_same_upload_twice_is_one_study(books: Books) -> None:
    first = _come(books, "upload-1", "content")
    again = _come(books, "upload-2", "content")
    same = _come(books, "upload-2", "content")

    assert first.id == again.id == same.id
    assert books.ledger.uploads_of(first.id) == ["upload-1", "upload-2"]
    assert [each.files for each in books.ledger.uploads()] == [1, 1]
    assert books.ledger.instances(["upload-1", "upload-2"]) == 2


def test_two_sites_with_the_same_content_and_study_stay_two_studies(books: Books) -> None:
    one = _come(books, "upload-1", "content", site="S01")
    other = _come(books, "upload-2", "content", site="S02")

    assert one.id != other.id
    assert other.supersedes is None


def test_a_study_grows_until_it_is_complete_and_then_has_a_new_version(books: Books) -> None:
    first = _come(books, "upload-1", "half")
    grown = _come(books, "upload-2", "whole")
    assert grown.id == first.id
    books.ledger.assign(first.id, "P1", "baseline")
    books.ledger.finish(books.claim(State.RECEIVED))

    more = books.ledger.assign(_come(books, "upload-3", "more").id, "P1", "baseline")

    assert (more.version, more.supersedes, more.state) == (2, first.id, State.RECEIVED)
    assert more.result_folder == "results/S01/P1/baseline/v2"
    assert books.ledger.version(first.id).superseded_by == more.id
    assert books.idle(State.COMPLETE), "a version that was superseded goes no further"
    assert [each.id for each in books.ledger.versions(current=True)] == [more.id]
    assert books.ledger.counts() == {("S01", State.RECEIVED): 1}


def test_who_looks_at_a_study_while_it_grows_cannot_call_it_complete(books: Books) -> None:
    _come(books, "upload-1", "half")
    looked_at = books.claim(State.RECEIVED)
    _come(books, "upload-2", "whole")

    with pytest.raises(LeaseLostError):
        books.ledger.finish(looked_at)

    assert books.claim(State.RECEIVED).content_key == "whole"


def test_a_study_in_quarantine_for_want_of_slices_goes_on_when_they_come(books: Books) -> None:
    _come(books, "upload-1", "half")
    books.ledger.quarantine(books.claim(State.RECEIVED), WHY)

    _come(books, "upload-2", "whole")

    assert books.claim(State.RECEIVED).reason is None


def test_assigning_a_visit_counts_its_versions_and_is_said_once(books: Books) -> None:
    one = books.ledger.assign(_come(books, "upload-1", "one", "study-1").id, "P1", "week12")
    other = books.ledger.assign(_come(books, "upload-2", "two", "study-2").id, "P1", "week12")

    assert books.ledger.assign(one.id, "P1", "week12") == one
    assert (one.version, other.version) == (1, 2)
    assert other.name == "S01/P1/week12 v2"
    assert [each.id for each in books.ledger.rivals(other)] == [one.id]
    assert len(books.ledger.history(event="assigned")) == 2


def test_a_study_released_from_quarantine_goes_on_where_it_was_held(books: Books) -> None:
    number = books.score().id
    books.ledger.finish(books.claim(State.SCORED))
    held = books.study("b", visit="week12")
    books.ledger.finish(books.claim(State.RECEIVED))
    quarantined = books.ledger.quarantine(books.claim(State.COMPLETE), WHY, {"waits_for": "burnt_in"})
    assert (quarantined.state, quarantined.reason, quarantined.resume) == (State.QUARANTINED, WHY, State.COMPLETE)
    assert books.idle(State.COMPLETE)

    released = books.ledger.release(held.id, "no name in the picture", "Li")

    assert released.state == State.COMPLETE
    assert released.facts["released"] == {
        "by": "Li", "reason": "no name in the picture", "at": books.clock().isoformat(),
    }  # fmt: skip
    assert released.facts["waits_for"] == "burnt_in"
    assert books.ledger.history(held.id)[-1].by == "Li"
    for wrong in (held.id, number, 99):
        with pytest.raises(ConfigError, match="expected"):
            books.ledger.release(wrong, "again", "Li")


def test_a_rejected_study_can_be_tried_again_and_a_waiting_one_rejected(books: Books) -> None:
    number = books.study().id
    books.ledger.reject(books.claim(State.RECEIVED), WHY)
    with pytest.raises(ConfigError, match="in quarantine, or one that failed"):
        books.ledger.refuse(number, "no", "Li")
    books.ledger.retry(number, "Li")
    with pytest.raises(ConfigError, match=r"found 1 \(S01/P1/baseline v1\) received; nothing was changed"):
        books.ledger.retry(number, "Li")
    books.ledger.quarantine(books.claim(State.RECEIVED), WHY)

    refused = books.ledger.refuse(number, "of another trial", "Li")

    assert (refused.state, refused.reason) == (State.REJECTED, "rejected by Li: of another trial")
    assert books.idle(State.RECEIVED)


def test_of_two_studies_of_a_visit_a_person_says_which_counts_and_may_think_again(books: Books) -> None:
    old = books.score()
    new = books.study("rescan")
    books.ledger.quarantine(books.claim(State.RECEIVED), WHY)

    books.ledger.supersede(old.id, new.id, "Li")
    assert books.ledger.version(new.id).state == State.RECEIVED
    assert books.idle(State.SCORED)
    books.ledger.supersede(new.id, old.id, "Li")

    assert books.ledger.version(old.id).superseded_by is None
    assert books.ledger.version(new.id).superseded_by == old.id
    third = books.study("third")
    elsewhere = books.study("elsewhere", visit="week12")
    for pair in ((old.id, old.id), (old.id, elsewhere.id), (new.id, third.id)):
        with pytest.raises(ConfigError):
            books.ledger.supersede(*pair, "Li")


def test_uploads_that_hold_no_study_wait_with_their_reason(books: Books) -> None:
    _upload(books, "upload-1")
    for _ in range(2):
        books.ledger.close_upload("upload-1", UploadState.REJECTED, WHY)
    (waiting,) = books.ledger.uploads(UploadState.REJECTED)
    assert waiting.reason == WHY

    assert books.ledger.release_upload("upload-1", "unpacked by hand", "Li").state == UploadState.RECEIVED

    for wrong in ("upload-1", "upload-2"):
        with pytest.raises(ConfigError):
            books.ledger.release_upload(wrong, "again", "Li")
    assert [each.event for each in books.ledger.history()] == ["received", "moved", "moved"]


@pytest.mark.parametrize("order", [("baseline", "week12"), ("week12", "baseline")])
def test_the_change_is_due_whichever_visit_comes_first(books: Books, order: tuple[str, str]) -> None:
    for visit in order:
        assert books.ledger.plan_changes("baseline") == 0
        books.score(visit, visit=visit)
    books.score("stranger", participant="P2", visit="week12")
    books.score("same code elsewhere", site="S02", visit="week12")

    assert [books.ledger.plan_changes("baseline") for _ in range(2)] == [1, 0]
    held = books.ledger.claim_change("worker", LEASE, ATTEMPTS)
    assert held is not None
    assert books.ledger.claim_change("other", LEASE, ATTEMPTS) is None
    assert [each.visit for each in books.ledger.pair_of(held)] == ["baseline", "week12"]
    assert held.change_folder == "changes/S01/P1/baseline-v1_week12-v1"
    books.ledger.finish_change(held, {"total": -4})

    (change,) = books.ledger.changes()
    assert (change.state, change.facts) == (ChangeState.MADE, {"total": -4})


def test_a_new_version_of_a_visit_is_compared_anew_and_the_old_comparison_stays(books: Books) -> None:
    baseline = books.score("baseline")
    books.score("week12", visit="week12")
    books.ledger.plan_changes("baseline")
    better = books.score("rescan")
    books.ledger.supersede(baseline.id, better.id, "Li")

    books.ledger.plan_changes("baseline")
    held = books.ledger.claim_change("worker", LEASE, ATTEMPTS)

    assert held is not None
    assert held.baseline_id == better.id
    books.ledger.refuse_change(held, WHY, {})
    assert books.ledger.claim_change("worker", LEASE, ATTEMPTS) is None
    assert [each.state for each in books.ledger.changes()] == [ChangeState.DUE, ChangeState.REFUSED]


def test_a_change_is_leased_as_a_study_is(books: Books) -> None:
    books.score("baseline")
    books.score("week12", visit="week12")
    books.ledger.plan_changes("baseline")
    for _ in range(ATTEMPTS):
        dead = books.ledger.claim_change("dead", LEASE, ATTEMPTS)
        assert dead is not None
        books.clock.jump(minutes=11)
    assert books.ledger.claim_change("heir", LEASE, ATTEMPTS) is None
    assert books.ledger.give_up_changes(ATTEMPTS) == 1

    assert dead is not None
    with pytest.raises(LeaseLostError):
        books.ledger.finish_change(dead, {})
    assert books.ledger.changes()[0].state == ChangeState.FAILED
