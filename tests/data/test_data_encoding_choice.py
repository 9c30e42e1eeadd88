"""Which encoding a text is in: own samples in many languages, and files in the wild."""

from __future__ import annotations

import codecs
import json
import random

import pytest
from reading_objects import SHARED, decoded

from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.encoding.fallback import choose_encoding
from loquela.data.encoding.language_hint import hinted_language
from loquela.data.encoding.names import extends_ascii, known_encoding, zero_pattern
from loquela.recipe.encoding_section import EncodingSection

SAMPLES = {
    "es": "El niño soñó que la mañana llegaría más tarde. ¿Quién lo diría? ¡Qué ocasión para los que se acuerdan del "
    "año en que el río creció y se llevó la casa de la señora Íñiguez, que era de piedra y cal!",
    "en": "The café was “closed”, she said — but the naïve waiter had not heard of it, and so they went on to the "
    "little house on the hill where his fiancée was waiting for them with a jar of jalapeños.",
    "fr": "L’été dernier, les élèves ont été reçus à l’hôtel de la forêt où ils ont mangé des pâtes et des gâteaux ; "
    "ça n’était pas très bon, mais la mère du garçon a dit que c’était déjà mieux que rien.",
    "de": "Die Straße führt über die Brücke zu den Häusern, in denen die Mädchen auf den großen Bären warten. Er ist "
    "nicht schön, aber für die Kinder ist er der größte Schatz, und auch der Vater hört ihm gern zu.",
}
BEYOND = [
    ("tr", "cp1254", "Bu şehirde güneş doğarken çocuklar ağaçların altında oyun oynar ve kuşların sesini dinler."),
    ("ru", "cp1251", "Вчера вечером мы гуляли по набережной и говорили о том, как быстро проходит лето."),
    ("ru", "koi8-r", "Вчера вечером мы гуляли по набережной и говорили о том, как быстро проходит лето."),
    ("ko", "cp949", "어제 저녁에 우리는 강가를 걸으며 여름이 얼마나 빨리 지나가는지 이야기했다."),
    ("ja", "cp932", "昨日の夕方、私たちは川沿いを歩きながら、夏がどれほど早く過ぎるかを話しました。"),
    ("zh", "gb18030", "昨天晚上我们在河边散步，谈论着夏天过得多么快，孩子们在树下玩耍。"),
    ("el", "cp1253", "Χθες το βράδυ περπατούσαμε δίπλα στο ποτάμι και μιλούσαμε για το καλοκαίρι που περνά."),
    (
        "pl",
        "cp1250",
        "Wczoraj wieczorem szliśmy nad rzeką i rozmawialiśmy o tym, jak szybko mija lato i że już żółkną.",
    ),
]


@pytest.mark.parametrize("language", SAMPLES)
def test_western_texts_are_windows_1252(language: str) -> None:
    data = SAMPLES[language].encode("cp1252")
    choice = choose_encoding(data, declared=None, language=None)
    assert data.decode(choice.encoding) == SAMPLES[language]
    assert choice.encoding == "cp1252"
    assert hinted_language(data) == language
    assert choice.evidence == f"Western language ({language}, told by its words) and reads as Windows-1252"
    assert 0.9 < choice.confidence < 1


@pytest.mark.parametrize(("language", "encoding", "text"), BEYOND, ids=[f"{row[0]}-{row[1]}" for row in BEYOND])
def test_other_scripts_are_told_by_statistics(language: str, encoding: str, text: str) -> None:
    data = text.encode(encoding)
    for stated in (None, language):
        choice = choose_encoding(data, declared=None, language=stated)
        assert data.decode(choice.encoding) == text, choice


def test_marks_zero_bytes_and_utf8_prove_themselves() -> None:
    text = "Año, mañana.\n"
    assert choose_encoding(text.encode(), declared="cp1252", language="es").encoding == "utf-8"
    assert choose_encoding(b"plain", declared=None, language=None).confidence == 1.0
    for mark, encoding in ((codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF32_LE, "utf-32-le")):
        assert choose_encoding(mark + text.encode(encoding), declared=None, language=None).encoding == encoding
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        choice = choose_encoding((text * 5).encode(encoding), declared=None, language=None)
        assert (choice.encoding, choice.evidence) == (encoding, "zero bytes where it has them")
    assert zero_pattern("Вчера мы гуляли по реке, и было 5 часов.\n".encode("utf-16-le") * 3) == "utf-16-le"
    assert zero_pattern(b"a\0\0b\0c\0\0") is None
    assert zero_pattern(bytes(64)) is None


