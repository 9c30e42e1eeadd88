"""What each process of a shared-out network still holds."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from loquela.finetuning.planning.memory import TuningMemory
from loquela.finetuning.planning.sharing import shared
from loquela.recipe.schema import ComputeSection

WHOLE = TuningMemory(
    weights=1000, adapter=40, gradients=40, optimizer=80, activations=7, logits=5, working=100, runtime=3
)


def held(**compute: JsonValue) -> TuningMemory:
    return shared(WHOLE, ComputeSection.model_validate({"processes": 4, **compute}), layers=10, trained=10)


def test_without_sharing_everybody_holds_everything() -> None:
    assert held() == WHOLE
    assert shared(WHOLE, ComputeSection(strategy="fsdp"), layers=10, trained=10) == WHOLE


def test_in_shares_a_quarter_and_two_layers() -> None:
    found = held(strategy="fsdp")
    assert (found.weights, found.adapter, found.gradients, found.optimizer) == (250, 10, 10, 20)
    assert found.working == 100 + 2 * 104
    assert (found.activations, found.logits, found.runtime) == (7, 5, 3)


def test_kept_from_the_forward_to_the_backward_pass_all_weights_are_there_once_more() -> None:
    assert held(strategy="fsdp", fsdp={"sharding": "grad_op"}).working == 100 + 1040


def test_offloaded_only_what_is_gathered_is_on_the_device() -> None:
    found = held(strategy="fsdp", fsdp={"cpu_offload": True})
    assert (found.weights, found.optimizer, found.working) == (0, 0, 308)


@pytest.mark.parametrize(
    ("stage", "weights", "gradients", "optimizer"), [(1, 1000, 40, 30), (2, 1000, 10, 30), (3, 250, 10, 30)]
)
def test_deepspeed_shares_out_by_stage_and_keeps_a_copy(
    stage: int, weights: int, gradients: int, optimizer: int
) -> None:
    """Ten trained weights: 80 bytes of moments and 40 of its copy, over four processes."""
    found = held(strategy="deepspeed", deepspeed={"stage": stage})
    assert (found.weights, found.gradients, found.optimizer) == (weights, gradients, optimizer)
