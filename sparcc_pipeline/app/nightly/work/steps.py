"""The real steps of a night; each is imported when a night begins."""

from __future__ import annotations

from sparcc_pipeline.app.nightly.work.night import Steps


def real_steps() -> Steps:
    """Return the steps of a night."""
    from sparcc_pipeline.app.batch.task import score_task
    from sparcc_pipeline.app.nightly.delivery.deliver import deliver
    from sparcc_pipeline.app.nightly.intake.steps import check_complete, deidentify, take_in
    from sparcc_pipeline.app.nightly.work.follow_up import change_task

    return Steps(
        take_in=take_in,
        check_complete=check_complete,
        deidentify=deidentify,
        score=score_task,
        compare=change_task,
        deliver=deliver,
    )
