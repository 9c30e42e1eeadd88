"""Counts examples while they flow; the counts add up or the stage stops."""

from __future__ import annotations

from loquela.artifacts.examples_ledger import Arrow, Change, ExamplesLedger, SplitCount

# Rows go into the first step, examples into all others.
SHOWN = 5
STEPS = ("convert", "special_text", "deduplicate", "augment", "template", "overlong", "split")


class ExamplesTally:
    """Collects the counts while examples flow."""

    def __init__(self) -> None:
        self._steps = {name: Arrow(arrow=name) for name in STEPS}
        self._changes: dict[str, dict[str, Change]] = {name: {} for name in STEPS}

    def enter(self, step: str, items: int = 1, tokens: int = 0, learnt_tokens: int = 0) -> None:
        """That much goes into `step`."""
        found = self._steps[step]
        found.items_in += items
        found.tokens_in += tokens
        found.learnt_tokens_in += learnt_tokens

    def leave(self, step: str, items: int = 1, tokens: int = 0, learnt_tokens: int = 0) -> None:
        """That much comes out of `step`."""
        found = self._steps[step]
        found.items_out += items
        found.tokens_out += tokens
        found.learnt_tokens_out += learnt_tokens

    def change(
        self, step: str, reason: str, items: int = 0, tokens: int = 0, learnt_tokens: int = 0, place: str = ""
    ) -> None:
        """`reason` added or removed that much inside `step`; `place` tells where it happened."""
        if not (items or tokens or learnt_tokens):
            return
        change = self._change(step, reason)
        change.items += items
        change.tokens += tokens
        change.learnt_tokens += learnt_tokens
        change.touched += 1
        if place and len(change.examples) < SHOWN:
            change.examples.append(place)

    def touch(self, step: str, reason: str) -> None:
        """`reason` concerned an item inside `step`, of which nothing was added or taken away."""
        self._change(step, reason).touched += 1

    def _change(self, step: str, reason: str) -> Change:
        return self._changes[step].setdefault(reason, Change(reason=reason))

    def ledger(self, splits: dict[str, SplitCount]) -> ExamplesLedger:
        """The counts, checked; InternalError(INTERNAL) when they do not add up."""
        arrows = [
            arrow.model_copy(update={"changes": list(self._changes[name].values())})
            for name, arrow in self._steps.items()
        ]
        ledger = ExamplesLedger(arrows=arrows, splits=splits)
        ledger.check()
        return ledger
