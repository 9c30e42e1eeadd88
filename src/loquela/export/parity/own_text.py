"""Text that a model writes itself: what its export is measured on where no held-out text is known.

Drawn from the model at temperature 1, it is the text that the model is used for, in its own languages and forms; the
mean Kullback-Leibler divergence over it is the divergence of the two models as writers, per token. Texts of other
kinds say less: where the model is lost, a rounding changes which of many unlikely tokens is the likeliest.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

import torch

from loquela.export.parity.held_out import SMALLEST_WINDOW, HeldOut, in_windows
from loquela.models.contract import LanguageModel
from loquela.tokenizers.contract import TokenizerHandle

ROWS = 16
SEED = 0


@torch.inference_mode()
def own_text(model: LanguageModel, tokenizer: TokenizerHandle, first: int, window: int, tokens: int) -> HeldOut:
    """About `tokens` tokens of `model`, in 16 texts that begin after the token `first`; the same ones every time."""
    length = max(SMALLEST_WINDOW, min(window, -(-tokens // ROWS)))
    generator = torch.Generator().manual_seed(SEED)
    cache = model.start_cache(ROWS, length)
    written = [torch.full((ROWS, 1), first)]
    while len(written) < length:
        logits = model.step(written[-1], cache)[:, : tokenizer.vocab_size]
        written.append(torch.multinomial(logits.float().softmax(dim=-1), 1, generator=generator))
    rows: list[list[int]] = torch.cat(written, dim=1).tolist()
    size = sum(len(tokenizer.decode(row).encode()) for row in rows)
    return in_windows("text that the model wrote itself", rows, window, max(size, 1) / (ROWS * length))
