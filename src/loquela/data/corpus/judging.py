"""One document held to `data.validation`, and what is recorded of it whatever the outcome."""

from __future__ import annotations

from dataclasses import dataclass

from loquela.artifacts.attributes import Attributes, SignalValue
from loquela.core.text.words import Words
from loquela.data.corpus.drafts import Draft, document_id
from loquela.data.tally import Tally, utf8_size
from loquela.data.validation.checker import DocumentChecker
from loquela.data.validation.verdict import Verdict
from loquela.recipe.validation_section import ValidationSection

NOTHING_LEFT = "nothing_left"


@dataclass(frozen=True)
class Judgement:
    """The document after the checks, and why it is dropped (None: it is not), with the signal that failed.

    A dropped document has the text that may be shown: without the personal data that was looked for. `size_bytes` is
    what it had in UTF-8 when it came in.
    """

    draft: Draft
    size_bytes: int
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None


class Judge:
    """Holds documents to one section, counted under "validate"; a section that asks nothing changes nothing.

    Raises what `DocumentChecker` raises.
    """

    def __init__(self, section: ValidationSection) -> None:
        self._section = section
        self._checker = DocumentChecker(section) if section.asks_anything else None

    def judge(self, draft: Draft, tally: Tally) -> Judgement:
        """The verdict on one document."""
        size = utf8_size(draft.text)
        tally.enter("validate", size, 1)
        if self._checker is None:
            tally.leave("validate", size, 1)
            return Judgement(draft, size)
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
            attributes.id = draft.id
            return Judgement(
                draft.model_copy(update={**known, "text": self._shown(verdict)}), size, reason, value, threshold
            )
        after = utf8_size(verdict.text)
        for change, size_bytes in verdict.changes.items():
            tally.change("validate", change, size_bytes)
        changed = draft.model_copy(update={**known, "id": attributes.id, "text": verdict.text})
        if not verdict.text.strip():
            return Judgement(changed, after, NOTHING_LEFT)
        tally.leave("validate", after, 1)
        return Judgement(changed, after)

    def _shown(self, verdict: Verdict) -> str:
        """The text of a dropped document as reports may show it."""
        if self._section.pii.action == "pseudonymize":
            return verdict.text
        personal = [span for span in verdict.spans if span.kind in self._section.pii.kinds]
        text = verdict.text
        for span in sorted(personal, key=lambda span: -span.start):
            text = f"{text[: span.start]}<{span.kind}>{text[span.end :]}"
        return text
