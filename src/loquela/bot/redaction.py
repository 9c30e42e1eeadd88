"""What leaves for Discord: no paths, no secrets, no quoted text of the user's data, nothing that pings or formats."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from loquela.core.redaction import SECRET, without_secrets

PATH, QUOTE = "[path]", "[text]"
# A quotation longer than this is likely to be somebody's text, not the name of a setting.
LONGEST_QUOTATION = 40

_UNITS = frozenset({"tokens/s", "steps/s", "it/s", "and/or", "n/a", "s/step"})
_FRACTION = re.compile(r"\d+(?:\.\d+)?/\d+(?:\.\d+)?%?")
_EDGES = "\"'`“”‘’«»()[]{},;:.!?="
_QUOTED = re.compile(r"\"([^\"]*)\"|'((?:[^'\\]|\\.)*)'(?!\w)|`([^`]*)`|“([^”]*)”|«([^»]*)»")
# Beyond what looks like a secret anywhere: in a place that others read, rather too much is hidden than too little.
_LOOKS_SECRET_HERE = (
    re.compile(r"(?i)\b(\w*(?:secret|token))\s*[=:]\s*[^\s,;]+"),
    re.compile(r"\b(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[A-Za-z0-9+=_-]{32,}"),
)
_MARKS = re.compile(r"([\\*_~`|>#\[\]()<:@-])")
_BETWEEN_PATHS = re.compile(rf"{re.escape(PATH)}(?:\s+\S+){{0,3}}\s+{re.escape(PATH)}")


class Redactor:
    """Makes text of the service fit to be shown. `secrets` are values that are known and never to be seen."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = list(secrets)

    def without_secrets(self, text: str) -> str:
        """`text` without what is known, or looks like, a secret."""
        text = without_secrets(text, self._secrets)
        for pattern in _LOOKS_SECRET_HERE:
            text = pattern.sub(SECRET, text)
        return text

    def plain(self, text: str, longest: int = 300) -> str:
        """`text` in one line without paths, secrets, long quotations and control characters, cut to `longest`."""
        text = "".join(" " if c.isspace() else c for c in text if c.isspace() or _visible(c))
        text = _QUOTED.sub(_short_quotation, self.without_secrets(text))
        words = [_without_path(word) for word in text.split()]
        text = _BETWEEN_PATHS.sub(PATH, " ".join(words))
        while (shorter := _BETWEEN_PATHS.sub(PATH, text)) != text:
            text = shorter
        return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"

    def text(self, text: str, longest: int = 300) -> str:
        """The same for a place that formats: every mark of Discord's is escaped, and nobody is mentioned."""
        return escaped(self.plain(text, longest))


def escaped(text: str) -> str:
    """`text` as Discord shows it letter by letter: no bold, no link, no mention, no emoji."""
    return _MARKS.sub(r"\\\1", text).replace("\\@", "@\u200b")


def coded(text: str) -> str:
    """`text` between backticks, where marks mean nothing; a backtick inside becomes an apostrophe."""
    return f"`{text.replace('`', chr(39)).replace('@', '@' + chr(0x200B))}`"


def _visible(character: str) -> bool:
    """Neither a control character nor one that turns the direction of what follows."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def _short_quotation(found: re.Match[str]) -> str:
    inner = next(group for group in found.groups() if group is not None)
    return found.group(0) if len(inner) <= LONGEST_QUOTATION else QUOTE


def _without_path(word: str) -> str:
    """Every word with a slash or backslash is a path or an address, but for units and fractions."""
    core = word.strip(_EDGES)
    if "/" not in core and "\\" not in core and not core.startswith("~"):
        return word
    if core in _UNITS or _FRACTION.fullmatch(core):
        return word
    start = word.index(core)
    return word[:start] + PATH + word[start + len(core) :]
