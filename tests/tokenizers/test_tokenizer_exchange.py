"""Tokenizers from elsewhere, and ours in other people's hands."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path

import pytest
import sentencepiece
from tokenizer_samples import HELD_OUT, TRAINING, section, trained
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.monitoring.events import SilentBus
from loquela.tokenizers.backends.unigram import WORDS
from loquela.tokenizers.contract import TokenizerHandle, TokenizerStats, TokenizerTrainRequest
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.manifest import read_tokenizer_manifest
from loquela.tokenizers.sentence_piece import SentencePieceHandle, open_model, train_model
from loquela.tokenizers.train import _config, train_tokenizer

BILINGUAL = Path(__file__).parents[3] / "shared/data/bilingual_3mb.txt"
AWKWARD = ["", "  a\n\n\tb  ", "<eos> <pad> <0x0A>", "漢\r\n\0é👩‍👧", "▁ ▁a"]


def adopt(model_file: Path, directory: Path) -> tuple[TokenizerStats, TokenizerHandle]:
    stats = train_tokenizer(
        section("bpe", model_file=str(model_file)), lambda: iter([]), lambda: iter(HELD_OUT), directory, SilentBus()
    )
    return stats, load_tokenizer(directory)


def foreign_json(path: Path, specials: list[str], **extra: object) -> Path:
    """A byte-level BPE tokenizer.json as others write them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TRAINING, trainer=trainer)
    document = json.loads(tokenizer.to_str())
    document["model"] |= extra.pop("model", {})
    path.write_text(json.dumps(document | extra))
    return path


