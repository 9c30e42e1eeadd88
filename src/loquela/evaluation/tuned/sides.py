"""Base and adapter, ready to be asked in turn: one load where the adapter can be switched off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from loquela.artifacts.base import Base
from loquela.core.errors import ErrorCode, ProofError
from loquela.evaluation.tuned.contracts import Side
from loquela.models.pretrained.adapter_files import is_adapter
from loquela.models.pretrained.adapters import AdaptedModel, attach_saved
from loquela.models.pretrained.causal import CausalModel
from loquela.models.pretrained.identify import identify
from loquela.models.pretrained.load import DtypeName, QuantizationPlan, load_base_model


@dataclass(frozen=True)
class LoadPlan:
    """How both sides are loaded: number format, where, and how the base was quantised for training, if it was."""

    dtype: DtypeName
    device: str
    quantization: QuantizationPlan | None = None


class Sides:
    """Opens what was fine-tuned beside its base; `method` says what kind of thing it is.

    Of a full fine-tuning the two are models of their own, of which one is in memory at a time. Raises what opening
    raises: a changed base, an adapter of another base, damaged files.
    """

    def __init__(self, base: Base, tuned: Path, plan: LoadPlan) -> None:
        self.base = base
        self.tuned = tuned
        self.plan = plan
        self.is_adapter = is_adapter(tuned)
        self.base_equals_plain: bool | None = None
        self._adapted: AdaptedModel | None = None

    @contextmanager
    def side(self, side: Side, probe: Tensor) -> Iterator[CausalModel]:
        """The model of one side, in evaluation mode.

        `probe` int64 [1, T] is shown to the base before and after the adapter is put on it, once: ProofError when the
        base with its adapter switched off is not the base.
        """
        if not self.is_adapter:
            yield self._whole(side)
        elif side == "base":
            adapted = self._opened(probe)
            with adapted.adapter_off():
                yield adapted
        else:
            yield self._opened(probe)

    def _whole(self, side: Side) -> CausalModel:
        if side == "base":
            return _load(self.base, self.plan)
        # By its own files: a base.json in it says what it was trained from.
        identity = identify(self.tuned, source=str(self.tuned))
        return _load(Base(self.tuned, identity), self.plan)

    def _opened(self, probe: Tensor) -> AdaptedModel:
        if self._adapted is None:
            model = _load(self.base, self.plan)
            plain = _logits(model, probe)
            self._adapted = attach_saved(model, self.tuned)
            self._adapted.module.eval()
            with self._adapted.adapter_off():
                switched_off = _logits(self._adapted, probe)
            self._prove(plain, switched_off)
        return self._adapted

    def _prove(self, plain: Tensor, switched_off: Tensor) -> None:
        if not torch.equal(plain, switched_off):
            difference = float((plain.float() - switched_off.float()).abs().max())
            raise ProofError(
                ErrorCode.VALIDATION_FAILED,
                f"with the adapter in {self.tuned} switched off, the model is not its base: logits differ by up to "
                f"{difference:.3g}",
                "the adapter changes weights of the base that it cannot put back (bias, embeddings); merge it and "
                "compare the merged model",
                details={"difference": difference},
            )
        self.base_equals_plain = True


def _load(base: Base, plan: LoadPlan) -> CausalModel:
    model = load_base_model(base, dtype=plan.dtype, quantization=plan.quantization, device=plan.device)
    model.module.eval()
    return model


@torch.no_grad()
def _logits(model: CausalModel, probe: Tensor) -> Tensor:
    return model.logits(probe.to(model.device))
