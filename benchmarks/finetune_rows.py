"""What both sides of the fine-tuning benchmark learn and are measured by, always the same.

A story and a wish are seen, how another story goes on is learnt, in the base's own chat form.
"""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.token_rows import TokenSequence, read_token_rows, write_token_rows
from loquela.data.stories.story import stories
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import Recipe

SEED = 20261122
LONGEST = 512
RANK = 16
BATCH = 4
LEARNING_RATE = 2e-4
HELD_OUT = 8


def rows(base: Path, count: int) -> Iterator[TokenSequence]:
    """`count` rows of up to LONGEST tokens, the answer and its end learnt."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    told = [story.english.split("\n") for story in stories(SEED, 2 * count)]
    for number in range(count):
        before, after = told[2 * number], told[2 * number + 1]
        seen_lines = before[: max(2, len(before) * (1 + number % 4) // 4)]
        cut = max(1, len(after) // 2)
        wish = "\n".join(seen_lines) + "\n\nHere another story begins. Go on with it.\n" + "\n".join(after[:cut])
        prompt = f"<|im_start|>user\n{wish}<|im_end|>\n<|im_start|>assistant\n"
        seen = tokenizer.encode(prompt, add_special_tokens=False).ids
        learnt = tokenizer.encode("\n".join(after[cut:]) + "<|im_end|>", add_special_tokens=False).ids
        ids = (seen + learnt)[:LONGEST]
        weights = ([0.0] * len(seen) + [1.0] * len(learnt))[:LONGEST]
        yield TokenSequence(f"row-{number}", np.array(ids, np.uint32), np.array(weights, np.float32))


def write_rows(base: Path, folder: Path, steps: int) -> None:
    """The rows of one epoch of `steps` steps, and those held out, as an examples artifact."""
    made = list(rows(base, BATCH * steps + HELD_OUT))
    write_token_rows(folder, "train", [[one] for one in made[:-HELD_OUT]])
    write_token_rows(folder, "validation", [[one] for one in made[-HELD_OUT:]])
    write_manifest(folder, "examples")


def open_stage(base: Path, folder: Path, steps: int) -> StageContext:
    """A context as the stage has it, with the settings that TRL is given too."""
    threads = os.environ.get("LOQUELA__COMPUTE__THREADS")
    recipe = Recipe.model_validate(
        {
            "seed": SEED % 2**31,
            "examples": {"sources": ["rows"]},
            "finetune": {
                "base": str(base),
                "epochs": 1,
                "max_steps": steps,
                "batch_size": BATCH,
                "gradient_accumulation_steps": 1,
                "learning_rate": LEARNING_RATE,
                "warmup_fraction": 0.0,
                "lora": {"rank": RANK, "alpha": 2 * RANK, "dropout": 0.05},
            },
            "compute": {"device": "cpu", **({"threads": int(threads)} if threads else {})},
        }
    )
    run = folder / "run"
    run.mkdir(exist_ok=True)
    inputs = {"base": base, "examples": folder}
    return StageContext(recipe, SilentBus(), inputs, run / "adapter", run, StopRequest())


@torch.no_grad()
def held_out_loss(network: torch.nn.Module, folder: Path) -> float:
    """Mean loss of the learnt tokens of the held-out rows, row by row, by the network's own forward."""
    network.eval()
    total, count = 0.0, 0
    for row in read_token_rows(folder, "validation"):
        ids = torch.from_numpy(row.ids.astype(np.int64))[None]
        learnt = torch.from_numpy(row.weights > 0)[1:]
        logits = network(input_ids=ids).logits[0, :-1][learnt].float()
        total += float(F.cross_entropy(logits, ids[0, 1:][learnt], reduction="sum"))
        count += int(learnt.sum())
    return total / count


def peak_mb() -> float:
    """Peak resident memory of this process, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