def test_what_the_place_declares_holds_when_the_bytes_are_that() -> None:
    text = SAMPLES["es"]
    latin = choose_encoding("año".encode("latin-1"), declared="ISO-8859-1", language=None)
    assert (latin.encoding, latin.evidence) == ("iso8859-1", "declared")
    wider = choose_encoding("“año”".encode("cp1252"), declared="ISO-8859-1", language=None)
    assert wider.encoding == "cp1252"
    assert wider.evidence == "declared as iso8859-1, of which it is the wider form"
    assert choose_encoding(text.encode("cp1252"), declared="gb18030", language="es").encoding == "cp1252"
    assert choose_encoding(text.encode("cp1252"), declared="utf-8", language=None).encoding == "cp1252"
    with pytest.raises(DataError, match="the source declares the encoding 'base64', which is unknown"):
        choose_encoding(b"\xff", declared="base64", language=None)


def test_nothing_fits_is_said_and_not_guessed() -> None:
    choice = choose_encoding(b"plain text \xff\xfe and more", declared=None, language="es")
    assert (choice.encoding, choice.confidence, choice.evidence) == ("utf-8", 0.0, "no encoding reads all of it")


def test_encodings_that_do_not_extend_ascii() -> None:
    assert extends_ascii("cp1252")
    assert extends_ascii("gb18030")
    for encoding in ("utf-16-le", "cp500", "utf-7", "iso2022_jp", "hz"):
        assert not extends_ascii(encoding)
    assert known_encoding(" US-ASCII ", "a") == "utf-8"


def test_a_missing_detector_is_asked_for_only_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "chardet", None)
    assert choose_encoding(SAMPLES["es"].encode("cp1252"), declared=None, language=None).encoding == "cp1252"
    with pytest.raises(ResourceError, match="telling the encoding of a text needs the package chardet") as caught:
        choose_encoding(BEYOND[1][2].encode("cp1251"), declared=None, language=None)
    assert caught.value.code == ErrorCode.MISSING_EXTRA


shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the test data is not beside the checkout")


@shared
@pytest.mark.parametrize("size", [300, 4096, 20_000])
def test_spanish_books_in_windows_1252(size: int) -> None:
    """Where a well-known detector reads 57 of 200 right."""
    books = [path.read_text(encoding="utf-8") for path in sorted((SHARED / "gutenberg/es").glob("*.txt"))]
    pick = random.Random(size)
    right = wanted = 0
    while wanted < 200:
        book = pick.choice(books)
        place = pick.randrange(len(book) - size)
        try:
            data = book[place : place + size].encode("cp1252")
        except UnicodeEncodeError:
            continue
        if data.isascii():
            continue
        wanted += 1
        choice = choose_encoding(data, declared=None, language=None)
        right += data.decode(choice.encoding, "replace") == book[place : place + size]
    assert right == 200


def manifest() -> list[dict]:
    path = SHARED / "documents/manifest.jsonl"
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if "/txt/" in row["file"] or row["file"].endswith("fake-html-cp1252.html")]


@shared
@pytest.mark.parametrize("row", manifest(), ids=lambda row: row["file"].rpartition("/")[2])
def test_files_in_the_wild(row: dict) -> None:
    data = (SHARED / row["file"]).read_bytes()
    found = decoded(data, EncodingSection(on_invalid="repair", repair_mojibake=False))
    named = row.get("encoding", "utf-8")
    if named in ("mixed", "utf-8 with errors"):
        assert found.report.encoding == "utf-8"
        assert found.report.invalid_count > 0
    else:
        assert found.text == data.decode(named).replace("\r\n", "\n").replace("\r", "\n")
        assert (found.report.invalid_count, found.report.quarantined, found.report.repaired) == (0, 0, {})
    assert not found.text.startswith("\ufeff")
    for wanted in row.get("must_contain", []):
        assert wanted in found.text


@shared
def test_marianela_comes_back_from_every_damage() -> None:
    book = (SHARED / "gutenberg/es/galdos_marianela.txt").read_text(encoding="utf-8")
    for name in ("latin1_crlf", "mixed_utf8_cp1252", "mojibake"):
        data = (SHARED / f"documents/txt/marianela_{name}.txt").read_bytes()
        found = decoded(data, EncodingSection(on_invalid="repair"))
        assert found.text in book, name
        assert len(found.text) > 23_000
    damaged = (SHARED / "documents/txt/marianela_invalid_bytes.txt").read_bytes()
    report = decoded(damaged, EncodingSection()).report
    places = [(place.offset, place.line, place.bytes_hex) for place in report.invalid]
    assert places == [
        (1000, 16, "00"), (1001, 16, "00"), (3000, 57, "ff"), (3001, 57, "fe"), (5000, 99, "eda080"),
        (23846, 496, "c3"),
    ]  # fmt: skip
    assert report.quarantined == 4
