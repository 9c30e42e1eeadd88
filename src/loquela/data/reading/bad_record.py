"""Why one record cannot be used; raised while it is read and caught where it is set aside."""

from __future__ import annotations

UNDECODABLE = "undecodable_record_quarantined"
CORRUPT = "corrupt_record_quarantined"
TOO_LONG = "too_long_record_quarantined"
WITHOUT_TEXT = "record_without_text_quarantined"


class BadRecord(Exception):
    """`kind` is the reason in the ledger."""

    def __init__(self, reason: str, kind: str = CORRUPT) -> None:
        super().__init__(reason)
        self.kind = kind
