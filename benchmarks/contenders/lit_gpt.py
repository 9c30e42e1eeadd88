"""LitGPT: its GPT and its loss, compiled as its pretraining command does, with the same optimizer and clipping."""

import sys

import torch
from litgpt import GPT, Config
from litgpt.utils import chunked_cross_entropy
from measure import chosen_shape, measure


def main() -> None:
    shape = chosen_shape()
    torch.manual_seed(0)
    model = GPT(
        Config(
            name=shape.name,
            block_size=shape.context,
            vocab_size=shape.vocab_size,
            padded_vocab_size=shape.vocab_size,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_embd=shape.d_model,
            intermediate_size=shape.feed_forward,
            mlp_class_name="GptNeoxMLP",
            norm_class_name="LayerNorm",
            bias=True,
        )
    )
    model.max_seq_length = shape.context
    compiled = torch.compile(model) if "--eager" not in sys.argv else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)

    def step(inputs: torch.Tensor, targets: torch.Tensor) -> float:
        loss = chunked_cross_entropy(compiled(inputs), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    measure(shape, step)


if __name__ == "__main__":
    main()
