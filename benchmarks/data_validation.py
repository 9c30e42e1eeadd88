"""Validator on chunks of 1 MB, and the whole chain of document filters with signatures; prints a table and JSON.

    .venv/bin/python benchmarks/data_validation.py FOLDER [--processes 2] [--seconds 6] [--datatrove PYTHON]

FOLDER holds .txt files (UTF-8), at least 2 MB of them. Chunks end at line ends, as readers make them. Each process
validates its own chunks again and again: encoding, the rule set `basic`, eight prohibited patterns. The ceilings are
single steps alone in one process. PYTHON is an interpreter that has datatrove[processing], spacy and nltk installed;
its filters and signatures then run over the same documents. Documents are 4000 characters.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import hyperscan
import re2

from loquela.core.text.words import Words
from loquela.data.corpus.near_duplicates import grams, signature
from loquela.data.validation.byte_counts import ByteCounts
from loquela.data.validation.checker import DocumentChecker
from loquela.data.validation.contracts import DataValidatorRequest
from loquela.data.validation.patterns import PatternSet
from loquela.data.validation.validator import DataValidator
from loquela.monitoring.events import SilentBus
from loquela.recipe.validation_section import ProhibitedPattern, ValidationSection

CHUNK_BYTES = 1_000_000
DOCUMENT_CHARACTERS, DOCUMENTS = 4000, 400
CHAIN = ["gopher_quality", "gopher_repetition", "c4", "fineweb"]
PATTERNS = [
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\b4\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",
    r"AKIA[0-9A-Z]{16}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"(?i)\bpassword\s*[:=]\s*\S+",
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"(?i)<script\b",
    r"(?i)\b(?:viagra|casino bonus|jackpot)\b",
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--datatrove")
    asked = parser.parse_args()
    result = {
        "validator": measure_validator(asked.folder, asked.processes, asked.seconds),
        "ceilings_chunks_per_second": ceilings(chunks_of(asked.folder)),
        "chain_megabytes_per_second": chain(documents_of(asked.folder), asked.datatrove),
    }
    print(json.dumps(result))


def chunks_of(folder: Path) -> list[bytes]:
    raw = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.txt")))
    chunks, at = [], 0
    while at + CHUNK_BYTES <= len(raw):
        end = raw.rfind(b"\n", at, at + CHUNK_BYTES) + 1
        chunks.append(raw[at:end])
        at = end
    return chunks


def documents_of(folder: Path) -> list[str]:
    """`DOCUMENTS` pieces, evenly from all files."""
    paths = sorted(folder.rglob("*.txt"))
    each = -(-DOCUMENTS // len(paths))
    found = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        step = max(1, (len(text) - DOCUMENT_CHARACTERS) // each)
        found += [text[at : at + DOCUMENT_CHARACTERS] for at in range(0, len(text) - DOCUMENT_CHARACTERS, step)][:each]
    return found[:DOCUMENTS]


def measure_validator(folder: Path, processes: int, seconds: float) -> dict[str, object]:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=work, args=(folder, seconds, barrier, answers)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    measured = [answers.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    rate = sum(len(times) / wall for times, wall, _, _ in measured)
    cpu_rate = sum(len(times) / cpu for times, _, cpu, _ in measured)
    times = sorted(time for times, _, _, _ in measured for time in times)
    p50, p95, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.95, 0.99))
    print(f"validator, {processes} process(es)               {rate:8.0f} chunks/s of wall time")
    print(f"  (its processes' own CPU seconds)    {cpu_rate:8.0f} chunks/s, were the machine theirs alone")
    print(f"  p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms; statuses {measured[0][3]}", flush=True)
    return {
        "processes": processes, "chunks_per_second": round(rate), "chunks_per_own_cpu_second": round(cpu_rate),
        "chunks": len(times), "p50_ms": round(p50, 3), "p95_ms": round(p95, 3), "p99_ms": round(p99, 3),
        "statuses": measured[0][3],
    }  # fmt: skip


def work(folder: Path, seconds: float, barrier: Barrier, answers: multiprocessing.Queue) -> None:
    validator = DataValidator(SilentBus(), reject=False)
    rules = {"min_quality_score": 0.5, "prohibited_patterns": PATTERNS}
    requests = [
        DataValidatorRequest.model_validate({"stream_id": uuid.uuid4(), "chunk_data": chunk, "validation_rules": rules})
        for chunk in chunks_of(folder)
    ]
    statuses = [validator.validate(request).status for request in requests]
    times = []
    barrier.wait()
    start, cpu_start = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        for request in requests:
            before = time.perf_counter()
            validator.validate(request)
            times.append(time.perf_counter() - before)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    answers.put((times, wall, cpu, {status: statuses.count(status) for status in sorted(set(statuses))}))


def ceilings(chunks: list[bytes]) -> dict[str, int]:
    """Each step alone, chunks a second of one process's CPU time; the best of three passes."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.UTF8
    options.max_mem = 64 << 20
    re2_set = re2.Set.SearchSet(options)
    for pattern in PATTERNS:
        re2_set.Add(pattern)
    re2_set.Compile()
    database = hyperscan.Database()
    flags = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SINGLEMATCH
    count = len(PATTERNS)
    database.compile(
        expressions=[pattern.encode() for pattern in PATTERNS], ids=range(count), elements=count, flags=[flags] * count
    )
    named = PatternSet([ProhibitedPattern(name=f"p{at}", pattern=text) for at, text in enumerate(PATTERNS)])
    counts = ByteCounts()
    alone = [re.compile(pattern.encode()) for pattern in PATTERNS]
    steps: dict[str, Callable[[bytes], object]] = {
        "decode": bytes.decode,
        "rule set basic": counts.values,
        "8 patterns, ours": named.matching,
        "8 patterns, Hyperscan alone": lambda chunk: database.scan(chunk, match_event_handler=lambda *_: None),
        "8 patterns, RE2 Set": re2_set.Match,
        "8 patterns, re": lambda chunk: [expression.search(chunk) for expression in alone],
    }
    found = {}
    for name, step in steps.items():
        some = chunks[:2] if name.endswith(", re") else chunks
        found[name] = round(len(some) / best_seconds(lambda some=some, step=step: [step(chunk) for chunk in some]))
        print(f"{name:36} {found[name]:8} chunks/s", flush=True)
    return found


