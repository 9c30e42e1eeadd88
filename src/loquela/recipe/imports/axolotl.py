"""Axolotl's YAML as a recipe (key list of version 0.17)."""

from __future__ import annotations

from loquela.recipe.imports.axolotl_datasets import datasets
from loquela.recipe.imports.draft import Draft
from loquela.recipe.imports.parts import (
    ATTENTION,
    OPTIMIZER_NOTES,
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
    whole,
    write,
)

NAME = "axolotl"
OTHER_WORK = {
    "reward_model": "trains a reward model",
    "process_reward_model": "trains a reward model",
    "pretraining_dataset": "trains on raw text; for training from scratch write a recipe with: loquela init",
    "diffusion": "trains a diffusion model",
}
PLUGIN_NOTE = "plug-ins of axolotl are its own code"
BY_TEMPLATE = "the base's template and tokenizer stay as they are; a proof checks that every answer's end is learnt"


def _gradient_checkpointing(draft: Draft, key: str) -> None:
    value = draft.value(key)
    if isinstance(value, bool):
        draft.translate(key, {"compute.gradient_checkpointing": value})
    else:
        note = f"activations are recomputed; they are not moved elsewhere ({value})"
        draft.translate(key, {"compute.gradient_checkpointing": True}, note)


def _validation(draft: Draft, key: str) -> None:
    size = number(draft.value(key))
    if size < 1:
        draft.translate(key, {"examples.validation_fraction": size})
    else:
        draft.leave(key, "a number of rows; write examples.validation_fraction, a share")


def _save_steps(draft: Draft, key: str) -> None:
    if 0 < number(draft.value(key)) < 1:
        draft.leave(key, "a share of the steps; write finetune.checkpoint_every_steps, a number")
    else:
        to("finetune.checkpoint_every_steps", whole)(draft, key)


def _eval_steps(draft: Draft, key: str) -> None:
    if 0 < number(draft.value(key)) < 1:
        draft.leave(key, "a share of the steps; write finetune.evaluate_every_steps, a number")
    else:
        to("finetune.evaluate_every_steps", whole)(draft, key)


def _plugins(draft: Draft, key: str) -> None:
    names = draft.value(key)
    found = [str(name) for name in names] if isinstance(names, list) else [str(names)]
    if all("LigerPlugin" in name for name in found):
        draft.needless(key, "of Liger, the keys that begin with liger_ say what is asked for")
    else:
        draft.leave(key, PLUGIN_NOTE)


def _jinja(draft: Draft, key: str) -> None:
    found = str(draft.value(key))
    if "{" in found or "\n" in found:
        draft.leave(key, "a template inside the file; save it and write examples.template: custom and template_file")
    else:
        draft.translate(key, {"examples.template": "custom", "examples.template_file": found})


def _chat_template(draft: Draft, key: str) -> None:
    if draft.value(key) == "jinja":
        draft.needless(key, "said by chat_template_jinja")
    else:
        template(draft, key)


