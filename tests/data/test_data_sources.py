"""Every form of source: what it checks, what it reads, and what it says when it cannot."""

import os
from pathlib import Path

import pytest
from local_server import LocalServer, status

from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.access.gutenberg_text import declared_encoding, extract_book
from loquela.data.access.source_registry import SOURCES, source_for
from loquela.data.corpus.fingerprint import fingerprint, source_changes
from loquela.data.objects.local_text import read_error
from loquela.data.preflight import check_sources
from loquela.data.source_contract import SourceFingerprint, SourceRequest
from loquela.data.tally import Tally
from loquela.recipe.schema import DataSection, Recipe
from loquela.recipe.source_entry import SourceEntry

ALICE = (
    "\ufeffThe Project Gutenberg eBook of Alice\r\n\r\nTitle: Alice\r\n\r\nLanguage: English\r\n\r\n"
    "Character set encoding: UTF-8\r\n\r\n"
    "*** START OF THE PROJECT GUTENBERG EBOOK ALICE ***\r\n\r\n\r\n"
    "Produced by Arthur DiBianca and\r\nDavid Widger\r\n\r\n\r\n\r\n"
    "ALICE’S ADVENTURES\r\n\r\nAlice was beginning to get very tired.\r\n\r\n"
    "*** END OF THE PROJECT GUTENBERG EBOOK ALICE ***\r\n\r\nLicence text.\r\n"
).encode()
QUIJOTE = (
    "Project Gutenberg's Don Quijote\r\n\r\nLanguage: Spanish\r\n\r\nCharacter set encoding: ISO-8859-1\r\n\r\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK DON\r\nQUIJOTE ***\r\n\r\n"
    "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, año tras año.\r\n\r\n"
    "End of Project Gutenberg's Don Quijote, by Cervantes\r\n\r\n"
    "*** END OF THIS PROJECT GUTENBERG EBOOK DON QUIJOTE ***\r\n"
).encode("iso-8859-1")


def _request(address: str, tmp_path: Path, **section: object) -> SourceRequest:
    settings = {"sources": [address], "allow_private_addresses": True, "timeout_seconds": 5.0, **section}
    return SourceRequest(
        SourceEntry(address=address), DataSection.model_validate(settings), tmp_path / "downloads", seed=7
    )


def _texts(request: SourceRequest) -> list[tuple[str, str | None, str]]:
    texts = source_for(request.address).read(request, Tally())
    return [(text.name, text.language, "".join(text.pieces)) for text in texts]


# ── file and folder ───────────────────────────────────────────────────────────────────────────────────────────


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"hola\r\n")
    for address in (str(path), f"file:{path}"):
        request = _request(address, tmp_path)
        assert source_for(address).check(request).size_bytes == 6
        assert _texts(request) == [(address, None, "hola\n")]


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("x")
    request = _request(str(tmp_path / "corpsu.txt"), tmp_path)
    with pytest.raises(
        DataError, match=r"there is no file or folder .*corpsu.txt; did you mean .*corpus.txt\?"
    ) as caught:
        source_for(request.address).check(request)
    assert caught.value.code == ErrorCode.DATA_NOT_FOUND


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    request = _request(str(tmp_path / "a.txt"), tmp_path)
    with pytest.raises(DataError, match=r"a.txt is empty \(0 bytes\)"):
        source_for(request.address).check(request)


def test_permission_and_other_read_errors(tmp_path: Path) -> None:
    denied = read_error(PermissionError(13, "Permission denied"), tmp_path)
    assert "no permission to read" in denied.message
    assert "chmod u+r" in denied.remedy
    broken = read_error(OSError(5, "Input/output error"), tmp_path)
    assert "failed: Input/output error" in broken.message
    assert broken.code == ErrorCode.READ_FAILED


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    request = _request(str(tmp_path / "a.txt"), tmp_path)
    with pytest.raises(DataError, match=r"reading .*a.txt failed: it is no regular file"):
        source_for(request.address).check(request)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.txt").chmod(0)
    request = _request(str(tmp_path / "a.txt"), tmp_path)
    with pytest.raises(DataError, match="no permission to read"):
        source_for(request.address).check(request)


