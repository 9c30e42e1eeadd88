"""Request, result and error of the ModelExporter; what an export measured."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

from pydantic import Field

from loquela.core.model import BoundaryModel
from loquela.recipe.export_section import ExportFormat, ParityLimits, Quantization

ExporterErrorCode = Literal["EXPORT_FAILED", "UNSUPPORTED_FORMAT", "OPTIMIZATION_ERROR"]


class Optimization(BoundaryModel):
    """What is done to the weights; how much is pruned is the exporter's own setting."""

    quantization: Quantization = "none"
    pruning: bool = False


class ModelExporterRequest(BoundaryModel):
    """A trained model (a run, a checkpoint or a model folder) and the format it is wanted in."""

    checkpoint_path: str = Field(min_length=1)
    export_format: ExportFormat
    optimization: Optimization = Field(default_factory=Optimization)


class ModelExporterResult(BoundaryModel):
    """What was made; `inference_ready` is true: a bundle that its runtime could not run is not published."""

    export_id: UUID = Field(default_factory=uuid4)
    export_path: str
    format: str
    size_mb: float = Field(ge=0, description="of all files of the bundle, 10^6 bytes")
    inference_ready: bool


class ModelExporterError(BoundaryModel):
    """Why nothing was published."""

    error_code: ExporterErrorCode
    details: str


class LogitParity(BoundaryModel):
    """Logits of every held-out position by both; losses are nats per token."""

    text: str = Field(description="where the held-out text is from")
    tokens: int = Field(description="positions compared")
    max_logit_difference: float
    mean_kl: float = Field(description="of the exported distribution from the model's, nats")
    max_kl: float
    top1_agreement: float
    reference_loss: float
    loss: float
    reference_bits_per_byte: float
    bits_per_byte: float

    @property
    def loss_increase(self) -> float:
        """What the export costs, nats per token."""
        return self.loss - self.reference_loss


class Continuation(BoundaryModel):
    """What both write after one prompt, greedily; `same` is how many tokens from the first agree."""

    prompt_ids: list[int]
    reference_ids: list[int]
    exported_ids: list[int]
    same: int


class TokenParity(BoundaryModel):
    """Token ids of the proof strings; `own` says whether the format brought a tokenizer of its own.

    What is not `equal` and yet no other cut: `reordered`, the same unigram pieces in another order, which is as likely;
    `unmarked`, a byte-order mark dropped at the start of the text; `uncomposed`, equal once the text is composed (NFC),
    which the export's tokenizer leaves to its caller and the model's does itself.
    """

    own: bool
    strings: int
    equal: int
    reordered: int = 0
    unmarked: int = 0
    uncomposed: int = 0
    first_difference: str | None = Field(None, description="the first text cut into other tokens")

    @property
    def different(self) -> int:
        """Texts cut into other tokens."""
        return self.strings - self.equal - self.reordered - self.unmarked - self.uncomposed


class PruningCost(BoundaryModel):
    """What setting the smallest weights to zero cost, before anything else was done to them; nats per token."""

    share: float
    zeros: int
    loss_before: float
    loss_after: float

    @property
    def loss_increase(self) -> float:
        """The cost, nats per token."""
        return self.loss_after - self.loss_before


class ExportReport(BoundaryModel):
    """`export_report.json`: what was made from what, and how near to it it is."""

    format_version: Literal[1] = 1
    format: ExportFormat
    quantization: Quantization
    scheme: str
    source: str = Field(description="name of the model's folder, and of the run it lies in")
    checkpoint_digest: str
    family: str
    parameters: int
    reference_bytes: int = Field(description="weights of the model it was made from")
    model_bytes: int = Field(description="files of the exported model, without its tokenizer")
    logits: LogitParity
    continuations: list[Continuation]
    tokenizer: TokenParity
    pruning: PruningCost | None = None
    limits: ParityLimits
    failures: list[str] = Field(description="limits that do not hold; empty in a published bundle")
    libraries: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether every limit holds."""
        return not self.failures
