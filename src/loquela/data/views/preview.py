"""Training rows as the model sees them: tokens, where documents end, what is learnt."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.data_views import Preview, PreviewRow, PreviewToken
from loquela.artifacts.shards import TokenShards
from loquela.artifacts.token_places import document_at
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_tokenizer


def preview_rows(shards: Path, tokenizer: Path, split: str, context: int, count: int) -> Preview:
    """The first `count` rows of `split`: row i holds the tokens from i × `context` on, and one more as last target.

    Every token but the very first of the stream is learnt exactly once: in the row that has it as a target. Raises
    what opening shards and tokenizer raises.
    """
    stream = TokenShards(shards, split)
    handle = load_tokenizer(tokenizer)
    rows_total = -(-max(0, stream.tokens_total - 1) // context)
    preview = Preview(split=split, context=context, rows_total=rows_total, tokens_total=stream.tokens_total)
    for number in range(min(count, rows_total)):
        start = number * context
        stop = min(start + context + 1, stream.tokens_total)
        preview.rows.append(
            _row(number, stream.read(start, stop).tolist(), _documents(shards, split, start, stop), handle)
        )
    return preview


def _row(number: int, ids: list[int], documents: list[str], handle: TokenizerHandle) -> PreviewRow:
    tokens = [
        PreviewToken(id=token, text=handle.token_text(token), trained=place > 0, ends_document=token == handle.eos_id)
        for place, token in enumerate(ids)
    ]
    return PreviewRow(number=number, tokens=tokens, trained=len(ids) - 1, documents=documents, text=_text(ids, handle))


def _text(ids: list[int], handle: TokenizerHandle) -> str:
    """The text of a row, with the end token written out."""
    parts: list[list[int]] = [[]]
    for token in ids:
        if token == handle.eos_id:
            parts.append([])
        else:
            parts[-1].append(token)
    return handle.token_text(handle.eos_id).join(handle.decode(part) for part in parts)


def _documents(shards: Path, split: str, start: int, stop: int) -> list[str]:
    """The ids of the documents that tokens [start, stop) belong to; their numbers where shards have no ids."""
    found: list[str] = []
    while start < stop:
        span = document_at(shards, split, start)
        found.append(span.id or f"number {span.number}")
        start = span.end
    return found
