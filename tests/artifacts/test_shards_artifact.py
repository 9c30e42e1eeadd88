"""Shards: bytes worked out by hand, reading across files, and every kind of damage named."""

from pathlib import Path

import numpy as np
import pytest

from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter, TokenShards, dtype_name, require_tokenizer
from loquela.artifacts.token_places import document_at
from loquela.core.errors import DataError, ErrorCode, InternalError

DOCUMENTS = [[5, 6], [7], [8, 9, 10]]


def _write(directory: Path, vocab_size: int = 300, tokenizer_digest: str = "") -> None:
    with ShardWriter(directory, "train", vocab_size, shard_tokens=5) as writer:
        for tokens in DOCUMENTS:
            writer.write(tokens, text_bytes=10)
    facts = ShardsFacts(
        vocab_size=vocab_size,
        dtype=dtype_name(vocab_size),
        eos_id=3,
        tokenizer_digest=tokenizer_digest,
        splits={"train": writer.facts},
    )
    write_manifest(directory, "shards", facts=facts.model_dump(mode="json"))


def test_bytes_on_disk_are_these(tmp_path: Path) -> None:
    _write(tmp_path)
    # documents 5 6 eos | 7 eos fill the first shard (5 tokens); 8 9 10 eos go to the second
    assert (tmp_path / "train/shard-00000.bin").read_bytes() == bytes([5, 0, 6, 0, 3, 0, 7, 0, 3, 0])
    assert (tmp_path / "train/shard-00001.bin").read_bytes() == bytes([8, 0, 9, 0, 10, 0, 3, 0])
    eight = bytes(7)
    assert (tmp_path / "train/shard-00000.idx").read_bytes() == b"\0" + eight + b"\3" + eight + b"\5" + eight
    assert (tmp_path / "train/shard-00001.idx").read_bytes() == b"\0" + eight + b"\4" + eight


def test_large_vocabulary_takes_four_bytes(tmp_path: Path) -> None:
    assert dtype_name(65536) == "uint16"
    _write(tmp_path, vocab_size=65537)
    assert (tmp_path / "train/shard-00001.bin").read_bytes()[:8] == bytes([8, 0, 0, 0, 9, 0, 0, 0])
    assert TokenShards(tmp_path, "train").read(0, 3).tolist() == [5, 6, 3]


def test_reads_across_shards_as_int64(tmp_path: Path) -> None:
    _write(tmp_path)
    shards = TokenShards(tmp_path, "train")
    assert (shards.tokens_total, shards.documents, shards.bytes_total, shards.vocab_size) == (9, 3, 30, 300)
    whole = [5, 6, 3, 7, 3, 8, 9, 10, 3]
    for start in range(10):
        for stop in range(start, 10):
            tokens = shards.read(start, stop)
            assert tokens.dtype == np.int64
            assert tokens.tolist() == whole[start:stop]


def test_empty_split(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "test", 300) as writer:
        pass
    facts = ShardsFacts(vocab_size=300, dtype="uint16", eos_id=3, splits={"test": writer.facts})
    write_manifest(tmp_path, "shards", facts=facts.model_dump(mode="json"))
    shards = TokenShards(tmp_path, "test")
    assert shards.tokens_total == 0
    assert shards.read(0, 0).tolist() == []
    with pytest.raises(DataError, match="has no split 'train'; it has: test"):
        TokenShards(tmp_path, "train")


def test_reading_past_the_end_is_our_bug(tmp_path: Path) -> None:
    _write(tmp_path)
    with pytest.raises(InternalError, match="tokens 3 to 10 asked of the 9"):
        TokenShards(tmp_path, "train").read(3, 10)


def test_id_outside_the_vocabulary_is_not_written(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="made the id 300, but its vocabulary has 300 tokens"),
        ShardWriter(tmp_path, "train", 300) as writer,
    ):
        writer.write([1], 1)
        writer.write([300], 1)
    assert list((tmp_path / "train").iterdir()) == []


