"""Sources → corpus: parts are made, then joined into one; every byte is accounted for or nothing is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from loquela.artifacts.attributes import ENCODING_NAME, QUARANTINE_NAME
from loquela.artifacts.corpus import LEDGER_NAME, SPLITS
from loquela.artifacts.ledger import Ledger
from loquela.core.atomic import atomic_path, write_error, write_json
from loquela.core.errors import DataError, ErrorCode
from loquela.data.access.connector import connected
from loquela.data.access.source_registry import source_for
from loquela.data.corpus.assemble import Written, write_corpus
from loquela.data.corpus.checks import require_enough, require_label
from loquela.data.corpus.decide import Assembly, decide
from loquela.data.corpus.decontaminate import EvaluationRows
from loquela.data.corpus.facts import CorpusFacts, CorpusLedger, DuplicateCounts, SplitCount, SplitUnits
from loquela.data.corpus.parts import ENCODING_LINES_NAME, Part, PartFacts, plan_parts, run_part
from loquela.data.corpus.side_inputs import side_inputs
from loquela.data.source_contract import SourceFingerprint, SourceRequest
from loquela.data.tally import Tally
from loquela.monitoring.events import Bus, trace
from loquela.recipe.schema import DataSection

# Makes the parts of a corpus from what its sources hold, and returns their folders and facts in order.
MakeParts = Callable[[list[Part], dict[str, SourceFingerprint]], list[tuple[Path, PartFacts]]]


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
    make_parts: MakeParts | None = None,
) -> CorpusFacts:
    """Fill `directory` with a corpus; `between_documents` may raise to stop, `make_parts` may make parts elsewhere.

    Raises DataError: DATA_NOT_FOUND, INSUFFICIENT_DATA, ENCODING_ERROR, CORRUPT_DATA, READ_FAILED, DATA_CHANGED for a
    source that changed while it was read; RecipeError for a label to stratify by that no document has, RecipeError and
    ResourceError from the sources.
    """
    scratch = _scratch_folder(directory)
    try:
        asked = requests(section, downloads, seed)
        before = _fingerprints(asked, bus)
        sources = {**before, **side_inputs(section)}
        plan = plan_parts(section, downloads, seed)
        if make_parts is None:
            made = [_made_here(part, section, downloads, seed, scratch, between_documents) for part in plan]
        else:
            made = make_parts(plan, sources)
        _require_unchanged(asked, before, bus)
        return _joined(made, section, seed, directory, scratch, sources, bus, between_documents)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _scratch_folder(directory: Path) -> Path:
    try:
        return Path(mkdtemp(prefix=".parts-", dir=directory))
    except OSError as error:
        raise write_error(error, directory) from error


def _made_here(
    part: Part,
    section: DataSection,
    downloads: Path,
    seed: int,
    scratch: Path,
    between_documents: Callable[[], None],
) -> tuple[Path, PartFacts]:
    folder = scratch / f"part-{part.number:05d}"
    return folder, run_part(part, section, downloads, seed, folder, between_documents)


def _fingerprints(asked: list[SourceRequest], bus: Bus) -> dict[str, SourceFingerprint]:
    found: dict[str, SourceFingerprint] = {}
    for request in asked:
        reach = partial(source_for(request.address).fingerprint, request)
        found[request.entry.key] = connected(request, bus, reach)
    return found


def _require_unchanged(asked: list[SourceRequest], before: dict[str, SourceFingerprint], bus: Bus) -> None:
    for request in asked:
        now, found = source_for(request.address).fingerprint(request), before[request.entry.key]
        if now != found:
            raise DataError(
                ErrorCode.DATA_CHANGED,
                f"{request.address} changed while it was read",
                "wait until nobody writes there any more, then run the same command again",
                details={"source": request.address},
            )
        bus.publish(
            "data.source_read.v1",
            {"source": request.address, "bytes": now.bytes, "texts": now.texts, "sha256": now.sha256},
        )


def _joined(
    made: list[tuple[Path, PartFacts]],
    section: DataSection,
    seed: int,
    directory: Path,
    scratch: Path,
    sources: dict[str, SourceFingerprint],
    bus: Bus,
    between_documents: Callable[[], None],
) -> CorpusFacts:
    folders, facts = [folder for folder, _ in made], [found for _, found in made]
    tally = Tally()
    for found in facts:
        tally.add(found.arrows)
    trace(
        bus,
        "DatasetBuilder",
        "dataset_split_start",
        validation=section.validation_fraction,
        test=section.test_fraction,
        seed=seed,
    )
    assembly = decide(folders, facts, section, seed, scratch)
    require_label(assembly.units, section)
    written = write_corpus(assembly, folders, directory, tally, between_documents)
    ledger = tally.ledger()
    require_enough(written.writer, section, assembly.units.count)
    recorded = CorpusLedger(arrows=ledger.arrows, sources=sources)
    write_json(directory / LEDGER_NAME, recorded.model_dump(mode="json"))
    _join_encoding(folders, directory)
    quarantined = _join_quarantine(folders, directory)
    _trace_normalized(bus, ledger)
    return _facts(written, assembly, section, facts, sources, quarantined)


def _join_encoding(folders: list[Path], directory: Path) -> None:
    """One file of how the bytes of all objects became text; there may be as many objects as documents."""
    with atomic_path(directory / ENCODING_NAME) as path, path.open("wb") as stream:
        stream.write(b'{\n  "objects": [')
        before = b""
        for folder in folders:
            with (folder / ENCODING_LINES_NAME).open("rb") as of_part:
                for line in of_part:
                    report = json.dumps(json.loads(line), indent=2, ensure_ascii=False).replace("\n", "\n    ")
                    stream.write(before + b"\n    " + report.encode("utf-8"))
                    before = b","
        stream.write(b"\n  ]\n}\n" if before else b"]\n}\n")


def _join_quarantine(folders: list[Path], directory: Path) -> int:
    """One file of all records that could not be read; how many there are."""
    lines = 0
    with atomic_path(directory / QUARANTINE_NAME) as path, path.open("wb") as stream:
        for folder in folders:
            found = folder / QUARANTINE_NAME
            if found.is_file():
                with found.open("rb") as of_part:
                    for line in of_part:
                        stream.write(line)
                        lines += 1
    return lines


def _facts(
    written: Written,
    assembly: Assembly,
    section: DataSection,
    parts: list[PartFacts],
    sources: dict[str, SourceFingerprint],
    quarantined: int,
) -> CorpusFacts:
    writer = written.writer
    return CorpusFacts(
        documents=sum(writer.documents.values()),
        bytes=sum(writer.bytes.values()),
        languages=dict(sorted(written.languages.items())),
        splits={split: SplitCount(documents=writer.documents[split], bytes=writer.bytes[split]) for split in SPLITS},
        sources=sources,
        split_units=SplitUnits(
            stratify_by=section.stratify_by,
            strata=assembly.units.strata,
            units=assembly.units.count,
            largest_unit=assembly.largest_unit(),
        ),
        leakage=written.leakage,
        near_duplicates=DuplicateCounts.model_validate(assembly.cluster_counts()),
        evaluation_rows=parts[0].looked_for if parts else EvaluationRows(),
        quarantined=quarantined,
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
