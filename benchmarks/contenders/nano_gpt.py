"""nanoGPT: its model and step, from a checkout that the environment variable NANOGPT names; `--compile` as it does."""

import os
import sys

import torch
from measure import chosen_shape, measure

sys.path.insert(0, os.environ["NANOGPT"])
from model import GPT, GPTConfig


def main() -> None:
    shape = chosen_shape()
    if shape.feed_forward != 4 * shape.d_model:
        # Its feed-forward width is fixed at 4 × d_model; the benchmark's model has its own.
        import model as nano

        class Narrow(nano.MLP):
            def __init__(self, config):
                super().__init__(config)
                self.c_fc = torch.nn.Linear(config.n_embd, shape.feed_forward, bias=config.bias)
                self.c_proj = torch.nn.Linear(shape.feed_forward, config.n_embd, bias=config.bias)

        nano.MLP = Narrow
    torch.manual_seed(0)
    model = GPT(
        GPTConfig(
            block_size=shape.context,
            vocab_size=shape.vocab_size,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_embd=shape.d_model,
            dropout=0.0,
            bias=False,
        )
    )
    optimizer = model.configure_optimizers(0.1, 3e-4, (0.9, 0.95), "cpu")
    runner = torch.compile(model) if "--compile" in sys.argv else model

    def step(inputs: torch.Tensor, targets: torch.Tensor) -> float:
        _, loss = runner(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    sys.stdout, kept = sys.stderr, sys.stdout
    model.get_num_params()
    sys.stdout = kept
    measure(shape, step)


if __name__ == "__main__":
    main()
