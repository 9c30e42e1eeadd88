"""Whether `torch.compile` pays: the time it saves over the run against the time it costs at the start."""

from __future__ import annotations

from typing import Literal

# Published: 1.16 times the throughput on an 8B transformer (torchtitan, H100); more on small ones.
SAVED_SHARE = 1 - 1 / 1.16
# Measured orders of magnitude: 20 s for a small network, a few seconds more for each layer.
COST_BASE_SECONDS = 20.0
COST_LAYER_SECONDS = 3.0


def compile_cost_seconds(num_layers: int) -> float:
    """Predicted time of the first, compiling steps."""
    return COST_BASE_SECONDS + COST_LAYER_SECONDS * num_layers


def choose_compile(
    wish: Literal["auto", "on", "off"],
    *,
    device: str,
    family: str,
    num_layers: int,
    steps: int,
    step_seconds: float | None,
) -> tuple[bool, str]:
    """Whether to compile, and why; `step_seconds` is the predicted time of a step, None when unknown."""
    if wish != "auto":
        return wish == "on", f"the recipe says compute.compile: {wish}"
    if device != "cuda":
        return False, "on a CPU the compiled body measured no faster than the eager one, and costs half a minute"
    if family != "transformer":
        return False, f"a {family} runs in one fused library kernel, which a compiler cannot improve"
    cost = compile_cost_seconds(num_layers)
    if step_seconds is None:
        return False, "the device's speed is unknown, so no gain can be promised; compute.compile: on asks for it"
    saved = steps * step_seconds * SAVED_SHARE
    verdict = "more" if saved > cost else "not more"
    return saved > cost, f"predicted to save {saved:.0f} s over {steps} steps, {verdict} than the {cost:.0f} s it costs"
