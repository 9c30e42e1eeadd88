"""Unigram with byte fallback → llama.cpp's plamo2 vocabulary.

llama.cpp's own unigram model (t5) writes <unk> for a character that it does not know, ours writes its bytes. plamo2's
is the same search for the likeliest cut and does fall back to bytes. It keeps scores as whole multiples of 1e-4 and
counts an unknown character as -1000, so scores are stretched as far as that allows: the finer, the fewer false ties.

Two things differ, and the export's proof knows them: of cuts that are equally likely (the same pieces in another order,
as in runs of spaces) it takes the mirror image of ours, and a byte-order mark at the very start of a text is dropped.
"""

from __future__ import annotations

from pydantic import JsonValue

from loquela.export.formats.gguf.vocabulary_contract import TokenKind, Vocabulary, refused
from loquela.tokenizers.backends.unigram import NEVER, WORDS
from loquela.tokenizers.contract import UNKNOWN
from loquela.tokenizers.sentence_piece import BYTE_TOKENS

LOWEST = -900.0
"""The stretched score of the least likely piece: above plamo2's -1000 for an unknown character."""

SILENT = -3000.0
"""Score of tokens that no text may become: plamo2 leaves out what is not above -2000."""

WORD_CUT: JsonValue = {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": False}


def unigram_vocabulary(document: dict[str, JsonValue], roles: dict[str, str]) -> Vocabulary:
    """The vocabulary of a unigram tokenizer.json; RecipeError(UNSUPPORTED_FORMAT) for one not made as ours are."""
    model = document.get("model")
    pieces = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(pieces, list) or not model.get("byte_fallback"):
        raise refused("its unigram model does not fall back to bytes")
    if document.get("normalizer") is not None or document.get("pre_tokenizer") != WORD_CUT:
        raise refused("its unigram model normalises or cuts text in a way that llama.cpp does not know")
    scored = [(str(pair[0]), _number(pair[1])) for pair in pieces if isinstance(pair, list) and len(pair) == 2]
    special = {name for role, name in roles.items()}
    return plamo2(scored, special, roles)


def plamo2(scored: list[tuple[str, float]], special: set[str], roles: dict[str, str]) -> Vocabulary:
    """A plamo2 vocabulary of (piece with real spaces, log probability) by id."""
    silent = {*BYTE_TOKENS, *special}
    lowest = min((score for piece, score in scored if piece not in silent), default=NEVER)
    stretch = LOWEST / min(lowest, -1.0)
    ids = {piece: token_id for token_id, (piece, _) in enumerate(scored)}
    missing = [piece for piece in BYTE_TOKENS if piece not in ids]
    if missing:
        raise refused(f"it has no token for {len(missing)} of the 256 bytes")
    return Vocabulary(
        model="plamo2",
        tokens=[piece for piece, _ in scored],
        kinds=[_kind(piece, special) for piece, _ in scored],
        scores=[SILENT if piece in silent else score * stretch for piece, score in scored],
        roles={role: ids[token] for role, token in roles.items() if token in ids},
    )


def _kind(piece: str, special: set[str]) -> TokenKind:
    if piece == UNKNOWN:
        return TokenKind.UNKNOWN
    if piece in special:
        return TokenKind.CONTROL
    return TokenKind.BYTE if piece in BYTE_TOKENS else TokenKind.NORMAL


def _number(value: JsonValue) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise refused("a piece of its unigram model has no score")
