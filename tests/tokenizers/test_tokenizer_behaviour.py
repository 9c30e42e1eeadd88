"""One behaviour for all methods: every tokenizer trained here passes every test in this file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_samples import HELD_OUT, LOSSLESS, METHODS, trained

from loquela.core.errors import DataError, ErrorCode
from loquela.tokenizers.contract import SPECIAL_TOKENS, TokenizerHandle
from loquela.tokenizers.load import load_tokenizer

FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
AWKWARD = {
    "empty": "",
    "one space": " ",
    "many spaces": "a   b      c",
    "leading and trailing": "  the cat  \n",
    "newlines and tabs": "the cat\n\n\tsat\n",
    "crlf": "the cat\r\nsat\r\n",
    "nul": "the\0cat",
    "emoji": f"the {FAMILY} cat \N{WAVING HAND SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}",
    "combining": "cafe\N{COMBINING ACUTE ACCENT} n\N{COMBINING TILDE}o",
    "special text": "<eos> a<pad>b <bos><unk> </s>",
    "byte token text": "<0x0A> <0xE2>",
    "other scripts": "漢字 かな العربية हिन्दी",
    "odd spaces": "a\N{NO-BREAK SPACE}b\N{EM SPACE}c\x1cd\x85e\N{LINE SEPARATOR}f",
    "noncharacters": "\ue000\ufffe\U0010ffff\ufeff",
}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def handle(method: str) -> TokenizerHandle:
    return load_tokenizer(trained(method))


@pytest.mark.parametrize("name", AWKWARD)
def test_ids_are_in_range_and_special_ids_never_come_from_text(handle: TokenizerHandle, name: str) -> None:
    ids = handle.encode(AWKWARD[name])
    assert all(0 <= token_id < handle.vocab_size for token_id in ids)
    assert not {handle.pad_id, handle.bos_id, handle.eos_id} & set(ids)


@pytest.mark.parametrize("name", AWKWARD)
def test_a_batch_encodes_as_its_texts_alone(handle: TokenizerHandle, name: str) -> None:
    texts = ["the cat", AWKWARD[name], "", "sat"]
    assert handle.encode_batch(texts) == [handle.encode(text) for text in texts]


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("lossless", LOSSLESS)
def test_lossless_methods_bring_every_text_back(lossless: str, name: str) -> None:
    handle = load_tokenizer(trained(lossless))
    ids = handle.encode(AWKWARD[name])
    assert handle.decode(ids) == AWKWARD[name]
    assert handle.unk_id not in ids


@pytest.mark.parametrize("name", [*LOSSLESS, "char"])
def test_white_space_survives(name: str) -> None:
    handle = load_tokenizer(trained(name))
    text = "  The  cat\n\n\tsat\ton the\r\nmat.   \n"
    assert handle.decode(handle.encode(text)) == text


@pytest.mark.parametrize("name", ["wordpiece", "word"])
def test_word_methods_make_one_space_of_white_space(name: str) -> None:
    handle = load_tokenizer(trained(name))
    assert handle.encode("the   cat\n\nsat") == handle.encode("the cat sat")
    assert handle.decode(handle.encode("the   cat\n\nsat")) == "the cat sat"


@pytest.mark.parametrize("name", ["wordpiece", "word", "char"])
def test_what_was_never_seen_is_unknown(name: str) -> None:
    handle = load_tokenizer(trained(name))
    ids = handle.encode("the 漢 cat")
    assert ids.count(handle.unk_id) == 1
    assert "漢" not in handle.decode(ids)
    assert handle.decode(ids).split() == ["the", "cat"]


def test_special_ids(handle: TokenizerHandle) -> None:
    assert (handle.pad_id, handle.unk_id, handle.bos_id, handle.eos_id) == (0, 1, 2, 3)
    assert [handle.token_text(token_id) for token_id in range(4)] == SPECIAL_TOKENS


def test_decode_skips_specials(handle: TokenizerHandle) -> None:
    ids = handle.encode("the cat")
    assert handle.decode([2, *ids, 3, 0, 0]) == handle.decode(ids) == "the cat"
    assert handle.decode([]) == ""


def test_every_token_has_a_text(handle: TokenizerHandle) -> None:
    assert all(handle.token_text(token_id) for token_id in range(handle.vocab_size))


def test_a_token_is_shown_as_the_text_it_stands_for() -> None:
    for name in LOSSLESS:
        handle = load_tokenizer(trained(name))
        assert "".join(handle.token_text(token_id) for token_id in handle.encode("the ñandú sat")) == "the ñandú sat"


@pytest.mark.parametrize("wrong", [-1, 10**6])
def test_ids_out_of_range_are_refused(handle: TokenizerHandle, wrong: int) -> None:
    with pytest.raises(DataError, match=f"token id {wrong} is outside the vocabulary of {handle.vocab_size} tokens"):
        handle.decode([4, wrong])
    with pytest.raises(DataError, match="outside the vocabulary"):
        handle.token_text(wrong)


def test_a_lone_surrogate_is_refused(handle: TokenizerHandle) -> None:
    with pytest.raises(DataError, match="lone surrogate at character 4") as caught:
        handle.encode("the \ud800 cat")
    assert caught.value.code == ErrorCode.TOKENIZATION_FAILED


def test_a_megabyte_on_one_line(handle: TokenizerHandle, method: str) -> None:
    text = "the cat sat " * 43_000 + "c" * 500_000
    ids = handle.encode(text)
    if method not in ("word", "wordpiece"):
        assert handle.decode(ids) == text
    else:
        assert handle.unk_id in ids
        assert handle.decode(ids) == text[: 12 * 43_000].strip()


def test_training_again_gives_the_same_bytes(method: str, tmp_path: Path) -> None:
    """In another process, so that no hash seed is shared."""
    script = "import sys, pathlib, tokenizer_samples as t; t.train(sys.argv[1], pathlib.Path(sys.argv[2]))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script, method, str(tmp_path)], check=True, env=environment)
    first = {path.name: path.read_bytes() for path in trained(method).iterdir()}
    second = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert first == second


def test_loading_again_gives_the_same_ids(handle: TokenizerHandle, method: str, tmp_path: Path) -> None:
    copy = tmp_path / "moved"
    copy.mkdir()
    for path in trained(method).iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    again = load_tokenizer(copy)
    assert again.encode_batch(HELD_OUT) == handle.encode_batch(HELD_OUT)
    assert again.method == handle.method == method.removesuffix(":bpe")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_truncated_file_is_corruption(method: str, keep: float, with_manifest: bool, tmp_path: Path) -> None:
    file = damaged_copy(method, tmp_path, with_manifest, lambda data: data[: int(len(data) * keep)])
    with pytest.raises(DataError, match=file) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == ErrorCode.CORRUPTION
    assert "run the stage that makes it again" in caught.value.remedy


def test_one_changed_byte_is_corruption(method: str, tmp_path: Path) -> None:
    damaged_copy(method, tmp_path, True, lambda data: data[:500] + bytes([data[500] ^ 1]) + data[501:])
    with pytest.raises(DataError, match="its SHA-256 is not the one in the manifest"):
        load_tokenizer(tmp_path)


def test_a_missing_file_is_corruption(method: str, tmp_path: Path) -> None:
    file = damaged_copy(method, tmp_path, True, lambda data: data)
    (tmp_path / file).unlink()
    with pytest.raises(DataError, match="it is missing, though the manifest lists it"):
        load_tokenizer(tmp_path)


def damaged_copy(method: str, directory: Path, with_manifest: bool, damage) -> str:
    """Copy a trained folder with its main file changed; returns that file's name."""
    manifest = json.loads((trained(method) / "tokenizer_manifest.json").read_text())
    main = manifest["files"][0]["path"]
    for path in trained(method).iterdir():
        if with_manifest or path.name != "tokenizer_manifest.json":
            data = path.read_bytes()
            (directory / path.name).write_bytes(damage(data) if path.name == main else data)
    return main


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \n\tthecatñ<eos>▁0x"), max_size=60)


@settings(max_examples=60, deadline=None)
@given(text=TEXT)
def test_any_text_comes_back_from_lossless_methods(text: str) -> None:
    for name in LOSSLESS:
        handle = load_once(name)
        expected = text.replace("▁", " ") if name.startswith("sentencepiece") else text
        assert handle.decode(handle.encode(text)) == expected


HANDLES: dict[str, TokenizerHandle] = {}


def load_once(name: str) -> TokenizerHandle:
    if name not in HANDLES:
        HANDLES[name] = load_tokenizer(trained(name))
    return HANDLES[name]
