"""How likely it is that a text is not what the page shows: its font maps glyphs to the wrong characters.

The score is the largest of six shares, each 0 for sound text: characters that no text holds (counted twice), letters in
words of several scripts, UTF-8 read as Latin-1, Latin words without a vowel, letters foreign to a known language, and
Arabic or Hebrew words written backwards.
"""

from __future__ import annotations

import functools
import re
import unicodedata

GARBLED = 0.2
SAMPLES, SAMPLE_CHARACTERS = 4, 10_000
FEW_WORDS = 40
SHORT_MIX = 3

NO_TEXT = re.compile(
    "\\(cid:\\d+\\)|[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd\ud800-\udfff\U000f0000-\U0010ffff]"
)
MOJIBAKE = re.compile("[\u00c2\u00c3\u00d0\u00d1][\u0080-\u00bf]|\u00e2\u20ac[\u0080-\u2122]")
# With the marks that stand on Latin, Greek, Cyrillic, Hebrew and Arabic letters.
WORD = re.compile("[^\\W\\d_](?:[^\\W\\d_]|[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670])*")
LATIN_WORD = re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]+")
VOWELLESS = re.compile("[b-df-hj-np-tv-xzB-DF-HJ-NP-TV-XZ]{4,}")
SPACE = re.compile(r"\s+")
ENDS_ONLY = frozenset("ةىךםןףץ")

EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "HALFWIDTH"})
SCRIPTS = EAST_ASIAN | frozenset(
    "LATIN GREEK CYRILLIC ARMENIAN HEBREW ARABIC SYRIAC THAANA NKO DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA TAMIL "
    "TELUGU KANNADA MALAYALAM SINHALA THAI LAO TIBETAN MYANMAR GEORGIAN ETHIOPIC CHEROKEE OGHAM RUNIC KHMER "
    "MONGOLIAN COPTIC".split()
)
OF_LANGUAGE = {
    "ja": EAST_ASIAN,
    "zh": EAST_ASIAN,
    "ko": EAST_ASIAN,
    "ru": {"CYRILLIC"},
    "uk": {"CYRILLIC"},
    "bg": {"CYRILLIC"},
    "el": {"GREEK"},
    "ar": {"ARABIC"},
    "fa": {"ARABIC"},
    "ur": {"ARABIC"},
    "he": {"HEBREW"},
    "hi": {"DEVANAGARI"},
    "th": {"THAI"},
}
LATIN_LANGUAGES = frozenset("en es fr de it pt nl ca gl eu sv da no fi pl cs tr ro hu id vi la".split())


def garbled_score(text: str, language: str | None = None) -> float:
    """0 for sound text to 1; GARBLED is the limit. `language` (ISO 639) sharpens it. Looks at 40 000 characters."""
    sample = _sample(text)
    dense = SPACE.sub("", sample)
    if not dense:
        return 0.0
    words = WORD.findall(sample)
    letters = sum(map(len, words)) or 1
    signals = (
        2 * sum(map(len, NO_TEXT.findall(dense))) / len(dense),
        _mixed_letters(words) / letters,
        2 * len(MOJIBAKE.findall(dense)) / letters,
        _vowelless(words),
        _foreign(words, letters, language),
        _backwards(words),
    )
    return min(1.0, max(signals))


def _sample(text: str) -> str:
    if len(text) <= SAMPLES * SAMPLE_CHARACTERS:
        return text
    step = (len(text) - SAMPLE_CHARACTERS) // (SAMPLES - 1)
    return " ".join(text[at : at + SAMPLE_CHARACTERS] for at in range(0, step * SAMPLES, step))


@functools.lru_cache(maxsize=4096)
def _script(letter: str) -> str | None:
    """The script that a letter's name begins with; None for letters that go with every script."""
    first = unicodedata.name(letter, "").partition(" ")[0]
    return first if first in SCRIPTS else None


def _mixed_letters(words: list[str]) -> int:
    """Letters in words that mix scripts; Latin within East Asian text is usual, and so is a short "μm"."""
    count = 0
    for word in words:
        if word.isascii() or len(word) <= SHORT_MIX or LATIN_WORD.fullmatch(word):
            continue
        scripts = {"EAST ASIAN" if script in EAST_ASIAN else script for script in map(_script, word)} - {None}
        if len(scripts) > 1 and scripts != {"EAST ASIAN", "LATIN"}:
            count += len(word)
    return count


def _vowelless(words: list[str]) -> float:
    """Share of Latin words of four letters and more that have no vowel; shifted character codes look so."""
    latin = [word for word in words if len(word) > 3 and word.isascii()]
    if len(latin) < FEW_WORDS:
        return 0.0
    return sum(1 for word in latin if VOWELLESS.fullmatch(word)) / len(latin)


def _foreign(words: list[str], letters: int, language: str | None) -> float:
    """1 where hardly a letter (a tenth) is in the script of `language`."""
    expected = OF_LANGUAGE.get(language or "", {"LATIN"} if language in LATIN_LANGUAGES else None)
    if expected is None or len(words) < FEW_WORDS:
        return 0.0
    fitting = sum(1 for word in words for letter in word if _script(letter) in expected)
    return 1.0 if fitting < 0.1 * letters else 0.0


def _backwards(words: list[str]) -> float:
    """1 where letters that only end a word mostly begin one."""
    begin = sum(1 for word in words if word[0] in ENDS_ONLY)
    end = sum(1 for word in words if word[-1] in ENDS_ONLY)
    return 1.0 if begin + end >= 10 and begin > end else 0.0
