"""Sources → corpus: read, decode, cut, normalise, drop exact duplicates, draw the split; every byte accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.corpus import LEDGER_NAME, SPLITS, CorpusWriter, Document
from loquela.core.atomic import write_json
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.data.drafts import drafts
from loquela.data.source_contract import SourceFingerprint, SourceRequest
from loquela.data.source_registry import source_for
from loquela.data.split import Draft, Splitter, assign
from loquela.data.tally import Ledger, Tally, utf8_size
from loquela.monitoring.events import Bus, trace
from loquela.recipe.schema import DataSection


class SplitCount(BoundaryModel):
    """Size of one split; bytes are UTF-8 bytes of the texts."""

    documents: int
    bytes: int


class CorpusFacts(BoundaryModel):
    """The manifest facts of a corpus; `sources` are the fingerprints of what it was made from, by address."""

    documents: int
    bytes: int
    languages: dict[str, int]
    splits: dict[str, SplitCount]
    sources: dict[str, SourceFingerprint]


class CorpusLedger(Ledger):
    """The arrows, and the checksums of what flowed through them."""

    sources: dict[str, SourceFingerprint]


def requests(section: DataSection, downloads: Path, seed: int) -> list[SourceRequest]:
    """One request for every entry of `data.sources`."""
    return [SourceRequest(entry, section, downloads, seed) for entry in section.entries]


def build_corpus(
    section: DataSection,
    *,
    seed: int,
    downloads: Path,
    directory: Path,
    bus: Bus,
    between_documents: Callable[[], None] = lambda: None,
) -> CorpusFacts:
    """Write `documents.jsonl` and `ledger.json` into `directory`; `between_documents` may raise to stop.

    Raises DataError: DATA_NOT_FOUND, INSUFFICIENT_DATA, ENCODING_ERROR, CORRUPT_DATA, READ_FAILED, DATA_CHANGED for a
    source that changed while it was read; RecipeError and ResourceError from the sources.
    """
    tally = Tally()
    fingerprints: dict[str, SourceFingerprint] = {}
    languages: dict[str, int] = {}
    asked = requests(section, downloads, seed)
    distinct = _drafts(asked, tally, fingerprints, bus, between_documents)
    splitter = Splitter(seed, section.validation_fraction, section.test_fraction)
    trace(
        bus,
        "DatasetBuilder",
        "dataset_split_start",
        validation=section.validation_fraction,
        test=section.test_fraction,
        seed=seed,
    )
    with CorpusWriter(directory) as writer:
        for draft, split in assign(_counted_into_split(distinct, tally), splitter):
            writer.write(
                Document(
                    id=draft.id,
                    text=draft.text,
                    source=draft.source,
                    language=draft.language,
                    split=split,
                    labels=dict(draft.labels),
                    lineage=draft.lineage,
                )
            )
            languages[draft.language or "unknown"] = languages.get(draft.language or "unknown", 0) + 1
    tally.leave("split", sum(writer.bytes.values()), sum(writer.documents.values()))
    ledger = tally.ledger()
    _require_enough(writer, section)
    recorded = CorpusLedger(arrows=ledger.arrows, sources=fingerprints)
    write_json(directory / LEDGER_NAME, recorded.model_dump(mode="json"))
    _trace_normalized(bus, ledger)
    return CorpusFacts(
        documents=sum(writer.documents.values()),
        bytes=sum(writer.bytes.values()),
        languages=dict(sorted(languages.items())),
        splits={split: SplitCount(documents=writer.documents[split], bytes=writer.bytes[split]) for split in SPLITS},
        sources=fingerprints,
    )


def _drafts(
    asked: list[SourceRequest],
    tally: Tally,
    fingerprints: dict[str, SourceFingerprint],
    bus: Bus,
    between_documents: Callable[[], None],
) -> Iterator[Draft]:
    """Every distinct document of every source; `fingerprints` is filled on the way."""
    seen: set[bytes] = set()
    for request in asked:
        source = source_for(request.address)
        before = source.fingerprint(request)
        for text in source.read(request, tally):
            for draft in _distinct(drafts(text, request.section, tally), tally, seen):
                between_documents()
                yield draft
        if source.fingerprint(request) != before:
            raise DataError(
                ErrorCode.DATA_CHANGED,
                f"{request.address} changed while it was read",
                "wait until nobody writes there any more, then run the same command again",
                details={"source": request.address},
            )
        fingerprints[request.entry.key] = before
        bus.publish(
            "data.source_read.v1",
            {"source": request.address, "bytes": before.bytes, "texts": before.texts, "sha256": before.sha256},
        )


def _distinct(documents: Iterator[Draft], tally: Tally, seen: set[bytes]) -> Iterator[Draft]:
    """Documents whose text was not seen before, in any source."""
    for draft in documents:
        size = utf8_size(draft.text)
        tally.enter("deduplicate", size, 1)
        digest = bytes.fromhex(draft.id)
        if digest in seen:
            tally.change("deduplicate", "exact_duplicate", -size, -1)
            continue
        seen.add(digest)
        tally.leave("deduplicate", size, 1)
        yield draft


def _counted_into_split(distinct: Iterator[Draft], tally: Tally) -> Iterator[Draft]:
    for draft in distinct:
        tally.enter("split", utf8_size(draft.text), 1)
        yield draft


def _require_enough(writer: CorpusWriter, section: DataSection) -> None:
    documents, size = sum(writer.documents.values()), sum(writer.bytes.values())
    numbers: dict[str, JsonValue] = {
        "documents": documents,
        "bytes": size,
        "min_corpus_bytes": section.min_corpus_bytes,
    }
    if documents == 0:
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"the sources hold no text: {', '.join(entry.key for entry in section.entries)}",
            "give data.sources that hold text",
            details=numbers,
        )
    if size < section.min_corpus_bytes:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"the corpus has {size:,} bytes in {documents} documents; data.min_corpus_bytes is "
            f"{section.min_corpus_bytes:,}",
            "add sources, or lower data.min_corpus_bytes if you mean so little text",
            details=numbers,
        )
    if not writer.documents["validation"] or not writer.documents["train"]:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"the corpus is {documents} document(s), {size:,} bytes: too few to learn from some and validate on others",
            f"add sources, or lower data.document_bytes (now {section.document_bytes:,})",
            details=numbers,
        )


def _trace_normalized(bus: Bus, ledger: Ledger) -> None:
    arrow = next(arrow for arrow in ledger.arrows if arrow.arrow == "normalize")
    trace(
        bus,
        "DataPreprocessor",
        "normalization_complete",
        texts=arrow.items_in,
        bytes_in=arrow.bytes_in,
        bytes_out=arrow.bytes_out,
    )
