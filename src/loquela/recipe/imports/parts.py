"""What both programs have alike: precision, warm-up, optimizers, trackers, remote code."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.imports.draft import Draft
from loquela.recipe.imports.rules import needless as needless_rule
from loquela.recipe.imports.rules import number, refused, switch

OPTIMIZERS: dict[str, JsonValue] = {
    "adamw_torch": "adamw",
    "adamw_torch_fused": "adamw",
    "adamw_hf": "adamw",
    "adamw_8bit": "adamw_8bit",
    "adamw_bnb_8bit": "adamw_8bit",
    "adamw_torch_8bit": "adamw_8bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
    "paged_adamw_32bit": "paged_adamw_32bit",
    "paged_adamw": "paged_adamw_32bit",
    "adafactor": "adafactor",
    "sgd": "sgd",
}
OPTIMIZER_NOTES = {"adamw_torch_8bit": "bitsandbytes' 8-bit AdamW, where torchao's was asked for"}
SCHEDULES: dict[str, JsonValue] = {name: name for name in ("linear", "cosine", "constant", "constant_with_warmup")}
ATTENTION: dict[str, JsonValue] = {
    "flash_attention_2": "flash_attention_2",
    "fa2": "flash_attention_2",
    "sdpa": "sdpa",
    "eager": "eager",
    "disabled": "eager",
    "auto": "auto",
}
TEMPLATES: dict[str, JsonValue] = {"tokenizer_default": "base", "chatml": "chatml", "alpaca": "alpaca"}
SHARDED = "compute.strategy chooses how weights are shared out (fsdp, deepspeed), with options of its own"
TRACKERS = ("tensorboard", "wandb", "mlflow")
REMOTE_CODE = switch(
    refused("code that comes with a model is never run: a base that needs it cannot be used"),
    needless_rule("code that comes with a model is never run"),
)


def template(draft: Draft, key: str) -> None:
    """A named chat template; those of model families are what the base itself carries."""
    name = str(draft.value(key))
    if name in TEMPLATES:
        draft.translate(key, {"examples.template": TEMPLATES[name]})
    else:
        why = f"the template that the base carries takes the place of the one called {name}"
        draft.translate(key, {"examples.template": "base"}, why)


def precision(draft: Draft, *, bf16: tuple[str, ...], fp16: tuple[str, ...], others: tuple[str, ...] = ()) -> None:
    """Several switches, of which one may be on, as `compute.precision`."""
    present = [key for key in (*bf16, *fp16, *others) if draft.value(key) is not None]
    on = [key for key in present if draft.value(key) is True]
    if on:
        chosen = "bf16" if on[0] in bf16 else "fp16" if on[0] in fp16 else "fp32"
    elif any(draft.value(key) == "auto" for key in present):
        chosen = "auto"
    else:
        chosen = "fp32"
    for number_of, key in enumerate(present):
        if number_of == 0:
            draft.translate(key, {"compute.precision": chosen})
        else:
            draft.needless(key, f"compute.precision: {chosen} says it")


def warmup(draft: Draft, steps_total: JsonValue) -> None:
    """`warmup_ratio`, or `warmup_steps` as a share of the steps where their number is written."""
    steps, ratio = draft.value("warmup_steps"), draft.value("warmup_ratio")
    if ratio is not None:
        try:
            draft.translate("warmup_ratio", {"finetune.warmup_fraction": number(ratio)})
        except ValueError as error:
            draft.leave("warmup_ratio", str(error))
    if steps is None:
        return
    try:
        share, total = number(steps), number(steps_total if steps_total is not None else 0)
    except ValueError as error:
        draft.leave("warmup_steps", str(error))
        return
    if 0 <= share < 1:
        draft.translate("warmup_steps", {"finetune.warmup_fraction": share})
    elif total > share >= 0:
        note = f"as a share of max_steps, {total:g}"
        draft.translate("warmup_steps", {"finetune.warmup_fraction": round(share / total, 6)}, note)
    else:
        why = "warm-up is a share of all steps, whose number only the rows tell; write finetune.warmup_fraction"
        draft.leave("warmup_steps", why)


def track(draft: Draft, key: str, names: list[str]) -> None:
    """Trackers by name; those that are not ours are said."""
    ours = [name for name in names if name in TRACKERS]
    others = [name for name in names if name not in (*TRACKERS, "none")]
    before = draft.values.get("track")
    together = [*(before if isinstance(before, list) else []), *ours]
    note = f"no tracker here: {', '.join(others)}" if others else ""
    if ours:
        draft.translate(key, {"track": list(dict.fromkeys(together))}, note)
    elif others:
        draft.leave(key, note)
    else:
        draft.needless(key, "no tracker is used unless the recipe names one")


def other_work(what: str) -> RecipeError:
    """UNSUPPORTED_FORMAT: not the kind of training that a recipe of ours can say."""
    return RecipeError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"this configuration cannot be imported: {what}",
        "import one that fine-tunes on answers or on preferences (dpo, kto)",
    )
