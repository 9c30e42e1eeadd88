"""Documents: joined again they are the text; cuts fall at paragraphs, and do not depend on the blocks."""

import unicodedata
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.data.corpus.normalize import normalize, normalized_size
from loquela.data.splitters.cut import cut
from loquela.recipe.schema import NormalizationSection

PROSE = st.lists(
    st.sampled_from(["a", "palabra ", "Fin. ", "«¿Sí?» ", "x" * 30, "\n", "\n\n", " \n\n\n", "日本。", "é" * 9]),
    max_size=120,
).map("".join)


def _lines(text: str, every: int) -> list[str]:
    """`text` in blocks of about `every` whole lines."""
    lines = text.split("\n")
    ended = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    return ["".join(ended[start : start + every]) for start in range(0, len(ended), every)]


@given(text=PROSE, size=st.integers(8, 64), every=st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_documents_joined_are_the_text_and_independent_of_blocks(text: str, size: int, every: int) -> None:
    documents = list(cut(iter([text]), size))
    assert "".join(documents) == text
    assert all(documents)
    assert list(cut(iter(_lines(text, every)), size)) == documents


@given(text=PROSE, size=st.integers(8, 64))
@settings(max_examples=100, deadline=None)
def test_no_document_is_longer_than_an_uncut_paragraph_may_be(text: str, size: int) -> None:
    for document in cut(iter([text]), size):
        assert len(document.encode()) <= 4 * size


def test_paragraphs_are_gathered_up_to_the_size() -> None:
    text = "one\n\ntwo\n\n\nthree\nfour\n\nfive"
    # one 5 bytes, two 6, three-four 12, five 4
    assert list(cut(iter([text]), 11)) == ["one\n\ntwo\n\n\n", "three\nfour\n\n", "five"]
    assert list(cut(iter([text]), 16)) == ["one\n\ntwo\n\n\n", "three\nfour\n\nfive"]


def test_long_paragraph_stays_whole_up_to_four_times_the_size() -> None:
    paragraph = "a sentence. " * 3 + "end\n\n"  # 41 bytes
    assert list(cut(iter([paragraph + "b"]), 11)) == [paragraph, "b"]


def test_longer_paragraph_is_cut_at_lines_then_sentences_then_spaces() -> None:
    assert list(cut(iter(["line one\nline two\nline three\nline four\nline five"]), 11)) == [
        "line one\n",
        "line two\n",
        "line three\n",
        "line four\n",
        "line five",
    ]
    assert list(cut(iter(["Yes it is. No. «It is not!» Is it? Well… maybe. So be it. " * 2]), 16))[:4] == [
        "Yes it is. No. ",  # 15 bytes
        "«It is not!» ",  # 15
        "Is it? Well… ",  # 15
        "maybe. ",
    ]
    assert list(cut(iter(["word " * 12]), 13)) == ["word word "] * 6
    assert list(cut(iter(["ñ" * 30]), 13)) == ["ñ" * 6] * 5


@given(text=PROSE, every=st.integers(1, 5), form=st.sampled_from(["nfc", "nfkc"]))
@settings(max_examples=60, deadline=None)
def test_normalising_blocks_of_lines_equals_normalising_the_whole(text: str, every: int, form: str) -> None:
    section = NormalizationSection.model_validate({"unicode": form, "lowercase": True})
    text = text.replace("é", "e\u0301").replace("a", "ΑΣ")
    whole, _ = normalize(text, section)
    assert "".join(normalize(block, section)[0] for block in _lines(text, every)) == whole


@given(text=PROSE, size=st.integers(8, 64), every=st.integers(1, 9), form=st.sampled_from(["nfc", "nfkc"]))
@settings(max_examples=100, deadline=None)
def test_documents_normalised_after_the_cut_are_those_of_normalised_text(
    text: str, size: int, every: int, form: str
) -> None:
    section = NormalizationSection.model_validate({"unicode": form, "lowercase": True})
    decomposed = unicodedata.normalize("NFD", text)
    size_of = partial(normalized_size, section=section)
    pieces = list(cut(iter(_lines(decomposed, every)), size, size_of))
    assert "".join(pieces) == decomposed
    assert [normalize(piece, section)[0] for piece in pieces] == list(cut(iter([normalize(text, section)[0]]), size))


def test_normalisation_reports_what_it_changed() -> None:
    section = NormalizationSection(unicode="nfkc", lowercase=True, remove_special_chars=True)
    text, changes = normalize("\ufb01n E\u0301L\u200b\x07\tok\n", section)
    assert text == "fin él\tok\n"
    # ligature 3 bytes → 2; e and accent 3 → 2; zero-width space 3 and bell 1 → 0
    assert changes == {"nfkc": -2, "lowercase": 0, "special_characters_removed": -4}
    assert normalize("plain", section) == ("plain", {})
    assert normalize("e\u0301", NormalizationSection(unicode="none")) == ("e\u0301", {})
