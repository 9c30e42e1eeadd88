"""Text that a model writes itself, for exports of models whose held-out text nobody knows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from loquela.export.parity.own_text import ROWS, own_text
from loquela.models.build import build_model
from toy_run import make_tokenizer, tiny_config


@pytest.mark.parametrize("family", ["transformer", "gru"])
def test_it_is_drawn_from_the_model_the_same_every_time(family: str, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    model = build_model(tiny_config(tokenizer.vocab_size, family), seed=7).eval()
    held = own_text(model, tokenizer, 3, 64, 320)
    assert [len(window) for window in held.windows] == [20] * ROWS
    assert {window[0] for window in held.windows} == {3}
    assert held == own_text(model, tokenizer, 3, 64, 320)
    assert held.text == "text that the model wrote itself"
    size = sum(len(tokenizer.decode(window).encode()) for window in held.windows)
    assert held.bytes_per_token == pytest.approx(size / 320)


def test_tokens_come_as_often_as_the_model_expects_them(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    model = build_model(tiny_config(tokenizer.vocab_size), seed=7).eval()
    with torch.no_grad():
        for block in model.blocks:
            block.attention.out.weight.zero_()
            block.feed_forward.down.weight.zero_()
        model.token_embedding[3] = model.token_embedding[40] * 4
        model.token_embedding[40] *= 30
        expected = model(torch.tensor([[3]]))[0, 0].softmax(0)
    held = own_text(model, tokenizer, 3, 64, 2 * ROWS)
    seconds = Counter(window[1] for window in held.windows)
    assert expected[40] > 0.9
    assert seconds[40] >= 12
