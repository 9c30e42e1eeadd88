"""The main text of a page: the article and not what stands around it, in whatever encoding."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loquela.core.errors import DataError
from loquela.data.tally import utf8_size
from loquela.data.web_text import main_text

SHARED = Path(__file__).parents[2] / "../shared/data/documents/html"
MENU = "".join(f'<li><a href="/{n}">Section {n}</a></li>' for n in range(30))
ARTICLE = (
    "El pato es un ave que nada en los estanques y en los ríos. "
    "Se alimenta de plantas, de insectos y de peces pequeños, y vuela muy lejos cuando llega el invierno. "
)
PAGE = (
    '<!DOCTYPE html><html lang="es-MX"><head>{meta}<title>El pato</title><script>alert("script")</script></head>'
    f"<body><nav><ul>{MENU}</ul></nav><div role='banner'>Esta página usa cookies</div>"
    f"<main><article><h1>El pato</h1><p>{ARTICLE * 3}</p><p>{ARTICLE * 2}</p></article></main>"
    "<ol class='references'><li>Pérez 1901, p. 7</li></ol><footer>© 2026 Ejemplo</footer></body></html>"
)


def test_the_article_and_nothing_else() -> None:
    html = PAGE.format(meta='<meta charset="utf-8">').encode()
    found = main_text(html, "https://example.org/pato", None)
    assert found.text.count("El pato es un ave") == 5
    for beside in ("Section 3", "cookies", "Pérez", "Ejemplo", "script"):
        assert beside not in found.text
    assert (found.title, found.language, found.encoding) == ("El pato", "es", "utf-8")
    assert found.dropped_bytes + utf8_size(found.text) == len(html)


@pytest.mark.parametrize(
    ("encoding", "declared", "meta"),
    [
        ("utf-8", None, ""),
        ("utf-8", "iso-8859-1", ""),
        ("utf-8-sig", None, ""),
        ("iso-8859-1", "ISO-8859-1", ""),
        ("cp1252", None, '<meta http-equiv="Content-Type" content="text/html; charset=windows-1252">'),
        ("iso-8859-1", "no-such-charset", '<meta charset="iso-8859-1">'),
        ("cp1252", None, ""),
        ("utf-16", None, ""),
    ],
)
def test_encodings(encoding: str, declared: str | None, meta: str) -> None:
    found = main_text(PAGE.format(meta=meta).encode(encoding), None, declared)
    assert "peces pequeños" in found.text


def test_damage_beside_the_text_is_borne_and_in_it_is_not() -> None:
    html = PAGE.format(meta='<meta charset="utf-8">').encode()
    beside = html.replace(b"Section 3<", b"Section \xff<")
    assert "peces pequeños" in main_text(beside, None, None).text
    inside = html.replace("pequeños".encode(), b"peque\xffos", 1)
    with pytest.raises(DataError, match="the page https://a.example has bytes that are no UTF-8, nor another"):
        main_text(inside, "https://a.example", "utf-8")
    with pytest.raises(DataError, match=r"the page \(without an address\) has bytes"):
        main_text(inside, None, None)


@pytest.mark.parametrize("html", [b"", b"<html></html>", b"<html><body>" + b"<div>" * 100_000, b"\x00", b"no html"])
def test_pages_without_text_and_traps(html: bytes) -> None:
    found = main_text(html, None, None)
    assert len(found.text) < 20
    assert found.dropped_bytes + utf8_size(found.text) == len(html)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared documents are not beside the checkout")
def test_boilerplate_does_not_dominate_an_encyclopaedia_page() -> None:
    html = (SHARED / "wiki_duck.html").read_bytes()
    found = main_text(html, "https://en.example.org/wiki/Duck", "utf-8")
    assert "Ducks are generally smaller and shorter-necked than swans and geese" in re.sub(r"\s+", " ", found.text) or (
        "Duck is the common name" in found.text
    )
    lines = found.text.splitlines()
    boilerplate = [
        line for line in lines if re.search(r"ISBN|Retrieved|Archived|\[edit\]|Jump to|Create account|doi:|^\| ", line)
    ]
    share = utf8_size("\n".join(boilerplate)) / utf8_size(found.text)
    assert share < 0.2
    assert len(found.text) > 10_000
    assert found.language == "en"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared documents are not beside the checkout")
def test_a_blog_post_without_its_menu() -> None:
    found = main_text((SHARED / "creativecommons_openness_in_ai.html").read_bytes(), None, "utf-8")
    assert "the EU AI Act" in found.text
    for beside in ("Donate", "cookies", "Newsletter", "Except where otherwise noted"):
        assert beside not in found.text
    assert "CC Joins Civil Society Letter" in str(found.title)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared documents are not beside the checkout")
def test_windows_1252_without_a_declaration() -> None:
    found = main_text((SHARED / "fake-html-cp1252.html").read_bytes(), None, None)
    assert "köstlich" in found.text
