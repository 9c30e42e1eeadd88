"""From remote sources of every kind to one corpus: the ledger adds up, and no secret is left on the way."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import datasets
import pytest
from local_server import LocalServer

from loquela.artifacts.corpus import read_documents
from loquela.artifacts.ledger import Ledger
from loquela.core.errors import DataError
from loquela.data.corpus.ingest import build_corpus
from loquela.monitoring.events import Event, EventBus
from loquela.recipe.schema import DataSection

SESAME = "opensesame-42"


def _sentence(kind: str, number: int) -> str:
    return f"The {kind} number {number} tells of rivers and of the {number * 7} hills behind them. " * 3


def _section(server: LocalServer, tmp_path: Path) -> DataSection:
    with closing(sqlite3.connect(tmp_path / "books.db")) as connection, connection:
        connection.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, text TEXT)")
        rows = [(n, None if n == 3 else _sentence("row", n)) for n in range(20)]
        connection.executemany("INSERT INTO books VALUES (?, ?)", rows)
    datasets.Dataset.from_dict({"text": [_sentence("entry", n) for n in range(10)]}).save_to_disk(tmp_path / "saved")
    server.files["/v1"] = json.dumps([{"text": _sentence("item", n)} for n in range(12)] + [{}]).encode()
    for number in range(4):
        links = f'<a href="{number + 1}.html">on</a><a href="/missing">off</a>'
        text = f"<html><body><nav>{links}</nav><article><p>{_sentence('page', number) * 4}</p></article></body></html>"
        server.files[f"/guide/{number}.html"], server.types[f"/guide/{number}.html"] = text.encode(), "text/html"
    return DataSection.model_validate(
        {
            "sources": [
                {
                    "address": f"sqlite:///{tmp_path}/books.db",
                    "database": {"query": "SELECT text FROM books ORDER BY id"},
                },
                {"address": f"hf:{tmp_path}/saved"},
                {"address": f"{server.url}/v1", "api": {"requests_per_second": 1000}, "credential": "library"},
                {
                    "address": f"{server.url}/guide/0.html",
                    "web": {"depth": 9, "within": "host", "delay_seconds": 0},
                    "language": "en",
                },
            ],
            "allow_private_addresses": True,
            "timeout_seconds": 2,
            "corpus_size_mb": 1,
            "min_corpus_bytes": 100,
            "validation_fraction": 0.2,
        }
    )


def _build(section: DataSection, tmp_path: Path, name: str) -> list[Event]:
    bus, events = EventBus(), []
    bus.subscribe(events.append)
    (tmp_path / name).mkdir()
    build_corpus(section, seed=1, downloads=tmp_path / "downloads", directory=tmp_path / name, bus=bus)
    return events


def test_every_kind_in_one_corpus(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOQUELA_CREDENTIAL_LIBRARY", SESAME)
    section = _section(server, tmp_path)
    events = _build(section, tmp_path, "corpus")
    assert [event.name for event in events].count("data_source_connector.source_validated.v1") == 4
    documents = list(read_documents(tmp_path / "corpus"))
    kinds = {kind: sum(f"The {kind} number" in document.text for document in documents) for kind in
             ("row", "entry", "item", "page")}  # fmt: skip
    assert kinds == {"row": 19, "entry": 10, "item": 12, "page": 4}
    found = json.loads((tmp_path / "corpus" / "ledger.json").read_text())
    ledger = Ledger.model_validate({key: found[key] for key in ("format_version", "arrows")})
    ledger.check()
    reasons = {change.reason: change.items for change in ledger.arrows[0].changes}
    assert reasons["text_is_null"] == -1 and reasons["text_is_missing"] == -1 and reasons["page_not_found"] == -2
    assert any(headers.get("authorization") == f"Bearer {SESAME}" for _, _, headers in server.seen)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(SESAME.encode() not in path.read_bytes() for path in written)
    asked = len(server.seen)
    _build(section, tmp_path, "again")
    assert len(server.seen) == asked
    same = ("documents.jsonl", "ledger.json")
    assert all((tmp_path / "corpus" / n).read_bytes() == (tmp_path / "again" / n).read_bytes() for n in same)


def test_a_database_that_changes_while_it_is_read_stops(server: LocalServer, tmp_path: Path) -> None:
    section = _section(server, tmp_path)
    section = section.model_copy(update={"sources": section.sources[:1]})
    done = []

    def meddle() -> None:
        if not done:
            done.append(True)
            with closing(sqlite3.connect(tmp_path / "books.db", timeout=0.1)) as connection, connection:
                connection.execute("UPDATE books SET text = 'other' WHERE id = 19")

    (tmp_path / "corpus").mkdir()
    with pytest.raises(
        DataError, match=r"books.db changed while it was read|reading from .* failed: database is locked"
    ):
        build_corpus(
            section, seed=1, downloads=tmp_path, directory=tmp_path / "corpus", bus=EventBus(), between_documents=meddle
        )
