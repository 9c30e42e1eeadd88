"""Every tokenizer method on one text: training seconds, encode MB/s, and what it does to the held-out part.

    .venv/bin/python benchmarks/tokenizer_methods.py TEXT_FILE [vocab_size]

The text is cut into documents of 4096 characters; every twentieth is held out. Seconds are CPU seconds of all
threads together, so that other work on the machine counts little. The last line is the Unigram trainer of the
`tokenizers` library on the same words, for comparison with `unigram`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import TokenizerSection
from loquela.tokenizers.backends.unigram import WORDS
from loquela.tokenizers.contract import SPECIAL_TOKENS, UNKNOWN
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.statistics import measure
from loquela.tokenizers.train import train_tokenizer

METHODS = ["bpe", "unigram", "sentencepiece", "sentencepiece:bpe", "wordpiece", "char", "word"]
DOCUMENT_CHARACTERS = 4096


def main() -> None:
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    vocab_size = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    documents = [text[at : at + DOCUMENT_CHARACTERS] for at in range(0, len(text), DOCUMENT_CHARACTERS)]
    held_out = documents[7::20]
    training = [document for number, document in enumerate(documents) if number % 20 != 7]
    print("method              CPU s  MB/CPU s   tokens  bytes/token    oov  exact")
    for method in METHODS:
        measure_method(method, vocab_size, training, held_out, documents)
    rival(vocab_size, training, held_out)


def measure_method(
    method: str, vocab_size: int, training: list[str], held_out: list[str], documents: list[str]
) -> None:
    name, _, model_type = method.partition(":")
    settings = {"method": name, "vocab_size": vocab_size, "sentencepiece_model_type": model_type or "unigram"}
    section = TokenizerSection.model_validate(settings)
    with tempfile.TemporaryDirectory() as directory:
        start = time.process_time()
        # an empty holdout: training is timed without the measuring
        train_tokenizer(section, lambda: iter(training), lambda: iter([]), Path(directory), SilentBus())
        seconds = time.process_time() - start
        handle = load_tokenizer(Path(directory))
    stats = measure(handle, lambda: iter(held_out))
    start = time.process_time()
    handle.encode_batch(documents)
    speed = sum(len(document.encode()) for document in documents) / (time.process_time() - start) / 1e6
    print(
        f"{method:18} {seconds:8.1f} {speed:12.1f} {stats.vocab_size:7} {stats.bytes_per_token:12.3f}"
        f" {stats.oov_rate:6.3f} {stats.exact_round_trips:6.2f}",
        flush=True,
    )


def rival(vocab_size: int, training: list[str], held_out: list[str]) -> None:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORDS), "isolated")
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=SPECIAL_TOKENS, unk_token=UNKNOWN, show_progress=False
    )
    start = time.process_time()
    tokenizer.train_from_iterator(training, trainer=trainer)
    seconds = time.process_time() - start
    size = sum(len(document.encode()) for document in held_out)
    tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(held_out, add_special_tokens=False))
    print(f"{'library unigram':18} {seconds:8.1f} {'':12} {tokenizer.get_vocab_size():7} {size / tokens:12.3f}")


if __name__ == "__main__":
    main()
