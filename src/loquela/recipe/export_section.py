"""The recipe's `export` section: formats that a trained model is written in, and how near to it they must stay."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from loquela.core.model import BoundaryModel

ExportFormat = Literal["safetensors", "onnx", "torchscript", "gguf"]
Quantization = Literal["none", "int8", "int4"]


class ExportTarget(BoundaryModel):
    """One export."""

    format: ExportFormat = Field(description="of the files")
    quantize: Quantization = Field("none", description="how weights are stored; each format has its own scheme")
    prune: float = Field(0.0, ge=0, lt=1, description="share of each matrix set to zero, the smallest numbers first")

    @property
    def name(self) -> str:
        """Name of its folder: onnx, onnx-int8, onnx-int8-pruned30."""
        parts = [self.format, *([self.quantize] if self.quantize != "none" else [])]
        return "-".join([*parts, *([f"pruned{self.prune * 100:g}"] if self.prune else [])])


class ParityLimits(BoundaryModel):
    """How far an export may be from the model it was made from, on held-out text."""

    max_logit_difference: Annotated[float, Field(gt=0)] | None = Field(
        None, description="largest difference of any logit; null: any"
    )
    max_mean_kl: float = Field(gt=0, description="mean Kullback-Leibler divergence of the next token, nats")
    min_top1_agreement: float = Field(ge=0, le=1, description="share of positions where both expect the same token")
    max_loss_increase: float = Field(gt=0, description="nats per token")


class ExportSection(BoundaryModel):
    """Exports made after the evaluation, each published only where its limits hold."""

    targets: list[ExportTarget] = Field(default_factory=list, description="what to export; none: nothing")
    held_out_tokens: int = Field(4096, ge=16, le=2**24, description="of the validation split, that exports are held to")
    continuation_tokens: int = Field(16, ge=1, le=512, description="written after each of five prompts, greedily")
    limits: ParityLimits = Field(
        default_factory=lambda: ParityLimits(
            max_logit_difference=1e-2, max_mean_kl=1e-4, min_top1_agreement=0.99, max_loss_increase=1e-3
        ),
        description="of exports that are not quantised",
    )
    limits_int8: ParityLimits = Field(
        default_factory=lambda: ParityLimits(max_mean_kl=0.02, min_top1_agreement=0.9, max_loss_increase=0.02),
        description="of int8 exports",
    )
    limits_int4: ParityLimits = Field(
        default_factory=lambda: ParityLimits(max_mean_kl=0.3, min_top1_agreement=0.75, max_loss_increase=0.3),
        description="of int4 exports",
    )
    max_pruning_loss_increase: float = Field(
        0.1, gt=0, description="nats per token that pruning may cost, before anything else is done to the weights"
    )

    @field_validator("targets")
    @classmethod
    def _each_once(cls, targets: list[ExportTarget]) -> list[ExportTarget]:
        names = [target.name for target in targets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is asked for more than once")
        return targets

    def limits_of(self, quantization: Quantization) -> ParityLimits:
        """The limits that count for `quantization`."""
        return {"none": self.limits, "int8": self.limits_int8, "int4": self.limits_int4}[quantization]
