"""One document held to `data.validation`: every rule is asked and told, whatever the first one says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from loquela.core.text.words import Words
from loquela.data.tally import utf8_size
from loquela.data.validation import c4, fineweb, gopher_quality, gopher_repetition
from loquela.data.validation.byte_counts import ByteCounts
from loquela.data.validation.language import LanguageIdentifier
from loquela.data.validation.layout import Layout
from loquela.data.validation.patterns import PatternSet
from loquela.data.validation.pii import Pseudonyms, find_pii
from loquela.data.validation.redaction import redacted
from loquela.data.validation.sanitize import has_surrogate, sanitized
from loquela.data.validation.verdict import Signal, Verdict, judged
from loquela.recipe.quality_rules import RuleSet
from loquela.recipe.validation_section import ValidationSection

QUALITY_SCORE, LANGUAGE, EMPTIED, SURROGATE = "quality_score", "language", "nothing_left", "unpaired_surrogate"


class DocumentChecker:
    """Holds documents to one section. Patterns and the language model are made once; one thread at a time."""

    def __init__(self, section: ValidationSection) -> None:
        """Raises RecipeError(CONFIG_INVALID) for an unusable pattern, ResourceError (MISSING_EXTRA, AUTH_FAILED)."""
        self.section = section
        self._patterns = PatternSet(section.patterns)
        self._pseudonyms = Pseudonyms(section.pii) if section.pii.kinds else None
        self._identifier = LanguageIdentifier()
        self._byte_counts = ByteCounts()

    def check(self, text: str, words: Words, language: str | None) -> Verdict:
        """What is to be said of `text`, whose words are `words`, in the declared `language` (None: undeclared)."""
        cleaned, changes = sanitized(text, self.section.sanitize)
        if has_surrogate(cleaned):
            return Verdict("failed", cleaned, 0.0, [], [SURROGATE], language, changes)
        layout = Layout(words if cleaned is text else Words(cleaned), unwrap=self.section.unwrap)
        if self.section.sanitize.c4_lines:
            kept = c4.without_rejected_lines(layout)
            if kept != cleaned:
                changes["c4_lines"] = utf8_size(kept) - utf8_size(cleaned)
                cleaned, layout = kept, Layout(Words(kept), unwrap=self.section.unwrap)
        verdict = Verdict("passed", cleaned, 1.0, [], [], language, changes)
        if changes and not cleaned.strip():
            return replace(verdict, status="failed", score=0.0, reasons=[EMPTIED])
        for step in (self._identified, self._graded, self._prohibited, self._personal):
            verdict = step(verdict, layout)
        return verdict

    def _identified(self, verdict: Verdict, layout: Layout) -> Verdict:
        section = self.section
        if not section.languages:
            return verdict
        language, confidence = self._identifier.identify(layout.text)
        known = language in section.languages and confidence >= section.min_confidence
        signal = Signal(LANGUAGE, confidence, section.min_confidence, known)
        verdict = replace(verdict, language=language, signals=[*verdict.signals, signal])
        return verdict if known else verdict.blamed([LANGUAGE], drop=section.on_other_language == "drop")

    def _graded(self, verdict: Verdict, layout: Layout) -> Verdict:
        section = self.section
        if not section.rule_sets and not section.min_quality_score:
            return verdict
        values: dict[str, float] = {}
        for rule_set in section.rule_sets or ["basic"]:
            values |= self._measured(rule_set, layout, verdict.language)
        signals, score = judged(values, section.thresholds)
        # Without rule sets only the score decides: the rules of `basic` are what it is made of.
        reasons = [signal.name for signal in signals if not signal.passed and section.rule_sets]
        if section.min_quality_score:
            signals.append(Signal(QUALITY_SCORE, score, section.min_quality_score, score >= section.min_quality_score))
            reasons += [QUALITY_SCORE] if score < section.min_quality_score else []
        verdict = replace(verdict, score=score, signals=[*verdict.signals, *signals])
        return verdict.blamed(reasons, drop=section.on_low_quality == "drop")

    def _measured(self, rule_set: RuleSet, layout: Layout, language: str | None) -> dict[str, float]:
        match rule_set:
            case "basic":
                return self._byte_counts.values(layout.text.encode("utf-8"))
            case "gopher_quality":
                return gopher_quality.measure(layout, language)
            case "gopher_repetition":
                return gopher_repetition.measure(layout)
            case "c4":
                return c4.measure(layout)
            case "fineweb":
                return fineweb.measure(layout)

    def _prohibited(self, verdict: Verdict, layout: Layout) -> Verdict:
        if not self.section.patterns:
            return verdict
        matching = self._patterns.matching(verdict.text.encode("utf-8"))
        for index, pattern in enumerate(self.section.patterns):
            name = f"pattern.{pattern.name}"
            data = verdict.text.encode("utf-8") if index in matching else b""
            places = self._patterns.spans(index, data) if data else []
            verdict = replace(verdict, signals=[*verdict.signals, Signal(name, len(places), 0, not places)])
            if places and pattern.action == "redact":
                verdict = redacted(verdict, name, data, places, f"<{pattern.name}>")
            elif places:
                verdict = verdict.blamed([name], drop=pattern.action == "drop")
        return verdict

    def _personal(self, verdict: Verdict, layout: Layout) -> Verdict:
        if self._pseudonyms is None:
            return verdict
        options = self.section.pii
        spans = find_pii(verdict.text, options.kinds)
        counts = Counter(span.kind for span in spans)
        signals = [Signal(f"pii.{kind}", counts[kind], 0, not counts[kind]) for kind in options.kinds]
        verdict = replace(verdict, signals=[*verdict.signals, *signals], spans=[*verdict.spans, *spans])
        if options.action != "pseudonymize":
            return verdict.blamed([f"pii.{kind}" for kind in counts], drop=options.action == "drop")
        changes = dict(verdict.changes)
        for span in spans:
            found = verdict.text[span.start : span.end]
            size = utf8_size(self._pseudonyms.of(span.kind, found)) - utf8_size(found)
            changes[f"pii.{span.kind}"] = changes.get(f"pii.{span.kind}", 0) + size
        return replace(verdict, text=self._pseudonyms.replace(verdict.text, spans), changes=changes)
