"""One token's way back: token → document → source object and bytes, every step read again and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.corpus import Document, Lineage, read_documents
from loquela.artifacts.data_views import TokenTrace
from loquela.artifacts.manifest import corrupt
from loquela.artifacts.proof import Proof
from loquela.artifacts.shards import TokenShards
from loquela.artifacts.token_places import DocumentSpan, document_at
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.data.access.source_registry import source_for
from loquela.data.corpus.drafts import document_id
from loquela.data.corpus.fingerprint import downloads_directory
from loquela.data.source_contract import SourceRequest, SourceText
from loquela.data.tally import Tally
from loquela.recipe.schema import DataSection
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_tokenizer

SHOWN_CHARACTERS = 200


def trace_token(
    shards: Path, corpus: Path, tokenizer: Path, split: str, token: int, section: DataSection, output_directory: Path
) -> TokenTrace:
    """Follow token number `token` of `split` back to the bytes it came from.

    `section` is the recipe's, to read the source again. Raises DataError: DATA_NOT_FOUND for a token that is not there,
    CORRUPTION when the corpus is not the one that the shards were made from.
    """
    span = document_at(shards, split, token)
    stream = TokenShards(shards, split)
    document = _document(corpus, split, span)
    handle = load_tokenizer(tokenizer)
    ids = stream.read(span.start, span.end).tolist()
    place = token - span.start
    return TokenTrace(
        split=split,
        token=token,
        id=ids[place],
        text=handle.token_text(ids[place]),
        before=handle.decode(ids[:place])[-SHOWN_CHARACTERS:],
        after=handle.decode([each for each in ids[place + 1 :] if each != stream.eos_id])[:SHOWN_CHARACTERS],
        shard=span.shard,
        document_number=span.number,
        document=document.id,
        place=place,
        source=document.source,
        language=document.language,
        group=document.group,
        labels=document.labels,
        lineage=document.lineage,
        checks=[
            _check_document(document, span),
            _check_tokens(document, ids, handle),
            _check_source(document, section, downloads_directory(output_directory)),
        ],
    )


def _document(corpus: Path, split: str, span: DocumentSpan) -> Document:
    for number, document in enumerate(read_documents(corpus, split)):
        if number == span.number:
            return document
    raise corrupt(corpus, f"it has no document number {span.number} in {split}, which the shards were made from")


def _check_document(document: Document, span: DocumentSpan) -> Proof:
    digest = document_id(document.text)
    passed = document.id == digest and span.id in (None, digest)
    said = f"its text has the digest {digest[:12]}…, as corpus and shards say"
    if not passed:
        said = f"its text has the digest {digest[:12]}…, the corpus says {document.id[:12]}, the shards {span.id}"
    return Proof(name="document", passed=passed, message=said, remedy="" if passed else "run the recipe again")


def _check_tokens(document: Document, ids: list[int], handle: TokenizerHandle) -> Proof:
    again = [*handle.encode(document.text), handle.eos_id]
    passed = again == ids
    said = (
        f"the tokenizer makes the same {len(ids)} tokens of it" if passed else "the tokenizer makes other tokens of it"
    )
    return Proof(name="tokens", passed=passed, message=said, remedy="" if passed else "run the recipe again")


@dataclass(frozen=True)
class _ReadAgain:
    """What stands in the source now: the text, the digest of the raw bytes where it is known, and where that is."""

    text: str
    raw_sha256: str | None
    where: str


def _check_source(document: Document, section: DataSection, downloads: Path) -> Proof:
    lineage = document.lineage
    if lineage is None:
        return _unproven("the corpus does not say where the document came from")
    try:
        found = _from_file(lineage) or _from_source(document, lineage, section, downloads)
    except LoquelaError as error:
        return _unproven(f"the source cannot be read again: {error.message}")
    if found is None:
        return _unproven(f"{lineage.object} is not in the sources any more")
    passed, said = _compared(found, lineage)
    return Proof(
        name="source",
        passed=passed,
        message=f"{found.where} hold {said}",
        remedy="" if passed else "restore the source, or make the corpus anew",
        code=ErrorCode.DATA_CHANGED,
    )


def _compared(found: _ReadAgain, lineage: Lineage) -> tuple[bool, str]:
    """Whether text, and bytes where both digests are known, are what was read; in words."""
    same_text = hashlib.sha256(found.text.encode("utf-8", "surrogatepass")).hexdigest() == lineage.text_sha256
    if lineage.raw_sha256 is None or found.raw_sha256 is None:
        return same_text, "the same text as when it was read" if same_text else "another text now"
    if found.raw_sha256 == lineage.raw_sha256:
        # The same bytes with another text: they are read by other rules now.
        said = "the same bytes and text as when it was read" if same_text else "another text now, of the same bytes"
        return same_text, said
    digests = f"(SHA-256 {found.raw_sha256[:12]}…, then {lineage.raw_sha256[:12]}…)"
    return False, f"{'the same text' if same_text else 'another text'} now, of other bytes {digests}"


def _unproven(why: str) -> Proof:
    return Proof(
        name="source",
        passed=False,
        message=why,
        remedy="put the source back where it was",
        code=ErrorCode.DATA_NOT_FOUND,
    )


def _from_file(lineage: Lineage) -> _ReadAgain | None:
    """The text in a plain file's bytes, when these alone say what it is; None leaves it to the source."""
    path = Path(lineage.object).expanduser()
    if lineage.record is not None or lineage.byte_start is None or lineage.byte_end is None or not path.is_file():
        return None
    with path.open("rb") as stream:
        stream.seek(lineage.byte_start)
        raw = stream.read(lineage.byte_end - lineage.byte_start)
    text = raw.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    if hashlib.sha256(text.encode("utf-8")).hexdigest() != lineage.text_sha256:
        return None  # another encoding, or repaired: the source knows how to read it
    where = f"bytes {lineage.byte_start:,} to {lineage.byte_end:,} of {lineage.object}"
    return _ReadAgain(text, hashlib.sha256(raw).hexdigest(), where)


def _from_source(document: Document, lineage: Lineage, section: DataSection, downloads: Path) -> _ReadAgain | None:
    """The text as its source gives it now."""
    # Sources whose address begins the name come first: the others would be read for nothing.
    entries = sorted(section.entries, key=lambda entry: not document.source.startswith(entry.address.rstrip("/*")))
    for entry in entries:
        request = SourceRequest(entry, section, downloads, section.seed)
        for text in source_for(entry.address).read(request, Tally()):
            if (text.object_name or text.name) == lineage.object and text.record == lineage.record:
                record = "" if lineage.record is None else f" of record {lineage.record}"
                where = f"characters {lineage.char_start:,} to {lineage.char_end:,}{record} of {lineage.object}"
                return _ReadAgain(_characters(text, lineage.char_start, lineage.char_end), text.raw_sha256, where)
            for _ in text.pieces:  # a source reads on when its text is used up
                pass
    return None


def _characters(text: SourceText, start: int, end: int) -> str:
    kept: list[str] = []
    position = 0
    for piece in _until(text.pieces, end):
        kept.append(piece[max(0, start - position) : max(0, end - position)])
        position += len(piece)
    return "".join(kept)


def _until(pieces: Iterator[str], end: int) -> Iterator[str]:
    seen = 0
    for piece in pieces:
        yield piece
        seen += len(piece)
        if seen >= end:
            return