LEAN_LOSS = "head and loss are computed only where a token is learnt, with the same loss"
OWN_BY_CONTENT = "what was prepared is found again by its content, below output_directory"
RULES: dict[str, Rule] = {
    "base_model": to("finetune.base"),
    "revision_of_model": to("finetune.revision"),
    "model_type": needless("read from the base's config.json"),
    "tokenizer_type": needless("read from the base's own files"),
    "tokenizer_config": left("the tokenizer is always the base's own"),
    "tokenizer_use_fast": needless("the base's tokenizer.json is used"),
    "tokenizer_legacy": needless("the base's tokenizer.json is used"),
    "trust_remote_code": REMOTE_CODE,
    "chat_template": _chat_template,
    "chat_template_jinja": _jinja,
    "default_system_message": to("examples.system_prompt"),
    "sequence_len": to("examples.max_tokens", whole),
    "excess_length_strategy": one_of(
        "examples.on_overlong", {"drop": "drop", "truncate": "truncate", "raise": "error"}
    ),
    "sample_packing": to("examples.pack", lambda value: bool(value)),
    "eval_sample_packing": needless("held-out rows are measured alike"),
    "pad_to_sequence_len": needless("rows are padded to the longest of their batch; packed ones hardly at all"),
    "train_on_inputs": switch(write({"examples.learn": "all"}), write({"examples.learn": "assistant"})),
    "val_set_size": _validation,
    "dataset_exact_deduplication": switch(
        write({"examples.duplicates": "drop"}), write({"examples.duplicates": "keep"})
    ),
    "dataset_prepared_path": needless(OWN_BY_CONTENT),
    "skip_prepare_dataset": needless(OWN_BY_CONTENT),
    "dataset_processes": needless("by the machine's cores"),
    "dataset_num_proc": needless("by the machine's cores"),
    "remove_unused_columns": needless("only columns with a part to play are read"),
    "shuffle_merged_datasets": needless_if(True, "rows are always shuffled, by seed", "rows are always shuffled"),
    "group_by_length": needless_if(False, "rows are not sorted by length", "rows are not sorted by length"),
    "lora_r": to("finetune.lora.rank", whole),
    "lora_alpha": to("finetune.lora.alpha", whole),
    "lora_dropout": to("finetune.lora.dropout", number),
    "peft_use_rslora": to("finetune.lora.rslora", lambda value: bool(value)),
    "peft_use_dora": to("finetune.lora.dora", lambda value: bool(value)),
    "lora_fan_in_fan_out": needless("read from the base's layers"),
    "lora_modules_to_save": left("only the adapter is trained; embeddings and head stay as they are"),
    "lora_model_dir": left("an adapter is always begun anew; resume a run with: loquela run RECIPE --resume RUN"),
    "micro_batch_size": to("finetune.batch_size", whole),
    "gradient_accumulation_steps": to("finetune.gradient_accumulation_steps", whole),
    "num_epochs": to("finetune.epochs", whole),
    "max_steps": to("finetune.max_steps", whole),
    "learning_rate": to("finetune.learning_rate", number),
    "lr_scheduler": one_of("finetune.schedule", SCHEDULES),
    "optimizer": one_of("finetune.optimizer", OPTIMIZERS, OPTIMIZER_NOTES),
    "weight_decay": to("finetune.weight_decay", number),
    "max_grad_norm": to("finetune.gradient_clip_norm", number),
    "adam_beta1": needless_if(0.9, "AdamW's own value", "AdamW's own value, 0.9, is used"),
    "adam_beta2": needless_if(0.999, "AdamW's own value", "AdamW's own value, 0.999, is used"),
    "adam_epsilon": needless_if(1e-8, "AdamW's own value", "AdamW's own value, 1e-8, is used"),
    "gradient_checkpointing": _gradient_checkpointing,
    "gradient_checkpointing_kwargs": needless("how it is done follows from the model"),
    "attn_implementation": one_of("finetune.attention", ATTENTION),
    "flash_attention": switch(write({"finetune.attention": "flash_attention_2"}), needless("auto decides")),
    "sdp_attention": switch(write({"finetune.attention": "sdpa"}), needless("auto decides")),
    "eager_attention": switch(write({"finetune.attention": "eager"}), needless("auto decides")),
    "xformers_attention": switch(left("not a kernel that finetune.attention knows"), needless("auto decides")),
    "plugins": _plugins,
    "liger_fused_linear_cross_entropy": needless(LEAN_LOSS),
    "cut_cross_entropy": needless(LEAN_LOSS),
    "chunked_cross_entropy": needless(LEAN_LOSS),
    "deepspeed": left(SHARDED),
    "fsdp": left(SHARDED),
    "fsdp_config": left(SHARDED),
    "logging_steps": to("finetune.log_every_steps", whole),
    "save_steps": _save_steps,
    "saves_per_epoch": left("checkpoints go by steps: finetune.checkpoint_every_steps; the end is always kept"),
    "save_strategy": left("checkpoints go by steps: finetune.checkpoint_every_steps"),
    "save_total_limit": to("finetune.keep_checkpoints", whole),
    "save_only_model": needless_if(False, "checkpoints are whole", "checkpoints are always whole, to resume from"),
    "save_safetensors": needless("weights are always safetensors"),
    "eval_steps": _eval_steps,
    "evals_per_epoch": needless_if(1, "once an epoch", "it goes by steps: finetune.evaluate_every_steps"),
    "eval_batch_size": left("held-out rows are measured in batches of finetune.batch_size"),
    "early_stopping_patience": left("fine-tuning runs to its last step; the best checkpoint can be taken"),
    "output_dir": to("output_directory"),
    "seed": to("seed", whole),
    "wandb_project": to("tracking.project"),
    "resume_from_checkpoint": left("say it when you start: loquela run RECIPE --resume RUN"),
    "auto_resume_from_checkpoints": left("say it when you start: loquela run RECIPE --resume auto"),
    "hf_use_auth_token": needless("HF_TOKEN is used where it is set"),
    "low_cpu_mem_usage": needless("weights are read tensor by tensor"),
    "strict": needless_if(False, "shapes and names are always checked", "shapes and names are always checked"),
    "tf32": left("matrix products are those of compute.precision"),
    "special_tokens": left(BY_TEMPLATE),
    "tokens": left("the base's vocabulary stays as it is"),
    "eot_tokens": left(BY_TEMPLATE),
    "rl_beta": to("finetune.preference.beta", number),
    "dpo_beta": to("finetune.preference.beta", number),
    "dpo_label_smoothing": to("finetune.preference.label_smoothing", number),
    "kto_desirable_weight": to("finetune.preference.desirable_weight", number),
    "kto_undesirable_weight": to("finetune.preference.undesirable_weight", number),
    "debug": needless_if(False, "look at rows with: loquela data preview", "look at rows with: loquela data preview"),
}
PREFIXES = {
    "wandb_": "not a setting of Loquela's tracker; the run is called by its id",
    "trackio_": "no such tracker here",
    "swanlab_": "no such tracker here",
    "use_swanlab": "no such tracker here",
    "comet_": "no such tracker here",
    "otel_": "no such tracker here",
    "liger_": "finetune.liger turns on what Liger has for norms and gated layers",
    "lora_": "not an option of Loquela's low-rank adapters",
    "peft": "not an option of Loquela's low-rank adapters",
    "fsdp": "compute.strategy: fsdp shares the network out, with options of its own",
    "ddp": "processes are set up by Loquela",
    "dp_": "how processes share the work is Loquela's",
    "hub_": "nothing is sent to a hub",
    "push_": "nothing is sent to a hub",
    "vllm": "no such engine here",
    "trl": "settings of online reinforcement learning, which Loquela does not do",
    "gptq": "bases are quantised by finetune.method: qlora or int8_lora only",
    "sample_packing": "the packer needs no setting",
    "loss_watchdog": "a loss that is not finite stops the run with an error",
    "processor_type": "text only",
    "image": "text only",
    "torch_compile": "not used while fine-tuning",
    "kernels": "finetune.attention chooses the kernel",
    "flash_": "finetune.attention chooses the kernel",
    "flex_": "finetune.attention chooses the kernel",
}
UNKNOWN = "has no counterpart in a recipe"


