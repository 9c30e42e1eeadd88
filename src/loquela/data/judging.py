"""One document held to `data.validation`, and what is recorded of it whatever the outcome."""

from __future__ import annotations

from dataclasses import dataclass

from loquela.artifacts.attributes import Attributes, SignalValue
from loquela.data.drafts import Draft, document_id
from loquela.data.tally import Tally, utf8_size
from loquela.data.validation.checker import DocumentChecker
from loquela.data.words import Words
from loquela.recipe.validation_section import ValidationSection

NOTHING_LEFT = "nothing_left"


@dataclass(frozen=True)
class Judgement:
    """The document after the checks, and why it is dropped (None: it is not), with the signal that failed."""

    draft: Draft
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None


class Judge:
    """Holds documents to one section, counted under "validate"; a section that asks nothing changes nothing.

    Raises what `DocumentChecker` raises.
    """

    def __init__(self, section: ValidationSection) -> None:
        self._checker = DocumentChecker(section) if section.asks_anything else None

    def judge(self, draft: Draft, tally: Tally) -> Judgement:
        """The verdict on one document."""
        size = utf8_size(draft.text)
        tally.enter("validate", size, 1)
        if self._checker is None:
            tally.leave("validate", size, 1)
            return Judgement(draft)
        verdict = self._checker.check(draft.text, Words(draft.text), draft.language)
        signals = [
            SignalValue(name=s.name, value=s.value, threshold=s.threshold, passed=s.passed) for s in verdict.signals
        ]
        attributes = Attributes(
            id=document_id(verdict.text),
            source=draft.source,
            status=verdict.status,
            score=verdict.score,
            language=verdict.language,
            signals=signals,
            reasons=list(verdict.reasons),
            changes=verdict.changes,
        )
        known = {"language": draft.language or verdict.language, "attributes": attributes}
        if verdict.status == "failed":
            reason = verdict.reasons[0]
            failed = next((signal for signal in signals if signal.name == reason), None)
            value, threshold = (None, None) if failed is None else (failed.value, failed.threshold)
            # Dropped as it came in: what would have been changed does not matter any more.
            return Judgement(draft.model_copy(update=known), reason, value, threshold)
        after = utf8_size(verdict.text)
        for change, size_bytes in verdict.changes.items():
            tally.change("validate", change, size_bytes)
        changed = draft.model_copy(update={**known, "id": attributes.id, "text": verdict.text})
        if not verdict.text.strip():
            return Judgement(changed, NOTHING_LEFT)
        tally.leave("validate", after, 1)
        return Judgement(changed)
