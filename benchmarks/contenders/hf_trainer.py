"""The Hugging Face Trainer on GPT2LMHeadModel, as its causal-language-modelling example sets it up."""

import itertools
import tempfile
import time

import torch
from measure import batches, chosen_shape, report
from torch.utils.data import Dataset
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)


class Rows(Dataset):
    """The benchmark's rows, over and over."""

    def __init__(self, shape):
        self.rows = [row for inputs, _ in batches(shape) for row in inputs]
        self.length = shape.batch_size * (shape.warmup_steps + shape.measured_steps)

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        row = self.rows[index % len(self.rows)]
        return {"input_ids": row, "labels": row}


class Clock(TrainerCallback):
    """Time from the start of each step to its end."""

    def __init__(self):
        self.ends = []

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs):
        self.ends.append(time.perf_counter())


def main() -> None:
    shape = chosen_shape()
    set_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape.vocab_size,
            n_positions=shape.context,
            n_embd=shape.d_model,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_inner=shape.feed_forward,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=shape.batch_size,
                max_steps=shape.warmup_steps + shape.measured_steps,
                learning_rate=3e-4,
                max_grad_norm=1.0,
                save_strategy="no",
                logging_steps=10,
                report_to=[],
                disable_tqdm=True,
                use_cpu=not torch.cuda.is_available(),
                bf16=False,
            ),
            train_dataset=Rows(shape),
            callbacks=[clock],
        )
        outcome = trainer.train()
    ends = clock.ends
    seconds = [after - before for before, after in itertools.pairwise(ends)][shape.warmup_steps - 1 :]
    report(shape, seconds, [float("nan"), outcome.training_loss])


if __name__ == "__main__":
    main()