def foreign_model(path: Path, **settings: object) -> Path:
    """A SentencePiece model with the library's own defaults."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING), model_writer=written, vocab_size=70, minloglevel=3, **settings
    )
    path.write_bytes(written.getvalue())
    return path


def test_a_tokenizer_json_is_taken_as_it_is(tmp_path: Path) -> None:
    file = foreign_json(tmp_path / "theirs.json", ["<|endoftext|>"])
    stats, handle = adopt(file, tmp_path / "ours")
    assert (stats.vocab_size, stats.requested_vocab_size, stats.method) == (300, None, "bpe")
    assert (handle.pad_id, handle.unk_id, handle.bos_id, handle.eos_id) == (-1, -1, 0, 0)
    assert (tmp_path / "ours/tokenizer.json").read_bytes() == file.read_bytes()
    assert handle.encode("the<|endoftext|>cat").count(0) == 0
    assert "theirs.json was loaded, not trained" in stats.notes
    manifest = read_tokenizer_manifest(tmp_path / "ours")
    assert manifest is not None
    assert (manifest.origin, manifest.source, manifest.method) == ("loaded", "theirs.json", "bpe")


def test_roles_come_from_the_config_beside_the_file(tmp_path: Path) -> None:
    file = foreign_json(tmp_path / "theirs.json", ["<|a|>", "<|b|>"])
    config = {"eos_token": {"content": "<|b|>", "__type": "AddedToken"}, "pad_token": "<|a|>", "bos_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    _, handle = adopt(file, tmp_path / "ours")
    assert (handle.pad_id, handle.unk_id, handle.bos_id, handle.eos_id) == (0, -1, -1, 1)


def test_truncation_padding_and_dropout_of_a_file_are_turned_off_and_said(tmp_path: Path) -> None:
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    pad = {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
           "pad_type_id": 0, "pad_token": "<pad>"}  # fmt: skip
    file = foreign_json(tmp_path / "theirs.json", ["<pad>"], truncation=cut, padding=pad, model={"dropout": 0.5})
    stats, handle = adopt(file, tmp_path / "ours")
    plain = Tokenizer.from_file(str(foreign_json(tmp_path / "plain.json", ["<pad>"])))
    text = "the cat sat on the mat " * 20
    assert handle.encode(text) == plain.encode(text).ids
    assert [note.split(":")[0] for note in stats.notes[:3]] == [
        "the file's truncation is turned off",
        "the file's padding is turned off",
        "the file's BPE dropout is turned off",
    ]
    written = json.loads((tmp_path / "ours/tokenizer.json").read_text())
    assert (written["truncation"], written["padding"], written["model"]["dropout"]) == (None, None, None)


def test_a_model_with_other_special_ids(tmp_path: Path) -> None:
    stats, handle = adopt(foreign_model(tmp_path / "theirs.model"), tmp_path / "ours")
    assert (handle.pad_id, handle.unk_id, handle.bos_id, handle.eos_id) == (-1, 0, 1, 2)
    assert (stats.method, handle.method, handle.vocab_size, stats.requested_vocab_size) == (
        "sentencepiece", "sentencepiece", 70, None,
    )  # fmt: skip
    assert handle.decode([1, *handle.encode("the cat"), 2]) == "the cat"
    assert stats.exact_round_trips == 0.0  # their normaliser drops newlines and unknown letters
    assert "exact_round_trips" in stats.loses


def test_a_model_without_bos_and_eos(tmp_path: Path) -> None:
    file = foreign_model(tmp_path / "theirs.model", bos_id=-1, eos_id=-1, pad_id=5, unk_id=1, byte_fallback=False)
    _, handle = adopt(file, tmp_path / "ours")
    assert (handle.pad_id, handle.unk_id, handle.bos_id, handle.eos_id) == (5, 1, -1, -1)


def test_a_folder_without_our_manifest_is_loaded_by_its_files(tmp_path: Path) -> None:
    foreign_json(tmp_path / "tokenizer.json", ["<s>", "</s>"])
    handle = load_tokenizer(tmp_path)
    assert (handle.method, handle.bos_id, handle.eos_id) == ("bpe", 0, 1)


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no tokenizer \(tokenizer.json or tokenizer.model\) at") as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == ErrorCode.DATA_NOT_FOUND


def test_a_model_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no tokenizer file at .*absent.json") as caught:
        adopt(tmp_path / "absent.json", tmp_path / "ours")
    assert caught.value.code == ErrorCode.DATA_NOT_FOUND


def test_a_model_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(RecipeError, match=r"vocab.txt ends in .txt; known: .json and .model") as caught:
        adopt(tmp_path / "vocab.txt", tmp_path / "ours")
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("name", ["a.json", "a.model"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"model": {}}', b"\x00\xff" * 50])
def test_a_model_file_that_is_no_tokenizer(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is not a whole tokenizer file") as caught:
        adopt(tmp_path / name, tmp_path / "ours")
    assert caught.value.code == ErrorCode.CORRUPTION


@pytest.mark.parametrize("name", ["a.json", "a.model"])
def test_a_model_file_that_cannot_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(b"{}")

    def refuse(self: Path) -> bytes:  # the tests may run as root, whom no permission stops
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=f"at .*{name} cannot be read: Permission denied") as caught:
        adopt(tmp_path / name, tmp_path / "ours")
    assert caught.value.code == ErrorCode.READ_FAILED


@pytest.mark.parametrize("name", ["tokenizer_config.json", "tokenizer_manifest.json"])
def test_a_damaged_side_file_is_corruption(name: str, tmp_path: Path) -> None:
    for path in trained("bpe").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if name == "tokenizer_config.json":
        (tmp_path / "tokenizer_manifest.json").unlink()
    (tmp_path / name).write_text("{")
    with pytest.raises(DataError, match=f"{name} is not a whole tokenizer file"):
        load_tokenizer(tmp_path)


def held_out_text() -> list[str]:
    """English and Spanish prose that the sample tokenizers never saw, in documents of 4 kB."""
    if not BILINGUAL.is_file():
        pytest.skip("the bilingual sample text is not on this machine")
    text = BILINGUAL.read_text(encoding="utf-8")[-60_000:]
    return [text[start : start + 4096] for start in range(0, len(text), 4096)]


@pytest.mark.parametrize("method", ["bpe", "unigram", "wordpiece", "char", "word"])
def test_transformers_encodes_and_decodes_identically(method: str) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(trained(method))
    ours = load_tokenizer(trained(method))
    assert (theirs.pad_token_id, theirs.unk_token_id, theirs.bos_token_id, theirs.eos_token_id) == (0, 1, 2, 3)
    assert len(theirs) == ours.vocab_size
    texts = [*HELD_OUT, *AWKWARD, *held_out_text()]
    ids = ours.encode_batch(texts)
    assert theirs(texts)["input_ids"] == ids
    assert [theirs.decode(row, skip_special_tokens=True) for row in ids] == [ours.decode(row) for row in ids]


def test_the_unigram_tokenizer_json_is_the_sentencepiece_model_it_was_made_from(tmp_path: Path) -> None:
    """Word by word: SentencePiece adds 32-bit scores over a whole text, so that in a long one its near-ties drift."""
    request = TokenizerTrainRequest(train_texts=lambda: iter(TRAINING), directory=tmp_path)
    data, _ = train_model(_config(section("unigram")), request)
    original = SentencePieceHandle(open_model(data, tmp_path / "tokenizer.model"))
    ours = load_tokenizer(trained("unigram"))
    from tokenizers import Regex

    cutter = pre_tokenizers.Split(Regex(WORDS), "isolated")
    words = sorted({word for text in [*HELD_OUT, *held_out_text()] for word, _ in cutter.pre_tokenize_str(text)})
    assert len(words) > 1000
    assert original.encode_batch(words) == ours.encode_batch(words)
