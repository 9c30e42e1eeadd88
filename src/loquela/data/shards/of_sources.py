"""Text that a model is measured on alone: cut and normalised as for training, nothing judged, nothing left out."""

from __future__ import annotations

from collections.abc import Iterator

from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.shards import ShardsFacts, ShardWriter, dtype_name
from loquela.core.errors import DataError, ErrorCode
from loquela.data.access.source_registry import source_for
from loquela.data.corpus.drafts import drafts
from loquela.data.corpus.fingerprint import downloads_directory
from loquela.data.shards.prepare import require_end_token
from loquela.data.source_contract import SourceRequest
from loquela.data.tally import Tally, utf8_size
from loquela.data.tasks.run import interrupted
from loquela.tokenizers.load import load_tokenizer

SPLIT = "test"


def shards_of_sources(context: StageContext) -> StageResult:
    """The text of `data.sources` as the test split of shards, with the tokenizer in `context.inputs`.

    Raises what the sources raise, DataError(DATA_NOT_FOUND) when they hold no text, Interrupted on a stop request.
    """
    tokenizer = load_tokenizer(context.inputs["tokenizer"])
    require_end_token(tokenizer)
    eos_id, vocab_size = tokenizer.eos_id, tokenizer.vocab_size
    with ShardWriter(context.output, SPLIT, vocab_size, eos_id=eos_id) as writer:
        for text in _texts(context):
            writer.write(tokenizer.encode(text), utf8_size(text))
    if not writer.facts.documents:
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"there is no text in {', '.join(entry.key for entry in context.recipe.data.entries)}",
            "name a file that holds text",
        )
    facts = ShardsFacts(
        vocab_size=vocab_size, dtype=dtype_name(vocab_size), eos_id=eos_id, splits={SPLIT: writer.facts}
    )
    return StageResult(facts=facts.model_dump(mode="json"), summary=f"{writer.facts.tokens:,} tokens")


def _texts(context: StageContext) -> Iterator[str]:
    section, tally = context.recipe.data, Tally()
    downloads = downloads_directory(context.recipe.output_directory)
    for entry in section.entries:
        request = SourceRequest(entry, section, downloads, section.seed)
        for number, text in enumerate(source_for(entry.address).read(request, tally)):
            for draft in drafts(text, number, section, tally):
                if context.stop.requested:
                    raise interrupted(context.stop)
                yield draft.text
