"""Personal data in a text: found by form, proven by checksum where there is one, replaced by stable pseudonyms.

A pseudonym is a keyed digest (HMAC-SHA256) of what was found, written the one canonical way: the same address gets
the same pseudonym in every document and every order of reading, and nobody without the key can test a guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterator

from loquela.core.errors import ErrorCode, ResourceError
from loquela.data.validation.pii_proofs import digits_of, is_card, is_dni, is_iban, is_ip, is_ssn
from loquela.data.validation.verdict import Span
from loquela.recipe.validation_section import PiiKind, PiiOptions

PSEUDONYM_DIGITS = 6
LONGEST_EMAIL_PART, LONGEST_DOMAIN = 64, 253
CONTEXT_CHARACTERS = 32

_LOCAL = re.compile(r"[A-Za-z0-9À-ÿ][\w.+%'-]{0,63}$")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])")
_REMOTE_PATH = re.compile(r":[\w./~]")  # git@host:team/repository
_SPELT = re.compile(
    r"\b[A-Za-z0-9._+-]{1,64}(?: ?\((?:at|arroba)\) ?| ?\[(?:at|arroba)\] ?| (?:at|arroba) )"
    r"[A-Za-z0-9-]{1,63}(?:(?: ?[(\[](?:dot|punto)[)\]] ?| (?:dot|punto) )[A-Za-z0-9-]{2,63}){1,4}\b",
    re.IGNORECASE,
)
_SPELT_AT, _SPELT_DOT = (" at ", "(at)", "[at]", "arroba"), ("dot", "punto")
_NUMBER = re.compile(r"(?<![\w.,/:-])(?:\+|00|\()?\d(?:[ .()/-]{0,2}\d){5,18}(?![\w/]|[.,:-]\d)")
_CARD = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w]|[.,-]\d)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}\b")
_DNI = re.compile(r"(?<![\w.-])(?:\d{8}|\d{2}\.\d{3}\.\d{3}|[XYZxyz]-?\d{7})[- ]?[A-Za-z](?!\w)")
_SSN = re.compile(r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w]|-\d)")
_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|\.\d)")
_SECRET = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{22,255}\b|\bglpat-[\w-]{20,64}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,255}\b|\bsk-[A-Za-z0-9_-]{20,255}\b|\bAIza[\w-]{35}\b|\bhf_[A-Za-z0-9]{30,64}\b"
    r"|\beyJ[\w-]{10,1000}\.[\w-]{10,4000}\.[\w-]{10,1000}\b|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
)
_SECRET_STARTS = (
    "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk-", "AIza", "hf_", "eyJ",
    "-----BEGIN",
)  # fmt: skip
_PHONE_CUE = re.compile(
    r"(?i)(?:phone|tel[eé]?f?o?n?o?s?|call|fax|mobile|m[oó]vil|celular|cell|whatsapp|llam\w{0,5}|number|n[uú]mero|contact\w{0,3})"
    r"\W{0,12}(?:\w{1,12}\W{1,3}){0,2}$|\bat $"
)
_US_FULL = re.compile(r"(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}")
_US_LOCAL = re.compile(r"[2-9]\d{2}-\d{4}")
_ES = re.compile(r"[6789]\d{2}(?:([ .-])\d{3}\1\d{3}|([ .-])\d{2}\2\d{2}\2\d{2})|9\d([ .-])\d{3}\3\d{2}\3\d{2}")
_ES_BARE = re.compile(r"[6789]\d{8}")
_INTERNATIONAL = re.compile(r"(?:\+|00)[1-9](?:[ .()/-]{0,2}\d){6,14}")

Finder = Callable[[str], Iterator[Span]]


def _emails(text: str) -> Iterator[Span]:
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text[max(0, at - LONGEST_EMAIL_PART) : at])
        domain = _DOMAIN.match(text, at + 1, at + 1 + LONGEST_DOMAIN)
        if local and domain and not _REMOTE_PATH.match(text, domain.end()):
            yield Span("email", at - len(local[0]), domain.end())
        at = text.find("@", at + 1)
    lower = text.lower()
    if any(sign in lower for sign in _SPELT_DOT) and any(sign in lower for sign in _SPELT_AT):
        yield from (Span("email", match.start(), match.end()) for match in _SPELT.finditer(text))


def _phones(text: str) -> Iterator[Span]:
    for match in _NUMBER.finditer(text):
        found = match[0]
        if _is_phone(found, text[max(0, match.start() - CONTEXT_CHARACTERS) : match.start()]):
            yield Span("phone", match.start(), match.end())


def _is_phone(found: str, before: str) -> bool:
    if any(shape.fullmatch(found) for shape in (_US_FULL, _ES)):
        return True
    if _INTERNATIONAL.fullmatch(found):
        return len(digits_of(found)) <= 15 or found.startswith("00")
    # Seven digits, or nine in a row, are phone numbers where the words before them say so.
    local = _US_LOCAL.fullmatch(found) or _ES_BARE.fullmatch(found)
    return bool(local and _PHONE_CUE.search(before))


def _proven(kind: PiiKind, shape: re.Pattern[str], proof: Callable[[str], bool]) -> Finder:
    def find(text: str) -> Iterator[Span]:
        return (Span(kind, match.start(), match.end()) for match in shape.finditer(text) if proof(match[0]))

    return find


def _national_ids(text: str) -> Iterator[Span]:
    yield from _proven("national_id", _DNI, is_dni)(text)
    yield from _proven("national_id", _SSN, is_ssn)(text)


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        # The form is open to the right: the words after an IBAN look like groups of it.
        for end in range(match.end(), match.start() + 15, -1):
            if is_iban(text[match.start() : end]) and text[end - 1] not in " -" and not text[end : end + 1].isalnum():
                yield Span("iban", match.start(), end)
                break


def _addresses(text: str) -> Iterator[Span]:
    shapes = [shape for sign, shape in ((".", _IP4), (":", _IP6)) if sign in text]
    for match in (match for shape in shapes for match in shape.finditer(text)):
        if is_ip(match[0], text[max(0, match.start() - CONTEXT_CHARACTERS) : match.start()]):
            yield Span("ip", match.start(), match.end())


def _secrets(text: str) -> Iterator[Span]:
    if any(start in text for start in _SECRET_STARTS):
        yield from (Span("secret", match.start(), match.end()) for match in _SECRET.finditer(text))


# In this order, the surest first: what one kind has taken, the next cannot.
FINDERS: dict[PiiKind, Finder] = {
    "secret": _secrets,
    "email": _emails,
    "iban": _ibans,
    "credit_card": _proven("credit_card", _CARD, is_card),
    "national_id": _national_ids,
    "ip": _addresses,
    "phone": _phones,
}


def find_pii(text: str, kinds: list[PiiKind]) -> list[Span]:
    """Personal data of those `kinds`, in order, without overlaps."""
    taken: list[Span] = []
    has_digit = re.search(r"\d", text) is not None
    for kind, find in FINDERS.items():
        if kind not in kinds or (not has_digit and kind not in ("email", "secret")):
            continue
        found = [
            span for span in find(text) if all(span.end <= other.start or other.end <= span.start for other in taken)
        ]
        taken.extend(found)
    return sorted(taken, key=lambda span: span.start)


class Pseudonyms:
    """Stands for personal data, always the same for the same data."""

    def __init__(self, options: PiiOptions) -> None:
        """Raises ResourceError(AUTH_FAILED) when the environment variable with the key is not set."""
        name = options.key_environment
        secret = os.environ.get(name, "") if name else f"loquela.pseudonyms.{options.seed}"
        if not secret:
            raise ResourceError(
                ErrorCode.AUTH_FAILED,
                f"data.validation.pii.key_environment: the environment variable {name} is not set",
                f"set {name} to the secret that this corpus's pseudonyms are made with",
                details={"variable": name},
            )
        self._key = secret.encode("utf-8")

    def of(self, kind: str, found: str) -> str:
        """`<kind-xxxxxx>`; spelling differences of the same datum make no difference."""
        canonical = found.lower() if kind in ("email", "ip") else re.sub(r"[\s.()/-]", "", found)
        if kind in ("iban", "national_id"):
            canonical = canonical.upper()
        digest = hmac.new(self._key, f"{kind}\0{canonical}".encode(), hashlib.sha256).hexdigest()
        return f"<{kind}-{digest[:PSEUDONYM_DIGITS]}>"

    def replace(self, text: str, spans: list[Span]) -> str:
        """`text` with a pseudonym in the place of each span."""
        parts = []
        at = 0
        for span in spans:
            parts += [text[at : span.start], self.of(span.kind, text[span.start : span.end])]
            at = span.end
        return "".join([*parts, text[at:]])
