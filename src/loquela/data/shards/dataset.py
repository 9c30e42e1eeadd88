"""DatasetBuilder: token sequences → a shards artifact with train, validation and test."""

from __future__ import annotations

import math
import random
from pathlib import Path
from uuid import UUID

from loquela.artifacts.corpus import SPLITS, Split
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter, SplitFacts, dtype_name
from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.data.shards.contracts import (
    BuiltSplit,
    BuiltSplits,
    DatasetBuilderError,
    DatasetBuilderRequest,
    DatasetBuilderResult,
    DatasetStatistics,
    SplitRatios,
)
from loquela.monitoring.events import Bus, trace
from loquela.tokenizers.contract import TokenizerHandle

COMPONENT = "DatasetBuilder"


class DatasetBuilder:
    """Writes the datasets of one tokenizer below `directory`, one folder a split."""

    def __init__(self, directory: Path, tokenizer: TokenizerHandle, bus: Bus) -> None:
        self.directory = directory
        self.tokenizer = tokenizer
        self.bus = bus

    def build(self, request: DatasetBuilderRequest) -> DatasetBuilderResult:
        """Divide the sequences by the ratios, in a seeded order if asked, and write them.

        Raises RecipeError(SPLIT_RATIO_INVALID), DataError(INSUFFICIENT_DATA) or ResourceError(WRITE_FAILED, …), whose
        details are a `DatasetBuilderError`.
        """
        sequences = request.processed_tokens
        counts = _counts(request.split_ratios, len(sequences))
        trace(self.bus, COMPONENT, "dataset_split_start", sequences=len(sequences), seed=request.seed)
        order = list(range(len(sequences)))
        if request.shuffle:
            random.Random(request.seed).shuffle(order)
        trace(self.bus, COMPONENT, "shuffle_complete", shuffled=request.shuffle)
        facts = ShardsFacts(
            vocab_size=self.tokenizer.vocab_size,
            dtype=dtype_name(self.tokenizer.vocab_size),
            eos_id=self.tokenizer.eos_id,
            splits={},
        )
        start = 0
        for split in SPLITS:
            chosen = [sequences[i] for i in order[start : start + counts[split]]]
            start += counts[split]
            facts.splits[split] = self._write(split, chosen)
        manifest = write_manifest(self.directory, "shards", facts=facts.model_dump(mode="json"))
        trace(self.bus, COMPONENT, "dataset_persisted", dataset_id=manifest.digest, directory=str(self.directory))
        return _result(manifest.digest, self.directory, counts, facts, sequences)

    def _write(self, split: Split, sequences: list[list[int]]) -> SplitFacts:
        try:
            with ShardWriter(self.directory, split, self.tokenizer.vocab_size, eos_id=self.tokenizer.eos_id) as writer:
                for tokens in sequences:
                    writer.write(tokens, len(self.tokenizer.decode(tokens).encode("utf-8")))
        except ResourceError as error:
            details = DatasetBuilderError(error_code="WRITE_FAILED", message=error.message)
            raise ResourceError(
                error.code, error.message, error.remedy, details=details.model_dump(mode="json")
            ) from error
        return writer.facts


def _counts(ratios: SplitRatios, total: int) -> dict[Split, int]:
    """Sequences a split: rounded down for validation and test, at least one where the ratio is not 0."""
    whole = ratios.train + ratios.validation + ratios.test
    if not math.isclose(whole, 1.0, abs_tol=1e-6):
        raise _refused(
            "SPLIT_RATIO_INVALID", f"the split ratios add up to {whole:g}, not to 1", "make them add up to 1"
        )
    counts: dict[Split, int] = {"train": 0, "validation": 0, "test": 0}
    for split, ratio in (("validation", ratios.validation), ("test", ratios.test)):
        name: Split = "validation" if split == "validation" else "test"
        counts[name] = max(1, math.floor(total * ratio + 1e-9)) if ratio > 0 else 0
    counts["train"] = total - counts["validation"] - counts["test"]
    wanted = sum(ratio > 0 for ratio in (ratios.train, ratios.validation, ratios.test))
    if total < wanted or counts["train"] < (ratios.train > 0):
        raise _refused(
            "INSUFFICIENT_DATA",
            f"{total} sequences cannot fill {wanted} splits",
            "give more text, or set the ratio of a split to 0",
        )
    return counts


def _refused(code: str, message: str, remedy: str) -> LoquelaError:
    details = DatasetBuilderError.model_validate({"error_code": code, "message": message}).model_dump(mode="json")
    kind = RecipeError if code == "SPLIT_RATIO_INVALID" else DataError
    return kind(ErrorCode(code), message, remedy, details=details)


def _result(
    digest: str, directory: Path, counts: dict[Split, int], facts: ShardsFacts, sequences: list[list[int]]
) -> DatasetBuilderResult:
    built = {split: BuiltSplit(size=counts[split], path=str(directory / split)) for split in SPLITS}
    return DatasetBuilderResult(
        dataset_id=UUID(digest[:32]),
        splits=BuiltSplits(train=built["train"], validation=built["validation"], test=built["test"]),
        statistics=DatasetStatistics(
            total_samples=len(sequences),
            avg_sequence_length=sum(map(len, sequences)) / len(sequences),
            vocabulary_size=facts.vocab_size,
        ),
    )
