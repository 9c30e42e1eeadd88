"""DataPreprocessor: one text, or a batch of them → token ids."""

from __future__ import annotations

from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.corpus.normalize import normalize
from loquela.data.shards.contracts import (
    DataPreprocessorError,
    DataPreprocessorRequest,
    DataPreprocessorResult,
    PreprocessingMetadata,
)
from loquela.monitoring.events import Bus, trace
from loquela.recipe.schema import NormalizationSection
from loquela.tokenizers.contract import TokenizerHandle

COMPONENT = "DataPreprocessor"
CONTEXT_CHARACTERS = 40


class DataPreprocessor:
    """Normalises and tokenises with one tokenizer. A text that is too long is refused, never silently cut."""

    def __init__(self, tokenizer: TokenizerHandle, bus: Bus) -> None:
        self.tokenizer = tokenizer
        self.bus = bus

    def process(self, request: DataPreprocessorRequest) -> DataPreprocessorResult:
        """Token ids of one text.

        Raises RecipeError(TOKENIZATION_FAILED) for another tokenizer type than the one at hand, DataError
        (TOKENIZATION_FAILED, SEQUENCE_TOO_LONG) whose details are a `DataPreprocessorError`.
        """
        config = request.preprocessing_config
        if config.tokenizer_type != self.tokenizer.method:
            raise RecipeError(
                ErrorCode.TOKENIZATION_FAILED,
                f"the request asks for a {config.tokenizer_type} tokenizer, the one at hand is {self.tokenizer.method}",
                f"set tokenizer_type: {self.tokenizer.method}, or train a {config.tokenizer_type} tokenizer",
            )
        trace(self.bus, COMPONENT, "tokenization_start", characters=len(request.raw_data))
        section = NormalizationSection(
            unicode="nfc", lowercase=config.lowercase, remove_special_chars=config.remove_special_chars
        )
        text, changes = normalize(request.raw_data, section)
        trace(self.bus, COMPONENT, "normalization_complete", characters=len(text), changed_bytes=sum(changes.values()))
        tokens = self._encode(text, config.max_sequence_length)
        trace(self.bus, COMPONENT, "tokens_generated", tokens=len(tokens))
        length = len(request.raw_data)
        return DataPreprocessorResult(
            tokens=tokens,
            token_count=len(tokens),
            metadata=PreprocessingMetadata(
                original_length=length, compression_ratio=length / len(tokens) if tokens else 0.0
            ),
        )

    def _encode(self, text: str, max_sequence_length: int) -> list[int]:
        try:
            tokens = self.tokenizer.encode(text)
        except DataError as error:
            surrogate = next((i for i, sign in enumerate(text) if "\ud800" <= sign <= "\udfff"), 0)
            raise _refused(error.message, error.remedy, "TOKENIZATION_FAILED", surrogate, text) from error
        if len(tokens) > max_sequence_length:
            reached = len(self.tokenizer.decode(tokens[:max_sequence_length]))
            what = f"the text has {len(tokens)} tokens, {max_sequence_length} are allowed"
            remedy = "cut the text into documents first, or raise max_sequence_length"
            raise _refused(what, remedy, "SEQUENCE_TOO_LONG", max_sequence_length, text, around=reached)
        return tokens


def _refused(what: str, remedy: str, code: str, position: int, text: str, *, around: int | None = None) -> DataError:
    middle = position if around is None else around
    shown = text[max(0, middle - CONTEXT_CHARACTERS) : middle + CONTEXT_CHARACTERS]
    details = DataPreprocessorError.model_validate(
        {"error_code": code, "position": position, "context": shown.encode("utf-8", "replace").decode("utf-8")}
    )
    return DataError(ErrorCode(code), what, remedy, details=details.model_dump(mode="json"))