def translate(draft: Draft) -> None:
    """Fill `draft` from axolotl's keys; RecipeError(UNSUPPORTED_FORMAT) for training of another kind."""
    _same_work(draft)
    _method(draft)
    _targets(draft)
    datasets(draft)
    precision(draft, bf16=("bf16", "bfloat16"), fp16=("fp16", "float16"), others=("float32",))
    warmup(draft, draft.value("max_steps"))
    _batch(draft)
    _trackers(draft)
    apply(draft, RULES, PREFIXES, UNKNOWN)
    for key, value, values in (
        ("num_epochs", 1, {"finetune.epochs": 1}),
        ("micro_batch_size", 1, {"finetune.batch_size": 1}),
        ("gradient_accumulation_steps", 1, {"finetune.gradient_accumulation_steps": 1}),
        ("val_set_size", 0.0, {"examples.validation_fraction": 0.0}),
    ):
        draft.default(key, value, values)
    if str(draft.values.get("finetune.method", "")) != "full":
        draft.default("lora_dropout", 0.0, {"finetune.lora.dropout": 0.0})


def _same_work(draft: Draft) -> None:
    for key, what in OTHER_WORK.items():
        if draft.value(key):
            raise other_work(f"{key}: it {what}")
    rl = draft.value("rl")
    if rl is None:
        return
    if rl not in ("dpo", "kto"):
        raise other_work(f"rl: {rl} is none of the ways of training that Loquela has (answers, dpo, kto)")
    draft.translate("rl", {"finetune.task": rl})