def test_folder_is_sorted_recursive_and_passes_over_what_is_hidden_or_no_text(tmp_path: Path) -> None:
    root = tmp_path / "texts"
    for name in ("b.txt", "sub/c.md", "a.TXT", ".hidden.txt", ".git/d.txt", "e.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    request = _request(str(root), tmp_path)
    checked = source_for(request.address).check(request)
    assert (checked.texts, checked.size_bytes) == (3, 18)
    tally = Tally()
    texts = [(t.name, "".join(t.pieces)) for t in source_for(request.address).read(request, tally)]
    assert texts == [(f"{root}/a.TXT", "a.TXT"), (f"{root}/b.txt", "b.txt"), (f"{root}/sub/c.md", "sub/c.md")]
    assert source_for(f"folder:{root}") is not source_for(str(root / "a.TXT"))
    before = source_for(request.address).fingerprint(request)
    (root / "e.jpg").write_text("other")
    assert source_for(request.address).fingerprint(request) == before
    (root / "b.txt").rename(root / "z.txt")
    assert source_for(request.address).fingerprint(request) != before


def test_folder_without_text(tmp_path: Path) -> None:
    (tmp_path / "e.jpg").touch()
    request = _request(str(tmp_path), tmp_path)
    with pytest.raises(DataError, match=r"holds no file that can be read; it holds 1 other files"):
        source_for(request.address).check(request)


def test_unknown_prefix() -> None:
    with pytest.raises(RecipeError, match="no such source 'gutenburg'; did you mean 'gutenberg'"):
        source_for("gutenburg:11")
    assert {"builtin", "file", "folder", "gutenberg", "http", "https", "sqlite"} <= set(SOURCES.names())


# ── built in ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_stories_alternate_and_pairs_share_a_key(tmp_path: Path) -> None:
    request = _request("builtin:stories", tmp_path, stories=10)
    texts = list(source_for("builtin:stories").read(request, Tally()))
    assert [text.language for text in texts] == ["en", "es"] * 10
    assert [text.split_key for text in texts] == [str(number // 2) for number in range(20)]
    assert source_for("builtin:stories").check(request).texts == 20
    fewer = _request("builtin:stories", tmp_path, stories=11)
    source = source_for("builtin:stories")
    assert source.fingerprint(request) == source.fingerprint(request)
    assert source.fingerprint(request) != source.fingerprint(fewer)


def test_unknown_generator(tmp_path: Path) -> None:
    request = _request("builtin:story", tmp_path)
    with pytest.raises(RecipeError, match="no such built-in source 'story'; did you mean 'stories'"):
        source_for(request.address).check(request)


# ── network ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_http_uses_the_declared_encoding_and_downloads_once(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = "año".encode("iso-8859-1")
    server.types["/a.txt"] = "text/plain; charset=ISO-8859-1"
    request = _request(server.url + "/a.txt", tmp_path)
    assert source_for(request.address).check(request).size_bytes == 3
    assert [method for method, _, _ in server.seen] == ["HEAD"]
    assert _texts(request) == [(request.address, None, "año")]
    assert _texts(request) == [(request.address, None, "año")]
    assert source_for(request.address).fingerprint(request).bytes == 3
    assert [method for method, _, _ in server.seen] == ["HEAD", "GET"]


def test_gutenberg_takes_the_form_that_the_mirror_has(server: LocalServer, tmp_path: Path) -> None:
    server.files["/cache/epub/11/pg11.txt"] = ALICE
    server.files["/files/2000/2000-8.txt"] = QUIJOTE
    alice = _request("gutenberg:11", tmp_path, gutenberg_mirror=server.url)
    quijote = _request("gutenberg:2000", tmp_path, gutenberg_mirror=server.url + "/")
    assert source_for("gutenberg:11").check(alice).size_bytes == len(ALICE)
    assert _texts(alice) == [("gutenberg:11", "en", "ALICE’S ADVENTURES\n\nAlice was beginning to get very tired.\n")]
    assert _texts(quijote) == [
        (
            "gutenberg:2000",
            "es",
            "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, año tras año.\n",
        )
    ]
    paths = [path for method, path, _ in server.seen if method == "GET" and "2000" in path]
    assert paths == ["/cache/epub/2000/pg2000.txt", "/files/2000/2000-0.txt", "/files/2000/2000-8.txt"]
    server.files.clear()
    assert source_for("gutenberg:2000").fingerprint(quijote).language == "es"


def test_gutenberg_without_the_book(server: LocalServer, tmp_path: Path) -> None:
    request = _request("gutenberg:99", tmp_path, gutenberg_mirror=server.url)
    with pytest.raises(DataError, match=r"has no plain text of book 99; tried: .*/files/99/99.txt") as caught:
        source_for(request.address).check(request)
    assert "gutenberg_mirror" in caught.value.remedy
    server.plans["/cache/epub/99/pg99.txt"] = [status(403)]
    with pytest.raises(Exception, match="refuses access: 403"):
        list(source_for(request.address).read(request, Tally()))
    with pytest.raises(RecipeError, match="'gutenberg:alice' names no book: after 'gutenberg:' comes its number"):
        source_for("gutenberg:alice").check(_request("gutenberg:alice", tmp_path))


def test_preflight_gives_one_proof_a_source(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hola")
    recipe = Recipe.model_validate(
        {
            "output_directory": tmp_path / "out",
            "data": {
                "sources": [str(tmp_path / "a.txt"), "gutenberg:5"],
                "gutenberg_mirror": server.url,
                "allow_private_addresses": True,
            },
        }
    )
    good, bad = check_sources(recipe)
    assert good.passed and good.numbers == {"size_bytes": 4, "texts": 1}
    assert not bad.passed and bad.code == ErrorCode.DATA_NOT_FOUND
    assert not (tmp_path / "out").exists()


# ── Gutenberg texts ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("*** START OF THE PROJECT GUTENBERG EBOOK X ***", "*** END OF THE PROJECT GUTENBERG EBOOK X ***"),
        ("***START OF THE PROJECT GUTENBERG EBOOK X***", "***END OF THE PROJECT GUTENBERG EBOOK X***"),
        ("*** START OF THIS PROJECT GUTENBERG EBOOK X,\nBY Y ***", "End of the Project Gutenberg EBook of X, by Y"),
        ("*** START OF THIS PROJECT GUTENBERG ETEXT X ***", "End of Project Gutenberg's Etext of X"),
        (
            "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
            "***End of the Project Gutenberg Etext of X***",
        ),
        ("*END THE SMALL PRINT! FOR PUBLIC DOMAIN EBOOKS*Ver.02/11/02*END*", "This is the End of Project Gutenberg X"),
    ],
)
def test_all_marker_forms(start: str, end: str) -> None:
    book = extract_book(f"Header\n{start}\n\n\nFirst.\n\nLast.\n\n\n{end}\nLicence\n", "x")
    assert book.text == "First.\n\nLast.\n"
    assert sum(map(len, book.removed.values())) + len(book.text) == len(
        f"Header\n{start}\n\n\nFirst.\n\nLast.\n\n\n{end}\nLicence\n"
    )


def test_credits_are_taken_off_only_where_they_stand() -> None:
    def body(text: str) -> str:
        marked = (
            f"*** START OF THE PROJECT GUTENBERG EBOOK X ***\n{text}\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\n"
        )
        return extract_book(marked, "x").text

    assert body("E-text prepared by A\n\nHTML version by B\n\n\n  Title\n\nProduced by C, said he.") == (
        "  Title\n\nProduced by C, said he.\n"
    )
    long = "Produced by " + "very " * 200 + "hard work."
    assert body(long) == long + "\n"
    assert body("\n\n") == ""


def test_missing_markers_stop() -> None:
    with pytest.raises(DataError, match="x has no Project Gutenberg start marker: it is no Project Gutenberg text"):
        extract_book("A page about something else", "x")
    with pytest.raises(DataError, match="x has no Project Gutenberg end marker: it is probably cut off"):
        extract_book(ALICE.decode().partition("*** END")[0].replace("\r\n", "\n"), "x")


def test_declared_encodings() -> None:
    assert declared_encoding(ALICE) == "utf-8"
    assert declared_encoding(QUIJOTE) == "iso-8859-1"
    assert declared_encoding(QUIJOTE + b"\x93quoted\x94") == "windows-1252"
    assert declared_encoding(QUIJOTE.replace(b"ISO-8859-1", b"Codepage850")) == "codepage850"
    assert declared_encoding(b"a\xf1o without a header") is None


# ── fingerprints ──────────────────────────────────────────────────────────────────────────────────────────────


def test_fingerprints_tell_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one two")
    section = DataSection(sources=[str(path)])
    before = fingerprint(section, tmp_path / "out")
    assert before == {
        str(path): {
            "texts": 1,
            "bytes": 7,
            "sha256": "8ab63e29a4ba14e4e1688f9c15e5af90895421358c945b0431f85d66977bd3d2",
            "language": None,
        }
    }
    path.write_text("one")
    after = fingerprint(section, tmp_path / "out")
    old, new = ({k: SourceFingerprint.model_validate(v) for k, v in found.items()} for found in (before, after))
    assert source_changes(old, new) == [f"{path} shrank (7 → 3 bytes, 1 → 1 texts)"]
    assert source_changes(old, {}) == [f"{path} is gone"]
    assert source_changes({}, new) == [f"{path} is new"]
    assert source_changes(new, new) == []
    assert not (tmp_path / "out").exists()
