"""DataSourceConnector: every kind of source behind one request, as whom, and what is told when it fails."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import datasets
import pytest
from local_server import LocalServer, body, stall, status
from pydantic import SecretStr

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError
from loquela.data.access.connector import DataSourceConnector, shown
from loquela.data.access.connector_contracts import DataSourceConnectorError, DataSourceConnectorRequest
from loquela.data.access.source_registry import source_for
from loquela.data.reading.contracts import DataStreamReaderRequest
from loquela.data.reading.stream_reader import DataStreamReader
from loquela.data.tally import Tally
from loquela.monitoring.events import Event, EventBus, SilentBus
from loquela.recipe.schema import DataSection
from loquela.security.credentials.credential import Credential
from loquela.security.credentials.store import CredentialStore
from loquela.security.credentials.transit import sealed_for, unsealed_for

SESAME = "opensesame-42"
TOKEN = Credential(kind="bearer", secrets={"token": SecretStr(SESAME)})


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


class Heard:
    def __init__(self, tmp_path: Path, **section: object) -> None:
        self.events: list[Event] = []
        bus = EventBus()
        bus.subscribe(self.events.append)
        settings = {"allow_private_addresses": True, "timeout_seconds": 0.3, **section}
        self.connector = DataSourceConnector(DataSection.model_validate(settings), tmp_path / "downloads", bus)

    @property
    def points(self) -> list[str]:
        return [event.name.split(".")[1] for event in self.events]


def _request(
    kind: str, endpoint: str, auth: str = "none", secret: str = "", /, **filters: object
) -> DataSourceConnectorRequest:
    return DataSourceConnectorRequest.model_validate(
        {
            "source_type": kind,
            "credentials": {"auth_type": auth, "credentials_encrypted": secret},
            "source_config": {"endpoint": endpoint, "filters": filters},
        }
    )


WHOLE = ["connection_attempt", "auth_success", "source_validated"]


def test_local_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.jsonl.gz", "c.pdf"):
        (tmp_path / "texts" / name).write_bytes(b'{"text": "a"}\n')
    heard = Heard(tmp_path)
    one = heard.connector.connect(_request("local", str(tmp_path / "texts" / "a.txt")))
    assert one.status == "connected"
    assert (one.metadata.source_size_estimate, one.metadata.available_formats) == (14, ["txt"])
    assert heard.points == WHOLE
    folder = heard.connector.connect(_request("local", str(tmp_path / "texts"), language="es"))
    assert set(folder.metadata.available_formats) >= {"txt"}
    assert heard.connector.request_of(folder.connection_id).entry.language == "es"
    with pytest.raises(RecipeError, match="there is no connection"):
        heard.connector.request_of(uuid4())


def test_a_stream_reader_reads_what_was_connected(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "texts" / name).write_bytes(f"The text {name}.\n".encode())
    heard = Heard(tmp_path)
    for endpoint, whole in (("texts", b"The text a.txt.\nThe text b.txt.\n"), ("texts/b.txt", b"The text b.txt.\n"),
                            ("texts/a*", b"The text a.txt.\n")):  # fmt: skip
        connection = heard.connector.connect(_request("local", str(tmp_path / endpoint))).connection_id
        reader = DataStreamReader({connection: heard.connector.objects_of(connection)}, SilentBus())
        asked = DataStreamReaderRequest(connection_id=connection, chunk_size_mb=1, format="txt")
        assert b"".join(chunk.data for chunk in reader.read(asked).chunks) == whole
    server.files["/v1"] = b"[]"
    interface = heard.connector.connect(_request("api", server.url + "/v1")).connection_id
    with pytest.raises(RecipeError, match="has no files to read in chunks"):
        heard.connector.objects_of(interface)


def test_a_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "books.db")) as connection, connection:
        connection.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("INSERT INTO books VALUES (1, 'Uno.')")
    heard = Heard(tmp_path)
    query = {"query": "SELECT text FROM books WHERE id = :id ORDER BY id", "parameters": {"id": 1}}
    result = heard.connector.connect(_request("database", f"sqlite:///{tmp_path}/books.db", **query))
    assert result.metadata.available_formats == ["rows"]
    assert result.metadata.source_size_estimate == (tmp_path / "books.db").stat().st_size
    asked = heard.connector.request_of(result.connection_id)
    assert ["".join(text.pieces) for text in source_for(asked.address).read(asked, Tally())] == ["Uno."]


def test_an_interface_with_a_sealed_credential(server: LocalServer, tmp_path: Path) -> None:
    server.plans["/v1"] = [body(b'{"books": [{"text": "a"}]}')]
    heard = Heard(tmp_path)
    endpoint = server.url + "/v1"
    request = _request("api", endpoint, "bearer", sealed_for(TOKEN, endpoint), items="/books", text="text")
    result = heard.connector.connect(request)
    assert result.metadata.available_formats == ["json"]
    assert server.seen[0][2]["authorization"] == f"Bearer {SESAME}"
    assert heard.points == WHOLE
    told = "".join(event.model_dump_json() for event in heard.events) + request.model_dump_json()
    assert SESAME not in told


def test_a_web_site_with_a_stored_credential(server: LocalServer, tmp_path: Path) -> None:
    server.files["/"], server.types["/"] = b"<html>x</html>", "text/html"
    CredentialStore().put("site", TOKEN)
    result = Heard(tmp_path).connector.connect(_request("web", server.url + "/", "stored", "site", depth=2))
    assert result.metadata.available_formats == ["html"]
    assert all(headers["authorization"] == f"Bearer {SESAME}" for _, _, headers in server.seen)


def test_a_data_set(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "saved")
    result = Heard(tmp_path).connector.connect(_request("huggingface", f"hf:{tmp_path}/saved"))
    assert result.metadata.available_formats == ["arrow"]


def test_a_bucket_that_nobody_serves(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    request = _request("s3", "s3://books/a.txt", endpoint="http://127.0.0.1:9", anonymous=True, retries=0, region="x")
    with pytest.raises(LoquelaError) as caught:
        heard.connector.connect(request)
    assert DataSourceConnectorError.of(caught.value).error_code == "NETWORK_ERROR"
    assert heard.points == ["connection_attempt", "connection_failed"]


@pytest.mark.parametrize(
    ("plan", "code", "retry"),
    [(status(401), "AUTH_FAILED", False), (stall, "NETWORK_ERROR", True), (status(404), "INVALID_SOURCE", False),
     (status(503, Retry_After="999"), "NETWORK_ERROR", True)],
)  # fmt: skip
def test_failures_have_the_specified_fields(server: LocalServer, tmp_path: Path, plan, code: str, retry: bool) -> None:
    server.plans["/v1?page=1"] = [plan] * 4
    heard = Heard(tmp_path)
    import loquela.security.http_retries as retries

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries.time, "sleep", lambda seconds: None)
        found = heard.connector.attempt(_request("api", server.url + "/v1?page=1"))
    assert isinstance(found, DataSourceConnectorError)
    assert (found.error_code, found.retry_possible) == (code, retry)
    assert heard.points == ["connection_attempt", "connection_failed"]
    told = heard.events[-1].data
    assert set(told) == {"source", "error_code", "message", "timestamp", "retry_possible"}
    assert "page=1" not in str(told["source"])


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (_request("s3", "https://x.example/a"), "no source of type s3: its endpoint does not begin with s3://"),
        (_request("local", "a.txt", depth=1), "no source of type local: it has no filter 'depth'"),
        (_request("api", "https://x.example", depht=1), "no source of type api: api.depht: Extra inputs"),
        (_request("database", f"postgresql://u:{SESAME}@x.example/b"), "the address holds a password"),
        (_request("api", "https://x.example", parameters={"api_key": SESAME}), "api_key holds a secret"),
        (_request("web", "https://x.example", depth=SESAME), "web.depth: Input should be a valid integer"),
        (_request("api", "https://x.example", "bearer", "nonsense"), "it was not sealed with a key of this machine"),
    ],
)
def test_requests_that_describe_nothing(tmp_path: Path, request_: DataSourceConnectorRequest, said: str) -> None:
    heard = Heard(tmp_path)
    with pytest.raises(RecipeError, match=said) as caught:
        heard.connector.connect(request_)
    assert SESAME not in str(caught.value) + json.dumps(caught.value.details)
    assert heard.points[-1] == "connection_failed"


def test_a_missing_file_is_an_invalid_source(tmp_path: Path) -> None:
    found = Heard(tmp_path).connector.attempt(_request("local", str(tmp_path / "none.txt")))
    assert isinstance(found, DataSourceConnectorError) and found.error_code == "INVALID_SOURCE"


def test_sealed_credentials_open_for_their_endpoint_only(tmp_path: Path) -> None:
    text = sealed_for(TOKEN, "https://a.example")
    assert unsealed_for(text, "https://a.example") == TOKEN
    assert SESAME not in text
    with pytest.raises(DataError, match="the sealed credential for https://b.example does not open"):
        unsealed_for(text, "https://b.example")
    for damaged, why in ((text[:-3] + "!!!", "it is damaged"), ("v2" + text[2:], "not sealed with a key")):
        with pytest.raises(RecipeError, match=f"the sealed credential for https://a.example does not open: .*{why}"):
            unsealed_for(damaged, "https://a.example")
    (tmp_path / "config" / "loquela" / "credentials.key").unlink()
    with pytest.raises(RecipeError, match="it was not sealed with a key of this machine") as caught:
        unsealed_for(text, "https://a.example")
    assert caught.value.code == ErrorCode.AUTH_FAILED


def test_another_kind_than_the_request_says(tmp_path: Path) -> None:
    endpoint = "https://x.example/v1"
    with pytest.raises(
        RecipeError, match="the sealed credential for https://x.example/v1 is of kind bearer, not basic"
    ):
        Heard(tmp_path).connector.connect(_request("api", endpoint, "basic", sealed_for(TOKEN, endpoint)))


@pytest.mark.parametrize(
    ("address", "form"),
    [
        (f"https://u:{SESAME}@x.example:8443/a?key={SESAME}#b", "https://x.example:8443/a"),
        ("texts/a.txt", "texts/a.txt"),
        ("gutenberg:11", "gutenberg:11"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("sqlite:////home/me/books.db", "sqlite:////home/me/books.db"),
        (f"http://x\x00{SESAME}", "http:…"),
    ],
)
def test_addresses_are_shown_without_secrets(address: str, form: str) -> None:
    assert shown(address) == form
