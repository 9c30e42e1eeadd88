"""The little grammar that English and Spanish rules share: how a sentence begins, ends and how many there are."""

from __future__ import annotations

import re

# An end mark with another sentence behind it; abbreviations ("e.g. ") are taken for one, which only costs a frame.
_INNER_END = re.compile(r"[.!?:;…]['\"»)\]]*\s+\S|\n")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
PROTECTED = re.compile(
    r"```.*?```|`[^`\n]*`|\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|(?<!\w)'[^'\n]+'(?!\w)|https?://\S+|\S+@\S+|\{[^{}\n]*\}",
    re.DOTALL,
)


_MATERIAL = re.compile(r":\s|\n")


def whole_word(text: str) -> str:
    """A regular expression for `text` as a word of its own, not a part of "children's" or "and/or"."""
    return rf"(?<![\w'’/-]){re.escape(text)}(?![\w/]|['’-]\w)"


def material_start(text: str) -> int:
    """Where what a question works on begins: behind a colon or a line end. It must not be reworded."""
    found = _MATERIAL.search(text)
    return found.start() if found else len(text)


def is_one_sentence(text: str) -> bool:
    """Whether nothing begins anew within `text`."""
    return not _INNER_END.search(text.strip())


def has_code(text: str) -> bool:
    """Whether a part of `text` is code, where white space and case mean something."""
    return bool(_CODE.search(text))


def without_end(text: str) -> str:
    """`text` without its last full stop or exclamation mark."""
    return text.rstrip().rstrip(".!").rstrip()


def lowered(text: str) -> str:
    """`text` with a small first letter, unless its first word is a name or an abbreviation by its looks."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    if first == "I" or first.startswith(("I'", "I’")) or sum(letter.isupper() for letter in first) > 1:
        return text
    return text[:1].lower() + text[1:]


def raised(text: str) -> str:
    """`text` with a capital first letter; an opening mark before it stays."""
    for place, letter in enumerate(text):
        if letter.isalpha():
            return text[:place] + letter.upper() + text[place + 1 :]
        if letter not in "¿¡\"'«“(":
            return text
    return text


def in_case_of(model: str, text: str) -> str:
    """`text` in the case of the word it stands in for: Title, UPPER or as it is."""
    if model.isupper() and len(model) > 1:
        return text.upper()
    return text[:1].upper() + text[1:] if model[:1].isupper() else text
