"""Bases from the hub: a commit recorded and kept to, safe files alone, sums compared, failures in plain words."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, HubModel

from loquela.artifacts.base import write_base
from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError
from loquela.models.pretrained import hub as hub_module
from loquela.models.pretrained.hub import commit_of, fetch, fetch_config
from loquela.models.pretrained.hub_pin import pinned_commit
from loquela.models.pretrained.load import load_base_model
from loquela.models.pretrained.open import open_base
from toy_bases import toy_base

pytest.importorskip("huggingface_hub")

NAME = "loquela/tiny"
FIRST, SECOND = "1" * 40, "2" * 40
SECRET = "hf_" + "x" * 20


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    server.models[NAME] = HubModel({FIRST: _files()})
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    yield server
    server.close()


def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in toy_base("llama").iterdir()}


def test_a_base_is_fetched_at_its_commit_and_loads(hub: Hub, tmp_path: Path) -> None:
    hub.models[NAME].commits[FIRST] |= {"pytorch_model.bin": b"pickle", "README.md": b"# tiny", "original/x.pth": b"p"}
    commit = commit_of(NAME, None)
    identity = fetch(NAME, commit, NAME)
    assert (commit, identity.revision, identity.kind) == (FIRST, FIRST, "hub")
    assert identity.files.keys() == _files().keys() - {"README.md"}
    fetched = {path.rpartition("/")[2] for path in hub.paths(f"/{NAME}/resolve/")}
    assert fetched == _files().keys()
    write_base(tmp_path, identity)
    assert load_base_model(open_base(tmp_path)).facts.vocab_size == 512


def test_the_commit_of_the_first_run_is_kept_to(hub: Hub, tmp_path: Path) -> None:
    assert pinned_commit(NAME, None, tmp_path) == FIRST
    folder = tmp_path / "artifacts" / "base" / "0123"
    folder.mkdir(parents=True)
    write_base(folder, fetch(NAME, FIRST, NAME))
    hub.models[NAME].commits[SECOND] = _files()
    assert commit_of(NAME, None) == SECOND
    hub.seen.clear()
    assert pinned_commit(NAME, None, tmp_path) == FIRST
    assert hub.seen == []
    assert pinned_commit(NAME, "main", tmp_path) == SECOND
    assert pinned_commit(NAME, SECOND, tmp_path) == SECOND


def test_the_same_base_again_is_taken_from_the_cache_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    online = fetch(NAME, FIRST, NAME)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.seen.clear()
    assert fetch(NAME, FIRST, NAME) == online
    assert hub.seen == []
    with pytest.raises(DataError, match="cache does not have it.*HF_HUB_OFFLINE is set"):
        commit_of("loquela/other", None)


def test_the_token_reaches_the_hub_and_no_one_else(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub.models[NAME].token = SECRET
    with pytest.raises(DataError, match=r"no model loquela/tiny, or not for this account"):
        commit_of(NAME, None)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with caplog.at_level(logging.DEBUG):
        fetch(NAME, FIRST, NAME)
    large = [headers for _, path, headers in hub.seen if path.startswith("/large/")]
    assert large
    assert not any("authorization" in headers for headers in large)
    assert SECRET not in caplog.text


def test_an_interrupted_download_goes_on(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.status = 503
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(ResourceError, match="the hub answered 503 when asked for loquela/tiny") as failure:
        commit_of(NAME, FIRST[:7])
    assert failure.value.retryable
    hub.status = None
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)
    weights = len(_files()["model.safetensors"])
    hub.break_after = weights // 2
    fetch(NAME, FIRST, NAME)
    ranges = [headers.get("range") for method, path, headers in hub.seen if path.startswith("/large/")]
    assert ranges[0] is None
    assert ranges[1].startswith("bytes=") and int(ranges[1][6:-1]) > weights // 2 - 2048
    hub.seen.clear()
    hub.break_after = None
    fetch(NAME, FIRST, NAME)
    assert hub.paths("/large/") == []


def test_a_file_that_is_not_the_hubs_is_refused(hub: Hub) -> None:
    import hashlib

    good = _files()["model.safetensors"]
    changed = bytearray(good)
    changed[-1] ^= 1
    hub.stored[hashlib.sha256(good).hexdigest()] = bytes(changed)
    with pytest.raises(DataError, match=r"SHA-256 of model.safetensors is not the one that the hub has") as failure:
        fetch(NAME, FIRST, NAME)
    assert failure.value.code is ErrorCode.CORRUPTION
    assert "delete" in failure.value.remedy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.safetensors": None, "pytorch_model.bin": b"x"}, "only pickled ones .pytorch_model.bin."),
        ({"model.safetensors": None}, "no safetensors weights on the hub, none at all"),
        ({"modeling_tiny.py": b"import os"}, "comes with code of its own .modeling_tiny.py."),
        ({"tokenizer.json": None}, "no tokenizer.json on the hub"),
        ({"config.json": b'{"auto_map": {}, "model_type": "llama"}'}, "asks for code of its own .auto_map."),
        ({"config.json": b'{"model_type": "mamba"}'}, "no such model_type 'mamba'"),
        (
            {
                "model.safetensors": None,
                "model.safetensors.index.json": b'{"weight_map": {"a": "../../x.safetensors"}}',
            },
            r"names '../../x.safetensors', which is no safetensors file",
        ),
        (
            {"model.safetensors": None, "model.safetensors.index.json": b'{"weight_map": {"a": "b.safetensors"}}'},
            "names b.safetensors, which the hub does not have",
        ),
    ],
)
def test_what_is_not_safe_is_never_fetched(hub: Hub, change: dict[str, bytes | None], message: str) -> None:
    files = {**hub.models[NAME].commits[FIRST], **change}
    hub.models[NAME].commits[FIRST] = {name: data for name, data in files.items() if data is not None}
    with pytest.raises(DataError, match=message):
        fetch(NAME, FIRST, NAME)
    assert hub.paths("/large/") == []


def test_failures_of_the_hub_are_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def code(revision: str | None = None) -> tuple[type[LoquelaError], ErrorCode]:
        with pytest.raises(LoquelaError) as failure:
            commit_of(NAME, revision)
        assert NAME in failure.value.message
        return type(failure.value), failure.value.code

    assert code("nowhere") == (DataError, ErrorCode.DATA_NOT_FOUND)
    hub.models[NAME].gated = True
    assert code() == (ResourceError, ErrorCode.AUTH_FAILED)
    hub.models.clear()
    assert code() == (DataError, ErrorCode.DATA_NOT_FOUND)
    hub.status = 403
    assert code() == (ResourceError, ErrorCode.AUTH_FAILED)
    hub.status = None
    hub.stall = True
    monkeypatch.setattr(hub_module, "LIST_TIMEOUT_SECONDS", 0.2)
    assert code() == (ResourceError, ErrorCode.TIMEOUT)
    hub.close()
    assert code() == (ResourceError, ErrorCode.NETWORK_ERROR)


def test_a_shard_is_fetched_by_the_index(hub: Hub, tmp_path: Path) -> None:
    files = _files()
    weights = files.pop("model.safetensors")
    from safetensors import safe_open

    whole = toy_base("llama") / "model.safetensors"
    with safe_open(whole, "pt") as stream:
        names = list(stream.keys())
    files["part.safetensors"] = weights
    files["unused.safetensors"] = b"never fetched"
    files["model.safetensors.index.json"] = json.dumps(
        {"weight_map": dict.fromkeys(names, "part.safetensors")}
    ).encode()
    hub.models[NAME].commits[FIRST] = files
    identity = fetch(NAME, FIRST, NAME)
    assert "part.safetensors" in identity.files
    assert not any(path.endswith("unused.safetensors") for path in hub.paths())


def test_a_plan_fetches_the_configuration_alone(hub: Hub) -> None:
    assert fetch_config(NAME, None)["model_type"] == "llama"
    assert {path.rpartition("/")[2] for path in hub.paths(f"/{NAME}/resolve/")} == {"config.json"}
