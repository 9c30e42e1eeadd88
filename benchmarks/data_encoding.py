"""Text → ids: Loquela's encoder against Hugging Face tokenizers and tiktoken, and the preprocessor on single samples.

    .venv/bin/python benchmarks/data_encoding.py FOLDER [--rounds 3] [--output FILE]

FOLDER holds .txt files (UTF-8). A byte-level BPE of 8000 tokens is trained on the first 3 MB; all three encode the
same documents of 4096 characters with it, in turns, and must give the same ids. What counts is the ratio of medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tiktoken
from tokenizers import Tokenizer

from loquela.data.shards.contracts import DataPreprocessorRequest, PreprocessingConfig
from loquela.data.shards.preprocess import DataPreprocessor
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import TokenizerSection
from loquela.tokenizers.engines import choose_engine
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.train import train_tokenizer

DOCUMENT_CHARACTERS = 4096
SAMPLE_CHARACTERS = 400
SAMPLES = 5000
TRAIN_BYTES = 3_000_000
BATCH = 256
# How GPT-2 cuts text before merging, which is what a byte-level BPE's tokenizer.json does too.
GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def byte_signs() -> dict[str, int]:
    """The printable sign that stands for each byte in a byte-level vocabulary, and that byte."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + n): byte for n, byte in enumerate(others)}}


def as_tiktoken(path: Path) -> tiktoken.Encoding:
    """The same merges for tiktoken: ids rise in the order in which merges were learnt."""
    document = json.loads(path.read_text(encoding="utf-8"))
    special = {token["content"] for token in document["added_tokens"]}
    signs = byte_signs()
    ranks = {
        bytes(signs[sign] for sign in token): number
        for token, number in document["model"]["vocab"].items()
        if token not in special
    }
    return tiktoken.Encoding("bench", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={})


def megabytes_per_second(encode: Callable[[list[str]], object], documents: list[str], size: int) -> float:
    start = time.perf_counter()
    for first in range(0, len(documents), BATCH):
        encode(documents[first : first + BATCH])
    return size / 1e6 / (time.perf_counter() - start)


def preprocess(folder: Path, texts: list[str]) -> dict[str, float]:
    """Samples a second and the 95th percentile of one sample, one thread, one sample a call."""
    tokenizer = load_tokenizer(folder)
    processor = DataPreprocessor(tokenizer, SilentBus())
    config = PreprocessingConfig(tokenizer_type="bpe", max_sequence_length=4096)
    samples = [text[:SAMPLE_CHARACTERS] for text in texts[:SAMPLES]]
    samples = (samples * (SAMPLES // len(samples) + 1))[:SAMPLES]
    requests = [DataPreprocessorRequest(raw_data=sample, preprocessing_config=config) for sample in samples]
    seconds = []
    for request in requests:
        start = time.perf_counter()
        processor.process(request)
        seconds.append(time.perf_counter() - start)
    return {
        "samples_per_second": round(len(seconds) / sum(seconds)),
        "p95_ms": round(float(np.percentile(seconds, 95)) * 1e3, 3),
        "sample_characters": SAMPLE_CHARACTERS,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    texts = [path.read_text(encoding="utf-8") for path in sorted(asked.folder.rglob("*.txt"))]
    cut = DOCUMENT_CHARACTERS
    documents = [text[at : at + cut] for text in texts for at in range(0, len(text), cut)]
    size = sum(len(document.encode()) for document in documents)
    learnt = documents[:: max(1, size // TRAIN_BYTES)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        section = TokenizerSection(method="bpe", vocab_size=8000)
        train_tokenizer(section, lambda: iter(learnt), lambda: iter(learnt[:20]), folder, SilentBus())
        engine, facts = choose_engine("auto", folder, load_tokenizer(folder), documents[:32])
        library = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tik = as_tiktoken(folder / "tokenizer.json")
        contenders = {
            f"loquela ({engine.name})": engine.encode_batch,
            "HF tokenizers": lambda batch: library.encode_batch_fast(batch, add_special_tokens=False),
            "tiktoken": lambda batch: tik.encode_ordinary_batch(batch, num_threads=2),
        }
        ours = [ids.tolist() for ids in engine.encode_batch(documents)]
        same = {
            "HF tokenizers": sum(
                a == b.ids
                for a, b in zip(ours, library.encode_batch_fast(documents, add_special_tokens=False), strict=True)
            ),
            "tiktoken": sum(a == b for a, b in zip(ours, tik.encode_ordinary_batch(documents), strict=True)),
        }
        speeds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(asked.rounds):
            for name, encode in contenders.items():
                speeds[name].append(megabytes_per_second(encode, documents, size))
        medians = {name: statistics.median(values) for name, values in speeds.items()}
        best = next(iter(medians.values()))
        print(f"{size / 1e6:.1f} MB in {len(documents)} documents; {facts.reason}\n")
        for name, median in medians.items():
            equal = f"{same[name]} of {len(documents)} documents alike" if name in same else ""
            print(f"{name:24} {median:8.1f} MB/s   loquela is {best / median:5.2f}×   {equal}")
        samples = preprocess(folder, documents)
        print(f"\npreprocessor: {samples['samples_per_second']:,} samples/s, p95 {samples['p95_ms']} ms")
    found = {"megabytes": size / 1e6, "documents": len(documents), "same_ids": same, "mb_per_second": medians}
    if asked.output:
        asked.output.write_text(json.dumps({**found, "preprocessor": samples}, indent=2) + "\n")


if __name__ == "__main__":
    main()
