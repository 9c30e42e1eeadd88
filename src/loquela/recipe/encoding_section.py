"""Recipe section `data.encoding`: what happens to bytes that are not valid UTF-8."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loquela.core.model import BoundaryModel

OnInvalid = Literal["stop", "repair", "quarantine"]


class EncodingSection(BoundaryModel):
    """Valid UTF-8 is never touched, except for mojibake; whatever is done stands in `encoding_report.json`."""

    on_invalid: OnInvalid = Field(
        "quarantine",
        description="a line or record with bytes that are no text: stop there; quarantine it (set aside with its "
        "offset); or repair it (by its own encoding, else U+FFFD)",
    )
    fallback: bool = Field(
        True, description="read a whole text that is not UTF-8 in the encoding that the evidence names"
    )
    repair_mojibake: bool = Field(
        True, description="undo UTF-8 that was read as another encoding and saved again (Ã± → ñ)"
    )
