"""One training time point: a reading beside the known items.

Contents: `TrainingVisit`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparcc_pipeline.app.reader.readings.content import ITEMS, VisitReading
from sparcc_pipeline.app.reader.readings.views import KnownDifference
from sparcc_pipeline.sparcc.slices import SLICES_SCORED


@dataclass(frozen=True)
class TrainingVisit:
    """The reading and the known items of one training time point."""

    reading: VisitReading
    known: dict[tuple[int, str, str], int | None]

    @property
    def judged(self) -> list[int]:
        """The slices 1-6 that are read, so that their feedback is shown."""
        read = {joint.slice for joint in self.reading.joints if joint.read}
        unread = {joint.slice for joint in self.reading.joints if not joint.read}
        return sorted(read - unread)

    @property
    def is_read(self) -> bool:
        """True if every slice is read."""
        return len(self.judged) == SLICES_SCORED

    @property
    def total(self) -> int | None:
        """Total of the reading; None if nothing could be evaluated."""
        return self.reading.score.total if self.reading.score.evaluable_maximum else None

    @property
    def known_total(self) -> int | None:
        """Total of the known items."""
        values = [value for value in self.known.values() if value is not None]
        return sum(values) if values else None

    @property
    def pair(self) -> tuple[float, float] | None:
        """Known total and total of the reading; None until every slice is read, or if one is missing."""
        known, read = self.known_total, self.total
        return (float(known), float(read)) if self.is_read and known is not None and read is not None else None

    @property
    def differences(self) -> list[KnownDifference]:
        """Items of read slices with another value than known.

        Once all are read, a known slice outside the six slices read counts as 0.
        """
        judged = set(self.judged)
        read: dict[tuple[int, str, str], int | None] = {
            (self.reading.first + joint.slice - 1, joint.joint, item): joint.value(item)
            for joint in self.reading.joints
            for item in ITEMS
            if joint.slice in judged
        }
        elsewhere = {place for place, value in self.known.items() if value} if self.is_read else set()
        return [
            KnownDifference.model_validate(
                {
                    "slice_index": index,
                    "slice": index - self.reading.first + 1,
                    "joint": joint,
                    "item": item,
                    "reading": read.get((index, joint, item), 0),
                    "known": self.known.get((index, joint, item), 0),
                }
            )
            for index, joint, item in sorted(set(read) | elsewhere)
            if read.get((index, joint, item), 0) != self.known.get((index, joint, item), 0)
        ]
