"""datatrove's filters and MinHash signature over the documents of a JSON list; the last line is JSON.

Run by benchmarks/data_validation.py with an interpreter that has datatrove[processing], spacy and nltk.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)


def main() -> None:
    texts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))[:120]
    size = sum(len(text.encode()) for text in texts) / 1e6
    # Each of these stops at the first rule that a text breaks; ours computes them all.
    filters = [GopherQualityFilter(), GopherRepetitionFilter(), C4QualityFilter(), FineWebQualityFilter()]
    signer = MinhashDedupSignature(output_folder="/tmp/unused", config=MinhashConfig(n_grams=5))  # noqa: S108
    for step in filters:
        step.filter(Document(text="A warm-up sentence, so that tokenizers are loaded.", id="0"))
    start = time.process_time()
    for text in texts:
        for step in filters:
            step.filter(Document(text=text, id="0"))
    filtered = time.process_time() - start
    start = time.process_time()
    for text in texts:
        signer.get_signature(signer.get_shingles(text))
    signed = time.process_time() - start
    found = {
        "datatrove filters": round(size / filtered, 3),
        "datatrove signature": round(size / signed, 3),
        "datatrove filters + signature": round(size / (filtered + signed), 3),
    }
    for name, speed in found.items():
        print(f"{name:46} {speed:8} MB/s")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
