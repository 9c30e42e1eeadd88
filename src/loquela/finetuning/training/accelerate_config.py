"""What holds, in the words of Accelerate: a file that `accelerate launch --config_file` reads.

Our own loop does the training; the file says to others, and to other tools, how the processes shared it.
"""

from __future__ import annotations

from pydantic import JsonValue

from loquela.finetuning.training.fsdp import LAYERS, FsdpSpread
from loquela.finetuning.training.session import TuningSession
from loquela.finetuning.training.zero import ZeroSpread

NAME = "accelerate_config.json"
PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def accelerate_settings(session: TuningSession) -> dict[str, JsonValue]:
    """Read from the live session."""
    spread = session.runner.spread
    settings: dict[str, JsonValue] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": _kind(session),
        "mixed_precision": PRECISIONS[session.plan.precision],
        "use_cpu": session.plan.device == "cpu",
        "debug": False,
        "num_processes": session.group.world_size,
        "num_machines": max(1, session.group.world_size // session.group.local_world_size),
        "machine_rank": 0,
        "main_training_function": "main",
    }
    if isinstance(spread, FsdpSpread):
        settings["fsdp_config"] = _fsdp(spread)
    if isinstance(spread, ZeroSpread):
        settings["deepspeed_config"] = _deepspeed(spread)
    return settings


def _kind(session: TuningSession) -> str:
    spread = session.runner.spread
    if isinstance(spread, FsdpSpread):
        return "FSDP"
    if isinstance(spread, ZeroSpread):
        return "DEEPSPEED"
    if session.group.world_size == 1:
        return "NO"
    return "MULTI_CPU" if session.plan.device == "cpu" else "MULTI_GPU"


def _fsdp(spread: FsdpSpread) -> dict[str, JsonValue]:
    layers = getattr(spread.network, LAYERS, None) or ()
    return {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_transformer_layer_cls_to_wrap": ",".join(sorted(str(name) for name in layers)),
        "fsdp_reshard_after_forward": spread.options.sharding == "full",
        "fsdp_offload_params": spread.options.cpu_offload,
        "fsdp_cpu_ram_efficient_loading": False,
        "fsdp_state_dict_type": "FULL_STATE_DICT",
    }


def _deepspeed(spread: ZeroSpread) -> dict[str, JsonValue]:
    return {
        "zero_stage": spread.options.stage,
        "gradient_accumulation_steps": spread.config["gradient_accumulation_steps"],
        "gradient_clipping": spread.config["gradient_clipping"],
        "offload_optimizer_device": "none",
        "offload_param_device": "none",
        "zero3_init_flag": False,
        "zero3_save_16bit_model": False,
    }
