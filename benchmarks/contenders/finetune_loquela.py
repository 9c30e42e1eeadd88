"""Loquela's fine-tuning, as the stage does it, without its proofs: `finetune_loquela.py BASE ROWS STEPS WARM_UP`."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from finetune_rows import LEARNING_RATE, RANK, SEED, held_out_loss, open_stage, peak_mb

from loquela.compute.apply import apply_plan
from loquela.finetuning.training.opening import open_session, plan_for
from loquela.training.distributed import Group


def main(base: Path, folder: Path, steps: int, warm_up: int) -> None:
    context = open_stage(base, folder, steps)
    plan = plan_for(context.recipe)
    apply_plan(plan)
    session = open_session(context, Group(), plan)
    from loquela.finetuning.training.loader import TuningLoader
    from loquela.training.loader import LoaderSettings
    from loquela.training.schedules import learning_rate_factor

    loop = session.loop
    loader = TuningLoader(session.train, session.collator, "benchmark", SEED, LoaderSettings(loop.batch_size, 1))
    seconds, processor, learnt, seen = [], [], 0, 0
    for step in range(steps):
        began, worked = time.perf_counter(), time.process_time()
        loaded = loader.load(step)
        outcome = session.runner.gradients(loaded, float("inf"))
        session.runner.update(outcome, learning_rate_factor(loop.schedule, step, steps))
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - worked)
        if step >= warm_up:
            learnt += loaded.plan.label_tokens
            seen += sum(len(row.ids) for row in session.train.at(loaded.plan.rows))
    json.dump(
        {
            "seconds": seconds,
            "processor_seconds": processor,
            "learnt_tokens_per_second": learnt / sum(seconds[warm_up:]),
            "learnt_tokens_per_processor_second": learnt / sum(processor[warm_up:]),
            "tokens_per_second": seen / sum(seconds[warm_up:]),
            "peak_mb": peak_mb(),
            "held_out_loss": held_out_loss(session.causal.network, folder),
            "settings": {"rank": RANK, "learning_rate": LEARNING_RATE, **session.effective_settings()},
            "linear_kernel": plan.linear_kernel,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
