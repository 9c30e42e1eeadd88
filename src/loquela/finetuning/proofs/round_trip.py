"""The tokenizer gives back every text of the rows, and no token of it lies outside the base's embedding."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import JsonValue

from loquela.artifacts.base import BaseIdentity
from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.renderings import Reference, Renderings
from loquela.finetuning.proofs.rows_subject import RowsSubject, ShownSequence
from loquela.tokenizers.contract import JSON_NAME

NAME = "tokenizer_round_trip"
SHOWN = 40


@dataclass
class _Count:
    texts: int = 0
    normalized: int = 0
    lost: list[str] = field(default_factory=list)


def prove_round_trip(subject: RowsSubject, renderings: Renderings, reference: Reference) -> Proof:
    """Text → tokens → text over the rows (2 000 evenly drawn where there are more); sizes of vocabulary and embedding.

    A tokenizer that normalises (NFC, say) gives back what it normalised to; such texts are counted. What is lost beyond
    that fails, as does a vocabulary that is not the one that rows were made with, or larger than the embedding.
    """
    count = _Count()
    for shown in subject.drawn:
        _look(subject, renderings, shown, count)
    identity = subject.base.identity
    largest = max((int(shown.ids.max()) for shown in subject.sequences if len(shown.ids)), default=-1)
    numbers: dict[str, JsonValue] = {
        "texts": count.texts,
        "normalised": count.normalized,
        "lost": len(count.lost),
        "vocabulary": subject.tokenizer.vocab_size,
        "vocabulary_of_transformers": len(reference),
        "embedding_rows": identity.vocab_size,
        "largest_token": largest,
    }
    fault = _wrong_size(subject, len(reference), largest, identity) or (count.lost[0] if count.lost else None)
    changed = f"; {count.normalized} as the tokenizer normalises them" if count.normalized else ""
    return Proof(
        name=NAME,
        passed=fault is None,
        message=fault
        or f"{count.texts:,} texts come back from their tokens{changed}; the vocabulary of "
        f"{subject.tokenizer.vocab_size:,} fits the embedding's {identity.vocab_size:,} rows",
        remedy="use the tokenizer files that the base was published with, since tokens are never added to a base here; "
        f"then {subject.anew}",
        code=ErrorCode.TOKENIZATION_FAILED if count.lost else ErrorCode.SHAPE_MISMATCH,
        numbers=numbers,
    )


def _wrong_size(subject: RowsSubject, theirs: int, largest: int, identity: BaseIdentity) -> str | None:
    ours = subject.tokenizer.vocab_size
    recorded = identity.files[JSON_NAME].sha256
    if subject.facts.tokenizer_digest != recorded:
        return "the rows were made with another tokenizer.json than the base has"
    if subject.facts.base_digest != identity.digest:
        return "the rows were made for another base"
    if ours != identity.tokenizer_size or theirs != ours:
        return (
            f"the tokenizer has {ours:,} ids, {theirs:,} as transformers opens it, and the base was recorded with "
            f"{identity.tokenizer_size:,}: tokens were added or taken away"
        )
    if max(ours - 1, largest) >= identity.vocab_size:
        return f"the largest token is {max(ours - 1, largest)}, the embedding has {identity.vocab_size:,} rows"
    return None


def _look(subject: RowsSubject, renderings: Renderings, shown: ShownSequence, count: _Count) -> None:
    """Of a text that was cut or split, what its tokens read is compared with as much of the whole."""
    text = _text(renderings, shown)
    if text is None:
        return
    count.texts += 1
    tokenizer = subject.tokenizer
    back = tokenizer.decode(tokenizer.encode(text))
    if back == text:
        return
    if back == tokenizer.normalized(text):
        count.normalized += 1
        return
    place = next((at for at in range(min(len(back), len(text))) if back[at] != text[at]), min(len(back), len(text)))
    here, there = (found[max(0, place - SHOWN // 2) : place + SHOWN // 2] for found in (text, back))
    count.lost.append(f"{shown.called} does not come back from its tokens: {here!r} became {there!r}")


def _text(renderings: Renderings, shown: ShownSequence) -> str | None:
    if shown.example.kind == "text":
        return shown.example.text
    return renderings.text(shown.turns, shown.example.tools)
