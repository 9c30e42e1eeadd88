"""What is wrong with a row: raised while it is read, counted by reason, told with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field, JsonValue

from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel

PLACES_SHOWN = 5


class RowFault(Exception):
    """A row that cannot be learnt from. `reason` is the same sentence for every row of its sort, `detail` is not."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Place:
    """Where a row stands: `row` counts from 1, `line` is None where the format has no lines.

    What was made from a document has no row, but the document's id in `document`.
    """

    source: str
    row: int | None
    line: int | None = None
    document: str | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        line = "" if self.line is None else f" (line {self.line})"
        document = "" if self.row is not None or self.document is None else f", document {self.document}"
        return f"{self.source}{row}{line}{document}"


class FaultCount(BoundaryModel):
    """How many rows had one fault, and where the first of them stand."""

    reason: str
    rows: int = 0
    examples: list[str] = Field(default_factory=list, description="place and detail of the first few")


class FaultReport:
    """Collects the faults of all sources, in the order in which they were met."""

    def __init__(self) -> None:
        self._counts: dict[str, FaultCount] = {}
        self._first: tuple[Place, RowFault] | None = None

    def add(self, place: Place, fault: RowFault) -> None:
        """Count one row's fault."""
        self._first = self._first or (place, fault)
        count = self._counts.setdefault(fault.reason, FaultCount(reason=fault.reason))
        count.rows += 1
        if len(count.examples) < PLACES_SHOWN:
            # The model checks assignments, not what is appended to a list.
            count.examples.append(f"{place}: {fault}")

    @property
    def counts(self) -> list[FaultCount]:
        """Every reason met, the most frequent first."""
        return sorted(self._counts.values(), key=lambda count: (-count.rows, count.reason))

    def stop(self) -> None:
        """DataError(CORRUPT_DATA) with the first fault's place and the counts of all; nothing when there is none."""
        if self._first is None:
            return
        place, fault = self._first
        rows = sum(count.rows for count in self._counts.values())
        others = "" if rows == 1 else f"; rows with faults: {told(self.counts)}"
        raise DataError(
            ErrorCode.CORRUPT_DATA,
            f"{place} cannot be learnt from: {fault}{others}",
            "mend the rows, or leave them out, counted: examples.on_bad_row: drop",
            details={"rows": rows, "faults": [_as_json(count) for count in self.counts]},
        )


def told(counts: Sequence[FaultCount]) -> str:
    """The counts in one line."""
    return ", ".join(f"{count.rows} × {count.reason}" for count in counts)


def _as_json(count: FaultCount) -> JsonValue:
    dumped: JsonValue = count.model_dump(mode="json")
    return dumped
