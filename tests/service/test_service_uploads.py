import io
import os

import pytest

from loquela.core.errors import DataError, LoquelaError, RecipeError
from loquela.jobs.settings import ServiceSettings
from loquela.service.uploads import Uploads


@pytest.fixture
def uploads(parts, clock, tmp_path):
    small = ServiceSettings(data=tmp_path, max_upload_bytes=1024)
    return Uploads(parts.database, clock, tmp_path / "files", small, parts.audit)


def add(uploads, content=b"hello", name="rows.jsonl", **more):
    return uploads.add(io.BytesIO(content), name=name, purpose="fine-tune", owner="me", **more)


def test_what_was_uploaded_is_there_under_its_id(uploads):
    made = add(uploads)
    assert uploads.get(made.id) == made
    assert uploads.place(made.id).read_bytes() == b"hello"
    assert uploads.place(made.id).suffix == ".jsonl"
    assert (made.size_bytes, made.name, made.owner) == (5, "rows.jsonl", "me")


def test_the_same_content_is_kept_once_and_no_name_leads_anywhere(uploads, tmp_path):
    names = [
        "../../etc/passwd",
        "..\\..\\x.jsonl",
        "/etc/passwd",
        "a" * 500 + ".jsonl",
        "",
        "x.jsonl/",
        "\0.jsonl",
        "x.JSONL",
    ]
    made = [add(uploads, name=name) for name in names]
    assert len({upload.sha256 for upload in made}) == 1
    held = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "files").rglob("*") if path.is_file())
    assert all(path.rpartition("/")[2] in ("content", "content.jsonl") for path in held)
    assert not any("/" in upload.name or "\\" in upload.name for upload in made)


def test_too_much_nothing_and_a_broken_stream_leave_nothing(uploads, tmp_path):
    with pytest.raises(RecipeError, match="an upload may have 1024 bytes"):
        add(uploads, b"x" * 1025)
    with pytest.raises(DataError, match="the uploaded file is empty"):
        add(uploads, b"")

    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise ConnectionResetError

    with pytest.raises(LoquelaError, match="WRITE_FAILED"):
        uploads.add(Broken(), name="x", purpose="fine-tune", owner="me")
    assert os.listdir(tmp_path / "files") == []
    assert uploads.page(after=None, limit=10, purpose=None) == []


def test_a_removed_upload_is_not_found_but_its_content_stays_for_its_runs(uploads):
    made = add(uploads)
    place = uploads.place(made.id)
    uploads.remove(made.id)
    with pytest.raises(RecipeError, match="there is no file"):
        uploads.get(made.id)
    assert place.is_file()


def test_pages_go_on_behind_an_id(uploads):
    made = [add(uploads, str(number).encode()).id for number in range(5)]
    first = [upload.id for upload in uploads.page(after=None, limit=3, purpose=None)]
    second = [upload.id for upload in uploads.page(after=first[-1], limit=3, purpose="fine-tune")]
    assert first + second == made[::-1]
    assert uploads.page(after=None, limit=3, purpose="batch") == []


def test_over_http(owner, client_of, parts):
    answer = owner.post("/v1/files", files={"file": ("rows.jsonl", b'{"a": 1}\n')}, data={"purpose": "fine-tune"})
    assert answer.status_code == 200
    made = answer.json()
    assert made | {"id": "", "created_at": 0} == {
        "id": "", "object": "file", "bytes": 9, "created_at": 0, "filename": "rows.jsonl", "purpose": "fine-tune",
        "status": "processed",
    }  # fmt: skip
    content = owner.get(f"/v1/files/{made['id']}/content")
    assert content.content == b'{"a": 1}\n'
    assert content.headers["content-disposition"].startswith("attachment")
    assert owner.get("/v1/files").json()["data"] == [made]
    assert client_of("read").delete(f"/v1/files/{made['id']}").status_code == 403
    assert owner.delete(f"/v1/files/{made['id']}").json()["deleted"]
    assert owner.get(f"/v1/files/{made['id']}").status_code == 404
    large = b"x" * (2**20 + 10)
    assert owner.post("/v1/files", files={"file": ("a", large)}, data={"purpose": "fine-tune"}).status_code == 200
    assert owner.post("/v1/files", files={"file": ("a", b"x")}, data={"purpose": "nonsense"}).status_code == 422