def _method(draft: Draft) -> None:
    adapter, four, eight = (draft.value(key) for key in ("adapter", "load_in_4bit", "load_in_8bit"))
    if adapter not in (None, "", "lora", "qlora"):
        draft.leave("adapter", "no such adapter here; finetune.method: lora is written")
        draft.values["finetune.method"] = "lora"
        return
    method = "full" if not adapter else "qlora" if adapter == "qlora" or four else "int8_lora" if eight else "lora"
    draft.values["finetune.method"] = method
    said = {"finetune.method": method}
    if "adapter" in draft.given:
        draft.translate("adapter", said)
    else:
        draft.default("adapter", None, said)
    for key, value in (("load_in_4bit", four), ("load_in_8bit", eight)):
        if value is None:
            continue
        if value and method == "full":
            draft.leave(key, "a quantised base cannot be trained whole")
        else:
            draft.needless(key, f"finetune.method: {method} says it")


def _targets(draft: Draft) -> None:
    modules, linear = draft.value("lora_target_modules"), draft.value("lora_target_linear")
    if linear is True:
        draft.translate("lora_target_linear", {"finetune.lora.target_modules": "all-linear"})
        if modules:
            draft.needless("lora_target_modules", "finetune.lora.target_modules: all-linear holds them all")
        return
    if linear is False:
        draft.needless("lora_target_linear", "lora_target_modules names them")
    if isinstance(modules, list) and modules:
        draft.translate("lora_target_modules", {"finetune.lora.target_modules": [str(name) for name in modules]})
    elif modules == "all-linear":
        draft.translate("lora_target_modules", {"finetune.lora.target_modules": "all-linear"})
    elif modules:
        draft.leave("lora_target_modules", "a pattern; write names of modules, or all-linear, which is the default")


def _batch(draft: Draft) -> None:
    whole_batch, micro = draft.value("batch_size"), draft.value("micro_batch_size")
    if whole_batch is None:
        return
    if draft.value("gradient_accumulation_steps") is not None:
        draft.needless("batch_size", "gradient_accumulation_steps says it")
        return
    try:
        steps = max(1, int(number(whole_batch) // max(1.0, number(micro if micro is not None else 1))))
    except ValueError as error:
        draft.leave("batch_size", str(error))
        return
    draft.translate("batch_size", {"finetune.gradient_accumulation_steps": steps}, f"{steps} micro-batches a step")


def _trackers(draft: Draft) -> None:
    for key, name in (("wandb_project", "wandb"), ("use_wandb", "wandb"), ("use_tensorboard", "tensorboard")):
        if not draft.value(key) or (draft.value("use_wandb") is False and name == "wandb"):
            continue
        if key == "wandb_project":
            draft.translate(key, {"tracking.project": str(draft.value(key)), "track": ["wandb"]})
        else:
            track(draft, key, [name])
    for key, recipe_key in (("mlflow_tracking_uri", "tracking.uri"), ("mlflow_experiment_name", "tracking.project")):
        if draft.value(key):
            draft.translate(key, {recipe_key: str(draft.value(key))})
            names = draft.values.get("track")
            draft.values["track"] = list(dict.fromkeys([*(names if isinstance(names, list) else []), "mlflow"]))
