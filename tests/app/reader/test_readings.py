"""A reading from the first save to the second opinion, as the page's script drives it."""

from __future__ import annotations

from .conftest import World

LESION = [("A", 1, "right", "upper_iliac")]


def test_a_case_is_read_locked_and_stays(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()

    locked = ann.read_and_lock(code, LESION)

    assert locked["state"] == "locked" and locked["totals"]["A"]["total"] == 1
    again = ann.script(
        "PUT", f"/api/cases/{code}/reading", {"revision": locked["revision"], "content": locked["content"]}
    )
    assert (again.status_code, again.json()["error"]["code"]) == (409, "locked")
    assert world.database.verify().sound
