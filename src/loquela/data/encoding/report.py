"""What was found out about the encoding of one object, and what was done about it."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel

MOST_PLACES = 100


class InvalidPlace(BoundaryModel):
    """Bytes that are no text: `offset` in the (decompressed) object, `line` from 1, the bytes in hexadecimal."""

    offset: int
    line: int | None
    bytes_hex: str
    reason: str
    action: str = Field(description="quarantined, replaced by U+FFFD, or the encoding that its line was read in")


class EncodingReport(BoundaryModel):
    """Of one object. `repaired` counts lines or records by what was done, `quarantined` those set aside.

    `invalid` holds the first 100 places of `invalid_count`. `confidence` is 1 where the encoding is proven: by the
    bytes themselves (strict UTF-8, a byte order mark), not by statistics.
    """

    object: str
    encoding: str = "utf-8"
    evidence: str = "valid UTF-8"
    confidence: float = Field(1.0, ge=0, le=1)
    invalid: list[InvalidPlace] = Field(default_factory=list)
    invalid_count: int = 0
    repaired: dict[str, int] = Field(default_factory=dict)
    quarantined: int = 0
    notes: dict[str, int] = Field(default_factory=dict)

    def found_invalid(self, place: InvalidPlace) -> None:
        """Count `place`, and keep it if it is among the first."""
        self.invalid_count += 1
        if len(self.invalid) < MOST_PLACES:
            self.invalid.append(place)

    def count_repaired(self, how: str, lines: int = 1) -> None:
        """`lines` lines or records were repaired by `how`."""
        self.repaired[how] = self.repaired.get(how, 0) + lines

    def note(self, what: str, count: int = 1) -> None:
        """Something else worth knowing happened `count` times."""
        self.notes[what] = self.notes.get(what, 0) + count

    @property
    def untouched(self) -> bool:
        """The text is what the bytes say in plain UTF-8."""
        return self.encoding == "utf-8" and not (self.invalid_count or self.repaired or self.quarantined)
