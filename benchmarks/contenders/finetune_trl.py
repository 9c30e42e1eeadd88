"""Plain TRL on the same rows: `finetune_trl.py BASE ROWS STEPS WARM_UP plain|defaults`.

`plain` has what a careful user sets on a CPU: no bf16, no recomputed activations; `defaults` leaves both as they are.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from datasets import Dataset
from finetune_rows import BATCH, LEARNING_RATE, RANK, SEED, held_out_loss, peak_mb
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from loquela.artifacts.token_rows import read_token_rows


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.marks: list[float] = []
        self.worked: list[float] = []

    def on_step_begin(self, args, state, control, **more) -> None:
        self.began, self.before = time.perf_counter(), time.process_time()

    def on_step_end(self, args, state, control, **more) -> None:
        self.marks.append(time.perf_counter() - self.began)
        self.worked.append(time.process_time() - self.before)


def main(base: Path, folder: Path, steps: int, warm_up: int, kind: str) -> None:
    rows = [
        {"input_ids": row.ids.tolist(), "labels": np.where(row.weights > 0, row.ids.astype(np.int64), -100).tolist()}
        for row in read_token_rows(folder, "train")
    ]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    settings = {} if kind == "defaults" else {"bf16": False, "gradient_checkpointing": False}
    counted: list[tuple[int, int]] = []

    class Counting(SFTTrainer):
        def training_step(self, model, inputs, *more, **named):
            labels = inputs["labels"]
            counted.append((int((labels[:, 1:] != -100).sum()), int(inputs["attention_mask"].sum())))
            return super().training_step(model, inputs, *more, **named)

    clock = Clock()
    trainer = Counting(
        model=model,
        args=SFTConfig(
            output_dir=str(folder / f"trl-{kind}"),
            per_device_train_batch_size=BATCH,
            max_steps=steps,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="cosine",
            warmup_steps=0,
            seed=SEED % 2**31,
            use_cpu=True,
            save_strategy="no",
            logging_steps=1,
            report_to=[],
            disable_tqdm=True,
            **settings,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(
            r=RANK, lora_alpha=2 * RANK, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[clock],
    )
    out, sys.stdout = sys.stdout, sys.stderr
    trainer.train()
    sys.stdout = out
    seconds, measured = clock.marks, counted[warm_up:]
    json.dump(
        {
            "seconds": seconds,
            "processor_seconds": clock.worked,
            "learnt_tokens_per_processor_second": sum(learnt for learnt, _ in measured) / sum(clock.worked[warm_up:]),
            "learnt_tokens_per_second": sum(learnt for learnt, _ in measured) / sum(seconds[warm_up:]),
            "tokens_per_second": sum(seen for _, seen in measured) / sum(seconds[warm_up:]),
            "peak_mb": peak_mb(),
            "held_out_loss": held_out_loss(trainer.model.get_base_model(), folder),
            "settings": {"bf16": trainer.args.bf16, "gradient_checkpointing": trainer.args.gradient_checkpointing},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
