"""How processes hold the network that they train together: what the recipe asks for, checked and carried out.

open ─► fsdp: shared out at once, and proven so by all processes
     └► proven by one process ─► deepspeed: put under its engine ─► trained ─► whole again ─► proven by one process
"""

from __future__ import annotations

import os

from loquela.finetuning.training.fsdp import check_fsdp, spread
from loquela.finetuning.training.runner import HeldOutRows
from loquela.finetuning.training.session import TuningSession
from loquela.finetuning.training.spread import Spread
from loquela.finetuning.training.zero import ZeroSpread, check_zero, engage
from loquela.finetuning.training.zero_optimizer import ZeroOptimizerSet
from loquela.finetuning.training.zero_runner import ZeroRunner
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.distributed_section import DeepSpeedOptions, FsdpOptions
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.schema import ComputeSection
from loquela.training.distributed import Group


def started_processes(compute: ComputeSection) -> int:
    """How many there will be: those that torchrun has started, else those that the recipe asks for."""
    return int(os.environ.get("WORLD_SIZE", compute.processes))


def check_strategy(
    section: FinetuneSection, compute: ComputeSection, *, device: str, precision: str, processes: int
) -> None:
    """RecipeError(CONFIG_INVALID) for a strategy that would not hold with these settings.

    ResourceError(MISSING_EXTRA) for one whose package is not installed.
    """
    if compute.strategy == "fsdp":
        check_fsdp(section, compute, device, processes)
    if compute.strategy == "deepspeed":
        check_zero(section, precision, device, processes)


def host_first(compute: ComputeSection) -> bool:
    """Whether the network is made in host memory: what is shared out at once, no device need ever hold whole."""
    return compute.strategy == "fsdp"


def spread_out(causal: CausalModel, compute: ComputeSection, group: Group, device: str) -> Spread:
    """The network where the recipe's strategy wants it as it is opened; what `spread` raises."""
    if compute.strategy == "fsdp":
        return spread(causal, compute.fsdp or FsdpOptions(), group, device)
    return Spread()


def begin(session: TuningSession) -> bool:
    """What is done when everything is proven that one process can prove: under DeepSpeed, its engine takes over.

    Whether other parts are live than before.
    """
    compute = session.recipe.compute
    if compute.strategy != "deepspeed":
        return False
    options = compute.deepspeed or DeepSpeedOptions()
    client = next(iter(session.optimizer.optimizers.values()))
    made = engage(session.causal, client, session.settings, options, session.group, session.plan.device)
    idle = session.collator([min(session.train.rows, key=lambda row: len(row.ids))])
    session.optimizer = ZeroOptimizerSet(session.optimizer, made)
    session.runner = ZeroRunner(session.runner, session.optimizer, made, idle)
    session.validation = HeldOutRows(
        session.held_out, session.runner, session.collator, session.group, session.loop.batch_size
    )
    return True


def end(session: TuningSession) -> None:
    """After the last step: one process can use the network alone again, where it could at the beginning."""
    if isinstance(session.runner.spread, ZeroSpread):
        session.runner.spread.leave()
        session.runner.spread = Spread()