def chain(documents: list[str], datatrove: str | None) -> dict[str, float]:
    """MB of documents a second of one process's CPU time: words once, every rule of four sets, and a signature."""
    size = sum(len(document.encode()) for document in documents) / 1e6
    checker = DocumentChecker(ValidationSection.model_validate({"rule_sets": CHAIN}))
    everything = DocumentChecker(ValidationSection.model_validate({
        "rule_sets": ["basic", *CHAIN], "languages": ["en", "es"],
        "patterns": [{"name": f"p{at}", "pattern": text, "action": "redact"} for at, text in enumerate(PATTERNS)],
        "pii": {"kinds": ["email", "phone", "ip", "credit_card", "iban", "national_id", "secret"]},
        "sanitize": {"control_characters": True, "zero_width": True, "byte_order_marks": True},
    }))  # fmt: skip
    steps: dict[str, Callable[[str], object]] = {
        "words": lambda text: Words(text).lower_words,
        "filters (4 rule sets)": lambda text: checker.check(text, Words(text), None),
        "signature (112 permutations)": lambda text: signature(grams(text)),
        "filters + signature": lambda text: (checker.check(text, Words(text), None), signature(grams(text))),
        "everything: filters, patterns, PII, language": lambda text: everything.check(text, Words(text), None),
    }
    found = {}
    for name, step in steps.items():
        found[name] = round(size / best_seconds(lambda step=step: [step(document) for document in documents]), 2)
        print(f"{name:46} {found[name]:8} MB/s", flush=True)
    if datatrove:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "documents.json"
            path.write_text(json.dumps(documents), encoding="utf-8")
            contender = Path(__file__).parent / "contenders" / "datatrove_chain.py"
            done = subprocess.run([datatrove, contender, path], check=True, capture_output=True, text=True, timeout=600)
        found |= json.loads(done.stdout.splitlines()[-1])
        print(done.stdout.rsplit("\n", 2)[0], flush=True)
    return found


def best_seconds(run: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


if __name__ == "__main__":
    sys.exit(main())
