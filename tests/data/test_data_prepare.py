"""Corpus to tokenizer to shards through the stage functions, and the two components on their own."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.corpus import CorpusWriter, Document, read_documents
from loquela.artifacts.manifest import read_manifest, write_manifest
from loquela.artifacts.normalization import read_normalization
from loquela.artifacts.shards import SplitFacts, TokenShards, require_tokenizer
from loquela.core.errors import DataError, ErrorCode, InternalError, Interrupted, LoquelaError, RecipeError
from loquela.data import stage
from loquela.data.corpus.facts import CorpusFacts, SplitCount
from loquela.data.corpus.holdout import Holdout
from loquela.data.shards.contracts import (
    DataPreprocessorRequest,
    DatasetBuilderRequest,
    PreprocessingConfig,
    SplitRatios,
)
from loquela.data.shards.dataset import DatasetBuilder
from loquela.data.shards.prepare import SplitTokens, TokenLedger, require_end_token
from loquela.data.shards.preprocess import DataPreprocessor
from loquela.monitoring.events import EventBus
from loquela.recipe.schema import Recipe
from loquela.tokenizers.load import load_tokenizer

TEXT = "".join(f"El gato {n} vio una luna, the cat {n} saw a moon.\n\n" for n in range(200))


class Flow:
    """Runs the data stages as the caller of stages does."""

    def __init__(self, directory: Path, text: str = TEXT, **model: object) -> None:
        self.directory = directory
        (directory / "a.txt").write_text(text)
        self.recipe = Recipe.model_validate(
            {
                "output_directory": directory / "out",
                "data": {"sources": [str(directory / "a.txt")], "document_bytes": 256, "validation_fraction": 0.1},
                "tokenizer": {"method": "char", "vocab_size": 64},
                "model": {"max_sequence_length": 16, **model},
            }
        )
        self.inputs: dict[str, Path] = {}
        self.events: list[str] = []
        self.bus = EventBus()
        self.bus.subscribe(lambda event: self.events.append(event.name))
        self.stop = StopRequest()

    def run(self, name: str, kind: str) -> Path:
        output = self.directory / kind
        output.mkdir()
        context = StageContext(self.recipe, self.bus, dict(self.inputs), output, self.directory, self.stop)
        result = getattr(stage, name)(context)
        assert result.summary
        write_manifest(output, kind, facts=result.facts)
        self.inputs[kind] = output
        return output

    def all(self) -> Path:
        self.run("ingest", "corpus")
        self.run("train_tokenizer", "tokenizer")
        return self.run("prepare", "shards")


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Flow:
    made = Flow(tmp_path_factory.mktemp("flow"))
    made.all()
    return made


def test_shards_hold_every_document_and_eos(flow: Flow) -> None:
    tokenizer = load_tokenizer(flow.inputs["tokenizer"])
    for split in ("train", "validation"):
        shards = TokenShards(flow.inputs["shards"], split)
        tokens = shards.read(0, shards.tokens_total).tolist()
        texts = [document.text for document in read_documents(flow.inputs["corpus"], split)]
        assert tokens == [token for text in texts for token in [*tokenizer.encode(text), tokenizer.eos_id]]
        assert shards.bytes_total == sum(len(text.encode()) for text in texts)
        assert shards.documents == len(texts)
        require_tokenizer(shards, flow.inputs["tokenizer"])
    assert TokenShards(flow.inputs["shards"], "test").tokens_total == 0


def test_the_rules_of_normalisation_lie_beside_the_tokenizer(flow: Flow) -> None:
    assert read_normalization(flow.inputs["tokenizer"]) == flow.recipe.data.normalization


def test_token_ledger_counts_all(flow: Flow) -> None:
    ledger = TokenLedger.model_validate_json((flow.inputs["shards"] / "ledger.json").read_text())
    corpus = CorpusFacts.model_validate(read_manifest(flow.inputs["corpus"]).facts)
    for split, counted in ledger.splits.items():
        assert counted.documents == counted.eos_tokens == corpus.splits[split].documents
        assert counted.bytes == corpus.splits[split].bytes
        assert counted.unknown_tokens == 0
    assert flow.events[-4:] == [
        "data.tasks_progress.v1",
        "data_preprocessor.tokens_generated.v1",
        "dataset_builder.shuffle_complete.v1",
        "dataset_builder.dataset_persisted.v1",
    ]


def test_ledger_mismatch_stops(flow: Flow) -> None:
    corpus = CorpusFacts.model_validate(read_manifest(flow.inputs["corpus"]).facts)
    wrong = TokenLedger(splits={"train": SplitTokens(documents=1)})
    with pytest.raises(InternalError, match=r"documents of train are counted as \[\d+, 1, 0, 0\]"):
        wrong.check(corpus, {"train": SplitFacts()})


def test_holdout_divides_the_training_texts(flow: Flow) -> None:
    holdout = Holdout(flow.inputs["corpus"], 0.2)
    learnt, held = list(holdout.learnt_from()), list(holdout.held_out())
    everything = [document.text for document in read_documents(flow.inputs["corpus"], "train")]
    assert sorted(learnt + held) == sorted(everything)
    assert 0 < len(held) < len(everything) / 2
    tiny = Holdout(flow.inputs["corpus"], 1e-9)
    assert len(list(tiny.held_out())) == 1


def test_too_little_text_is_refused_with_numbers(tmp_path: Path) -> None:
    flow = Flow(tmp_path, max_sequence_length=20_000)
    with pytest.raises(
        DataError, match=r"the training text has \d+ tokens; one row of context 20000 takes 20001"
    ) as caught:
        flow.all()
    assert caught.value.code == ErrorCode.INSUFFICIENT_DATA


def _corpus(directory: Path, splits: str) -> Path:
    with CorpusWriter(directory) as writer:
        for number, letter in enumerate(splits):
            split = {"t": "train", "v": "validation"}[letter]
            writer.write(
                Document.model_validate(
                    {"id": f"{number:032x}", "text": "a" * 50, "source": "s", "language": None, "split": split}
                )
            )
    counts = {name: SplitCount(documents=writer.documents[name], bytes=writer.bytes[name]) for name in writer.bytes}
    facts = CorpusFacts(documents=len(splits), bytes=50 * len(splits), languages={}, splits=counts, sources={})
    write_manifest(directory, "corpus", facts=facts.model_dump(mode="json"))
    return directory


def test_corpus_without_validation_or_holdout(flow: Flow, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    inputs = {"corpus": _corpus(tmp_path / "corpus", "ttt"), "tokenizer": flow.inputs["tokenizer"]}
    context = StageContext(flow.recipe, flow.bus, inputs, tmp_path / "shards", tmp_path)
    with pytest.raises(DataError, match="the validation split is empty"):
        stage.prepare(context)
    with pytest.raises(DataError, match=r"training part of the corpus has 1 document\(s\)"):
        Holdout(_corpus(tmp_path / "one", "tv"), 0.1)


def test_tokenizer_without_an_end_token(flow: Flow) -> None:
    tokenizer = load_tokenizer(flow.inputs["tokenizer"])
    tokenizer.eos_id = -1
    with pytest.raises(DataError, match="the char tokenizer has no end-of-text token"):
        require_end_token(tokenizer)


def test_stop_request_ends_ingest(tmp_path: Path) -> None:
    flow = Flow(tmp_path)
    flow.stop.request("Ctrl+C")
    with pytest.raises(Interrupted, match=r"stopped while preparing data \(Ctrl\+C\)"):
        flow.run("ingest", "corpus")
    assert list((tmp_path / "corpus").iterdir()) == []


def test_stop_request_ends_prepare(flow: Flow, tmp_path: Path) -> None:
    stop = StopRequest()
    stop.request("SIGTERM")
    context = StageContext(flow.recipe, flow.bus, flow.inputs, tmp_path, tmp_path, stop)
    with pytest.raises(Interrupted, match=r"stopped while preparing data \(SIGTERM\)"):
        stage.prepare(context)
    assert list(tmp_path.rglob("*.bin")) == []


# ── components ────────────────────────────────────────────────────────────────────────────────────────────────


def _request(text: str, **config: object) -> DataPreprocessorRequest:
    settings = {"tokenizer_type": "char", "max_sequence_length": 100, **config}
    return DataPreprocessorRequest(raw_data=text, preprocessing_config=PreprocessingConfig.model_validate(settings))


def test_preprocessor(flow: Flow) -> None:
    tokenizer = load_tokenizer(flow.inputs["tokenizer"])
    start = len(flow.events)
    result = DataPreprocessor(tokenizer, flow.bus).process(
        _request("THE\x07 CAT", lowercase=True, remove_special_chars=True)
    )
    assert tokenizer.decode(result.tokens) == "the cat"
    assert result.token_count == 7
    assert result.metadata.original_length == 8
    assert result.metadata.compression_ratio == pytest.approx(8 / 7)
    assert flow.events[start:] == [
        "data_preprocessor.tokenization_start.v1",
        "data_preprocessor.normalization_complete.v1",
        "data_preprocessor.tokens_generated.v1",
    ]


def test_preprocessor_refuses(flow: Flow) -> None:
    component = DataPreprocessor(load_tokenizer(flow.inputs["tokenizer"]), flow.bus)
    with pytest.raises(DataError, match="the text has 13 tokens, 4 are allowed") as caught:
        component.process(_request("the cat saw a", max_sequence_length=4))
    assert caught.value.details == {"error_code": "SEQUENCE_TOO_LONG", "position": 4, "context": "the cat saw a"}
    with pytest.raises(DataError) as caught:
        component.process(_request("the \ud800 cat"))
    assert caught.value.details == {"error_code": "TOKENIZATION_FAILED", "position": 4, "context": "the ? cat"}
    with pytest.raises(RecipeError, match="asks for a bpe tokenizer, the one at hand is char"):
        component.process(_request("x", tokenizer_type="bpe"))


def _build(flow: Flow, directory: Path, sequences: list[list[int]], ratios: tuple[float, float, float], **more: object):
    train, validation, test = ratios
    request = DatasetBuilderRequest.model_validate(
        {
            "processed_tokens": sequences,
            "split_ratios": SplitRatios(train=train, validation=validation, test=test),
            "seed": 3,
            **more,
        }
    )
    return DatasetBuilder(directory, load_tokenizer(flow.inputs["tokenizer"]), flow.bus).build(request)


def test_dataset_builder(flow: Flow, tmp_path: Path) -> None:
    sequences = [[4 + n % 9, 5] for n in range(20)]
    result = _build(flow, tmp_path / "a", sequences, (0.8, 0.15, 0.05))
    assert [result.splits.train.size, result.splits.validation.size, result.splits.test.size] == [16, 3, 1]
    assert result.statistics.total_samples == 20
    assert result.statistics.avg_sequence_length == 2.0
    shards = TokenShards(tmp_path / "a", "train")
    assert shards.digest.startswith(result.dataset_id.hex)
    assert shards.documents == 16
    again = _build(flow, tmp_path / "b", sequences, (0.8, 0.15, 0.05))
    assert again.dataset_id == result.dataset_id
    in_order = _build(flow, tmp_path / "c", sequences, (1.0, 0.0, 0.0), shuffle=False)
    assert in_order.splits.test.size == 0
    assert TokenShards(tmp_path / "c", "train").read(0, 6).tolist() == [4, 5, 3, 5, 5, 3]


def test_dataset_builder_refuses(flow: Flow, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the split ratios add up to 0.9, not to 1") as ratio:
        _build(flow, tmp_path, [[4]] * 9, (0.5, 0.3, 0.1))
    assert ratio.value.details["error_code"] == "SPLIT_RATIO_INVALID"
    with pytest.raises(DataError, match="2 sequences cannot fill 3 splits") as few:
        _build(flow, tmp_path, [[4]] * 2, (0.5, 0.3, 0.2))
    assert few.value.details["error_code"] == "INSUFFICIENT_DATA"
    (tmp_path / "file").touch()
    with pytest.raises(LoquelaError, match="failed") as unwritten:
        _build(flow, tmp_path / "file", [[4]] * 9, (0.5, 0.3, 0.2))
    assert unwritten.value.details["error_code"] == "WRITE_FAILED"


# ── docs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_lines_of_numpy_in_the_docs_read_a_shard(flow: Flow) -> None:
    page = (Path(__file__).parents[2] / "docs/data.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    place = flow.directory / "data/artifacts/shards"
    place.mkdir(parents=True)
    (place / "key").symlink_to(flow.inputs["shards"])
    program = code + "\nprint(first.tolist())\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=flow.directory, capture_output=True, text=True, check=True
    )
    first = next(read_documents(flow.inputs["corpus"], "train"))
    assert done.stdout.strip() == str([*load_tokenizer(flow.inputs["tokenizer"]).encode(first.text), 3])
    assert np.fromfile(flow.inputs["shards"] / "train/shard-00000.bin", "<u2").size
