"""LLaMA-Factory's YAML as a recipe (the keys of its training arguments, 2026)."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.recipe.imports.draft import Draft
from loquela.recipe.imports.llama_factory_datasets import datasets
from loquela.recipe.imports.parts import (
    ATTENTION,
    OPTIMIZERS,
    REMOTE_CODE,
    SCHEDULES,
    SHARDED,
    other_work,
    precision,
    template,
    track,
    warmup,
)
from loquela.recipe.imports.rules import (
    Rule,
    apply,
    left,
    needless,
    needless_if,
    number,
    one_of,
    switch,
    to,
    truth,
    whole,
    write,
)

NAME = "LLaMA-Factory"
STAGES: dict[str, str] = {"sft": "sft", "dpo": "dpo", "kto": "kto"}
METHODS: dict[str, str] = {"lora": "lora", "full": "full"}
OWN_BY_CONTENT = "what was prepared is found again by its content, below output_directory"
NO_OVERWRITING = "every run has a folder of its own"
OTHER_OPTIMIZER = "no such optimizer here; finetune.optimizer names those that there are"


def _targets(draft: Draft, key: str) -> None:
    value = draft.value(key)
    names = value if isinstance(value, list) else [each.strip() for each in str(value).split(",")]
    every = names == ["all"]
    draft.translate(key, {"finetune.lora.target_modules": "all-linear" if every else [str(each) for each in names]})


def _report_to(draft: Draft, key: str) -> None:
    value = draft.value(key)
    names = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    track(draft, key, ["tensorboard", "wandb", "mlflow"] if names == ["all"] else names)


def _packing(draft: Draft, key: str) -> None:
    value = bool(draft.value(key))
    note = "rows that share a line are kept from seeing each other, and a proof checks it" if value else ""
    draft.translate(key, {"examples.pack": value}, note)


def _eval_strategy(draft: Draft, key: str) -> None:
    if draft.value(key) == "epoch":
        draft.needless(key, "once an epoch, unless finetune.evaluate_every_steps says otherwise")
    elif draft.value(key) == "steps":
        draft.needless(key, "finetune.evaluate_every_steps says how often")
    else:
        draft.leave(key, "held-out rows are always measured, at least once an epoch")


RULES: dict[str, Rule] = {
    "model_name_or_path": to("finetune.base"),
    "model_revision": to("finetune.revision"),
    "trust_remote_code": REMOTE_CODE,
    "adapter_name_or_path": left("an adapter is always begun anew; resume a run with: loquela run RECIPE --resume RUN"),
    "use_fast_tokenizer": needless("the base's tokenizer.json is used"),
    "double_quantization": to("finetune.quantization.double", truth),
    "quantization_type": one_of("finetune.quantization.type", {"nf4": "nf4", "fp4": "fp4"}),
    "do_train": needless("loquela run trains"),
    "do_eval": needless("held-out rows are always measured"),
    "do_predict": needless("base and adapter answer held-out rows after the training"),
    "predict_with_generate": needless("base and adapter answer held-out rows after the training"),
    "lora_rank": to("finetune.lora.rank", whole),
    "lora_alpha": to("finetune.lora.alpha", whole),
    "lora_dropout": to("finetune.lora.dropout", number),
    "lora_target": _targets,
    "use_rslora": to("finetune.lora.rslora", truth),
    "use_dora": to("finetune.lora.dora", truth),
    "additional_target": left("only the adapter is trained; embeddings and head stay as they are"),
    "template": template,
    "default_system": to("examples.system_prompt"),
    "cutoff_len": to(
        "examples.max_tokens",
        whole,
        "a longer row stops the run (examples.on_overlong: error); LLaMA-Factory cuts it without a word",
    ),
    "max_samples": left("all rows are read; keep fewer in the files"),
    "train_on_prompt": switch(write({"examples.learn": "all"}), needless("answers are learnt, not questions")),
    "mask_history": switch(write({"examples.learn": "completion"}), needless("every answer is learnt")),
    "packing": _packing,
    "neat_packing": _packing,
    "val_size": to("examples.validation_fraction", number),
    "eval_dataset": left("held out are examples.validation_fraction and test_fraction of the rows"),
    "overwrite_cache": needless(OWN_BY_CONTENT),
    "tokenized_path": needless(OWN_BY_CONTENT),
    "preprocessing_num_workers": needless("by the machine's cores"),
    "preprocessing_batch_size": needless("rows are read one by one"),
    "dataloader_num_workers": needless("rows are ready before the training begins"),
    "output_dir": to("output_directory"),
    "overwrite_output_dir": needless(NO_OVERWRITING),
    "logging_steps": to("finetune.log_every_steps", whole),
    "save_steps": to("finetune.checkpoint_every_steps", whole),
    "save_total_limit": to("finetune.keep_checkpoints", whole),
    "save_only_model": needless_if(False, "checkpoints are whole", "checkpoints are always whole, to resume from"),
    "plot_loss": needless("loss.png is always drawn"),
    "report_to": _report_to,
    "run_name": to("name"),
    "per_device_train_batch_size": to("finetune.batch_size", whole),
    "gradient_accumulation_steps": to("finetune.gradient_accumulation_steps", whole),
    "num_train_epochs": to("finetune.epochs", whole),
    "max_steps": to("finetune.max_steps", whole),
    "learning_rate": to("finetune.learning_rate", number),
    "lr_scheduler_type": one_of("finetune.schedule", SCHEDULES),
    "optim": one_of("finetune.optimizer", OPTIMIZERS),
    "weight_decay": to("finetune.weight_decay", number),
    "max_grad_norm": to("finetune.gradient_clip_norm", number),
    "adam_beta1": needless_if(0.9, "AdamW's own value", "AdamW's own value, 0.9, is used"),
    "adam_beta2": needless_if(0.999, "AdamW's own value", "AdamW's own value, 0.999, is used"),
    "adam_epsilon": needless_if(1e-8, "AdamW's own value", "AdamW's own value, 1e-8, is used"),
    "flash_attn": one_of("finetune.attention", ATTENTION),
    "enable_liger_kernel": needless("head and loss are computed only where a token is learnt, with the same loss"),
    "disable_gradient_checkpointing": switch(
        write({"compute.gradient_checkpointing": False}), write({"compute.gradient_checkpointing": True})
    ),
    "gradient_checkpointing": to("compute.gradient_checkpointing", truth),
    "deepspeed": left(SHARDED),
    "fsdp": left(SHARDED),
    "ddp_timeout": needless("processes wait for each other as long as it takes"),
    "resume_from_checkpoint": left("say it when you start: loquela run RECIPE --resume RUN"),
    "eval_strategy": _eval_strategy,
    "evaluation_strategy": _eval_strategy,
    "eval_steps": to("finetune.evaluate_every_steps", whole),
    "per_device_eval_batch_size": left("held-out rows are measured in batches of finetune.batch_size"),
    "seed": to("seed", whole),
    "pref_beta": to("finetune.preference.beta", number),
    "pref_loss": needless_if("sigmoid", "dpo's own loss", "dpo has its own loss, sigmoid"),
    "dpo_label_smoothing": to("finetune.preference.label_smoothing", number),
    "kto_chosen_weight": to("finetune.preference.desirable_weight", number),
    "kto_rejected_weight": to("finetune.preference.undesirable_weight", number),
    "use_galore": left(OTHER_OPTIMIZER),
    "use_apollo": left(OTHER_OPTIMIZER),
    "use_badam": left(OTHER_OPTIMIZER),
    "use_adam_mini": left(OTHER_OPTIMIZER),
    "use_muon": left(OTHER_OPTIMIZER),
    "resize_vocab": left("the base's vocabulary stays as it is"),
    "add_tokens": left("the base's vocabulary stays as it is"),
    "add_special_tokens": left("the base's vocabulary stays as it is"),
}
PREFIXES = {
    "galore_": OTHER_OPTIMIZER,
    "apollo_": OTHER_OPTIMIZER,
    "badam_": OTHER_OPTIMIZER,
    "image_": "text only",
    "video_": "text only",
    "audio_": "text only",
    "freeze_": "an adapter or the whole model is trained, not a part of it",
    "pissa_": "adapters begin at zero, so that the first step is the base's",
    "loraplus_": "all adapter weights have one learning rate",
    "swanlab_": "no such tracker here",
    "use_swanlab": "no such tracker here",
    "kt_": "KTransformers is not used",
    "use_kt": "KTransformers is not used",
    "export_": "say it in the recipe's section export, or run: loquela merge-adapter",
    "vllm_": "no such engine here",
    "sglang_": "no such engine here",
    "ray_": "processes are started by Loquela",
    "fp8": "no fp8 here",
    "quantization_": "4-bit bases are finetune.method: qlora, 8-bit ones int8_lora",
    "new_special_tokens": "the base's vocabulary stays as it is",
    "init_special_tokens": "the base's vocabulary stays as it is",
    "fsdp_": "compute.strategy: fsdp shares the network out, with options of its own",
    "use_v1": "finetune.attention chooses the kernel",
}
UNKNOWN = "has no counterpart in a recipe"
# The program's own defaults where they differ from ours: key → (its value, ours).
DEFAULTS: dict[str, tuple[JsonValue, dict[str, JsonValue]]] = {
    "num_train_epochs": (3, {"finetune.epochs": 3}),
    "per_device_train_batch_size": (8, {"finetune.batch_size": 8}),
    "gradient_accumulation_steps": (1, {"finetune.gradient_accumulation_steps": 1}),
    "learning_rate": (5e-5, {"finetune.learning_rate": 5e-5}),
    "lr_scheduler_type": ("linear", {"finetune.schedule": "linear"}),
    "cutoff_len": (2048, {"examples.max_tokens": 2048}),
    "val_size": (0.0, {"examples.validation_fraction": 0.0}),
    "disable_gradient_checkpointing": (False, {"compute.gradient_checkpointing": True}),
}


def translate(draft: Draft, folder: Path) -> None:
    """Fill `draft`; `folder` is where the file lies, for its list of datasets.

    RecipeError(UNSUPPORTED_FORMAT) for training of another kind.
    """
    _method(draft)
    datasets(draft, folder)
    precision(draft, bf16=("bf16", "pure_bf16"), fp16=("fp16",))
    warmup(draft, draft.value("max_steps"))
    apply(draft, RULES, PREFIXES, UNKNOWN)
    for key, (value, values) in DEFAULTS.items():
        draft.default(key, value, values)
    if not any(key in draft.given for key in ("warmup_ratio", "warmup_steps")):
        draft.default("warmup_ratio", 0.0, {"finetune.warmup_fraction": 0.0})
    if draft.values["finetune.method"] != "full":
        rank = draft.values.get("finetune.lora.rank", 8)
        draft.default("lora_rank", 8, {"finetune.lora.rank": 8})
        draft.default("lora_alpha", None, {"finetune.lora.alpha": int(number(rank)) * 2})
        draft.default("lora_dropout", 0.0, {"finetune.lora.dropout": 0.0})


def _method(draft: Draft) -> None:
    stage, kind = draft.value("stage"), draft.value("finetuning_type")
    if stage is not None and str(stage) not in STAGES:
        raise other_work(f"stage: {stage} is none of the ways of training that Loquela has (sft, dpo, kto)")
    if kind is not None and str(kind) not in METHODS:
        raise other_work(f"finetuning_type: {kind} is none of lora and full")
    if stage is not None:
        draft.translate("stage", {"finetune.task": STAGES[str(stage)]})
    method, bits = METHODS[str(kind or "lora")], draft.value("quantization_bit")
    if bits is not None and draft.value("quantization_method") in (None, "bnb", "bitsandbytes") and method == "lora":
        chosen = {"4": "qlora", "8": "int8_lora"}.get(str(bits))
        if chosen is not None:
            method = chosen
            draft.translate("quantization_bit", {"finetune.method": chosen})
            if "quantization_method" in draft.given:
                draft.needless("quantization_method", f"finetune.method: {chosen} says it")
    said: dict[str, JsonValue] = {"finetune.method": method}
    if "finetuning_type" in draft.given:
        draft.translate("finetuning_type", said)
    else:
        draft.default("finetuning_type", "lora", said)