def test_id_outside_the_vocabulary_is_named_when_read(tmp_path: Path) -> None:
    _write(tmp_path)
    path = tmp_path / "train/shard-00001.bin"
    path.write_bytes(bytes([8, 0, 255, 255, 10, 0, 3, 0]))
    shards = TokenShards(tmp_path, "train")
    assert shards.read(0, 6).tolist() == [5, 6, 3, 7, 3, 8]
    with pytest.raises(DataError, match=r"shard-00001.bin, token 1 \(byte 2\): id 65535 is outside") as caught:
        shards.read(4, 9)
    assert caught.value.code == ErrorCode.CORRUPT_BATCH
    assert "prepare" in caught.value.remedy


@pytest.mark.parametrize("cut", [1, 2])
def test_truncated_shard_is_named_at_opening(tmp_path: Path, cut: int) -> None:
    _write(tmp_path)
    path = tmp_path / "train/shard-00000.bin"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=rf"shard-00000.bin has {10 - cut} bytes, but 5 tokens take 10") as caught:
        TokenShards(tmp_path, "train")
    assert caught.value.code == ErrorCode.CORRUPTION


def test_missing_and_inconsistent_files_are_named(tmp_path: Path) -> None:
    _write(tmp_path)
    index = tmp_path / "train/shard-00000.idx"
    good = index.read_bytes()
    index.write_bytes(good[:-3])
    with pytest.raises(DataError, match=r"shard-00000.idx is missing or truncated \(21 bytes\)"):
        TokenShards(tmp_path, "train")
    index.write_bytes(good[:-8])
    with pytest.raises(DataError, match=r"shard-00000.idx ends at token 3, its shard at 5"):
        TokenShards(tmp_path, "train")
    index.write_bytes(good[:8] + good)
    with pytest.raises(DataError, match="train indexes 4 documents, not 3"):
        TokenShards(tmp_path, "train")
    (tmp_path / "train/shard-00000.bin").unlink()
    with pytest.raises(DataError, match=r"shard-00000.bin is missing"):
        TokenShards(tmp_path, "train")


def test_other_tokenizer_is_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, text in [(first, "a"), (second, "b")]:
        folder.mkdir()
        (folder / "tokenizer.json").write_text(text)
    digest = write_manifest(first, "tokenizer").digest
    write_manifest(second, "tokenizer")
    _write(tmp_path / "shards", tokenizer_digest=digest)
    shards = TokenShards(tmp_path / "shards", "train")
    require_tokenizer(shards, first)
    with pytest.raises(DataError, match="were made with the tokenizer") as caught:
        require_tokenizer(shards, second)
    assert caught.value.code == ErrorCode.DATA_CHANGED


def test_every_token_knows_its_document(tmp_path: Path) -> None:
    ids = [f"{number:032x}" for number in (7, 8, 9)]
    with ShardWriter(tmp_path, "train", 300, shard_tokens=5) as writer:
        for tokens, document_id in zip(DOCUMENTS, ids, strict=True):
            writer.write(tokens, 10, document_id)
    facts = ShardsFacts(vocab_size=300, dtype="uint16", eos_id=3, splits={"train": writer.facts})
    write_manifest(tmp_path, "shards", facts=facts.model_dump(mode="json"))
    assert (tmp_path / "train/shard-00000.ids").read_bytes() == bytes(15) + b"\7" + bytes(15) + b"\x08"
    found = [document_at(tmp_path, "train", token) for token in range(9)]
    assert [(span.number, span.start, span.end) for span in found] == [
        *[(0, 0, 3)] * 3,
        *[(1, 3, 5)] * 2,
        *[(2, 5, 9)] * 4,
    ]
    assert [span.id for span in found] == [ids[0]] * 3 + [ids[1]] * 2 + [ids[2]] * 4
    assert found[5].shard == "train/shard-00001.bin"
    with pytest.raises(DataError, match="there is no token 9 in train: it has 9, counted from 0"):
        document_at(tmp_path, "train", 9)
    (tmp_path / "train/shard-00000.ids").write_bytes(bytes(31))
    with pytest.raises(DataError, match=r"shard-00000.ids has 31 bytes, but 2 ids take 32"):
        document_at(tmp_path, "train", 0)


def test_shards_not_made_from_a_corpus_have_no_ids(tmp_path: Path) -> None:
    _write(tmp_path)
    assert document_at(tmp_path, "train", 3).id is None
    assert not list(tmp_path.rglob("*.ids"))
