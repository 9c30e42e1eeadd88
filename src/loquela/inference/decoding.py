"""The loop under generation: a runtime, and what happens when the context window is full.

Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

from loquela.inference.runtimes.contract import Logits, Runtime


class Decoding:
    """One sequence that grows token by token; each token is computed once, through the runtime's cache.

    A window that is full slides: the newer half of the tokens is read again into a fresh cache, from position 0,
    and decoding goes on; what is older is no longer seen. So the price of sliding is one pass over half a window
    every half window. `prompt_cut` counts prompt tokens that never fitted, `slides` how often the window moved.
    """

    def __init__(self, runtime: Runtime, prompt: Sequence[int]) -> None:
        """`prompt` holds at least one token; of a longer one than the window, the last tokens are kept."""
        self._runtime = runtime
        self._window = runtime.context
        self._tokens = list(prompt[-self._window :])
        self.prompt_cut = len(prompt) - len(self._tokens)
        self.slides = 0

    def start(self) -> Logits:
        """Read the prompt; logits [V] of the token after it."""
        return self._runtime.start(self._tokens)

    def advance(self, token: int) -> Logits:
        """Append `token`; logits [V] of the token after it."""
        if len(self._tokens) == self._window:
            self._tokens = [*self._tokens[self._window - self._window // 2 :], token]
            self.slides += 1
            return self.start()
        self._tokens.append(token)
        return self._runtime.step(token)
