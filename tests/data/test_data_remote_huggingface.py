"""Data sets of the Hugging Face library: saved ones, folders of files, and the hub, which is never asked here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from ledger_lines import arrow, changes

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.data.access import huggingface
from loquela.data.access.source_registry import source_for
from loquela.data.source_contract import SourceRequest
from loquela.data.tally import Tally
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry
from loquela.security.credentials.credential import from_text

ROWS = {"text": ["Uno.", None, "Dos\r\nlíneas.", ""], "lang": ["es", "es", "es", None], "author": [1, 1, 2, None]}


def _request(address: object, tmp_path: Path, **more: object) -> SourceRequest:
    entry = SourceEntry.model_validate({"address": f"hf:{address}", **more})
    return SourceRequest(entry, DataSection(sources=[entry]), tmp_path / "downloads")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    table = datasets.Dataset.from_dict(ROWS)
    datasets.DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_saved_data_set(saved: Path, tmp_path: Path) -> None:
    request = _request(saved, tmp_path, labels=["lang"], split_by="author", language="es", name="set")
    source = source_for(request.address)
    checked = source.check(request)
    assert (checked.texts, checked.formats) == (4, ["arrow"])
    tally = Tally()
    texts = list(source.read(request, tally))
    assert ["".join(text.pieces) for text in texts] == ["Uno.", "Dos\nlíneas.", ""]
    assert [(text.record, text.split_key, dict(text.labels), text.name) for text in texts] == [
        (1, "1", {"lang": "es"}, "set"),
        (3, "2", {"lang": "es"}, "set"),
        (4, None, {}, "set"),
    ]
    assert changes(tally) == {"text_is_null": (0, -1)}
    assert (arrow(tally).items_in, arrow(tally).items_out) == (4, 3)
    before = source.fingerprint(request)
    assert before == source.fingerprint(request) and before.texts == 4
    test = _request(saved, tmp_path, huggingface={"split": "test"})
    assert ["".join(text.pieces) for text in source.read(test, Tally())] == ["Uno."]
    assert source.fingerprint(test).sha256 != before.sha256


def test_a_folder_of_files_is_read_as_it_is_now(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    datasets.Dataset.from_dict(ROWS).to_parquet(folder / "train.parquet")
    request = _request(folder, tmp_path)
    source = source_for(request.address)
    before = source.fingerprint(request)
    assert ["".join(text.pieces) for text in source.read(request, Tally())] == ["Uno.", "Dos\nlíneas.", ""]
    datasets.Dataset.from_dict({"text": ["Otro."], "n": [7]}).to_parquet(folder / "train.parquet")
    assert source.fingerprint(request) != before
    assert ["".join(text.pieces) for text in source.read(request, Tally())] == ["Otro."]
    tally = Tally()
    assert list(source.read(_request(folder, tmp_path, text="n"), tally)) == []
    assert changes(tally) == {"text_is_not_text": (-1, -1)}


def test_wrong_names(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="has no split 'valid'; it has train, test"):
        source_for("hf:").check(_request(saved, tmp_path, huggingface={"split": "valid"}))
    with pytest.raises(LoquelaError, match="the data set hf:.* has no column 'texto'; did you mean 'text'"):
        source_for("hf:").check(_request(saved, tmp_path, text="texto"))
    with pytest.raises(LoquelaError, match="has no column 'langs'; did you mean 'lang'"):
        source_for("hf:").check(_request(saved, tmp_path, labels=["langs"]))


def test_what_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="the data set .*empty cannot be read: ") as caught:
        source_for("hf:").check(_request(tmp_path / "empty", tmp_path))
    assert caught.value.code == ErrorCode.CORRUPT_DATA
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "train.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(DataError, match="the data set .*bad cannot be read: "):
        source_for("hf:").check(_request(tmp_path / "bad", tmp_path))


def test_code_of_a_data_set_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "scripted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (folder / "train.jsonl").write_text(json.dumps({"text": "a"}) + "\n")
    with pytest.raises(DataError, match="cannot be read: Dataset scripts are no longer supported"):
        source_for("hf:").check(_request(folder, tmp_path))
    assert not (tmp_path / "ran").exists()


def test_the_hub_wants_a_commit(tmp_path: Path) -> None:
    for work in ("check", "fingerprint"):
        with pytest.raises(RecipeError, match="is no folder here, and as a data set on the hub, which may change"):
            getattr(source_for("hf:"), work)(_request("owner/name", tmp_path))
    pinned = _request("owner/name", tmp_path, huggingface={"revision": "a" * 40})
    assert "is pinned to aaaa" in source_for("hf:").check(pinned).message
    other = _request("owner/name", tmp_path, huggingface={"revision": "b" * 40})
    assert source_for("hf:").fingerprint(pinned) != source_for("hf:").fingerprint(other)


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (
            ConnectionError("no route\nmore"),
            ResourceError,
            "the hub cannot be reached for the data set owner/name: no route",
        ),
        (
            FileNotFoundError("gone"),
            DataError,
            "the hub has no data set owner/name of that revision, or does not show it",
        ),
        (ValueError(""), DataError, "the data set owner/name cannot be read: ValueError"),
    ],
)
def test_what_the_hub_may_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, kind, said: str
) -> None:
    def load_dataset(*args: object, **named: object) -> None:
        assert (named["revision"], named["token"]) == ("a" * 40, False)
        raise raised

    monkeypatch.setattr(huggingface.extras.require("datasets", extra="data", purpose=""), "load_dataset", load_dataset)
    request = _request("owner/name", tmp_path, huggingface={"revision": "a" * 40})
    with pytest.raises(kind, match=said):
        list(source_for("hf:").read(request, Tally()))


def test_a_private_data_set_gets_its_token_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens: list[object] = []

    def load_dataset(*args: object, **named: object) -> datasets.Dataset:
        tokens.append(named["token"])
        return datasets.Dataset.from_dict({"text": ["a"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    plain = _request("owner/name", tmp_path, huggingface={"revision": "a" * 40}, credential="hub")
    for text in ("opensesame", '{"kind": "basic", "username": "u", "password": "p"}'):
        request = replace(plain, find_credential=lambda name, text=text: from_text(text, name))
        if "basic" in text:
            with pytest.raises(RecipeError, match="the hub takes a bearer credential .*, not a basic one"):
                list(source_for("hf:").read(request, Tally()))
        else:
            assert len(list(source_for("hf:").read(request, Tally()))) == 1
    assert tokens == ["opensesame"]
