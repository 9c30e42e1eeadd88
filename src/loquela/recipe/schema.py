"""Every key of a recipe, with its default, range and help.

The defaults are those of the reference two-layer model. A key that is absent from the file keeps the
default, or is derived from `model.size` (see derivation.py); either way its origin is recorded.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag, field_validator, model_validator

from loquela.core.model import BoundaryModel
from loquela.core.near_names import unknown_name
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.cloud_section import CloudSection
from loquela.recipe.decontamination_section import DecontaminationSection
from loquela.recipe.deploy_section import DeploySection
from loquela.recipe.distributed_section import DeepSpeedOptions, FsdpOptions, Strategy
from loquela.recipe.document_section import DocumentOptions
from loquela.recipe.duplicates_section import DuplicatesSection
from loquela.recipe.encoding_section import EncodingSection
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.export_section import ExportSection
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.qa_section import QaSection
from loquela.recipe.secrets_in_recipes import without_secret
from loquela.recipe.slurm_section import SlurmSection
from loquela.recipe.source_entry import SourceEntry
from loquela.recipe.splitter_section import SplitterOptions
from loquela.recipe.tracking_section import TrackerName, TrackingSection
from loquela.recipe.tuned_section import TunedSection
from loquela.recipe.validation_section import ValidationSection

SCHEMA_VERSION = 1

DEFAULT_SOURCES = [
    "gutenberg:1342",
    "gutenberg:11",
    "gutenberg:1661",
    "gutenberg:2000",
    "gutenberg:17340",
    "gutenberg:15725",
]

SkippablePhase = Literal["corpus_download", "tokenizer_training"]
BUILT_IN_TOKENIZERS = ("bpe", "unigram", "wordpiece", "char", "word", "sentencepiece")
TokenizerEngine = Literal["auto", "library", "tokie"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
ModelFamily = Literal["transformer", "lstm", "gru"]
EvaluationMetric = Literal["perplexity", "accuracy", "f1"]


class ModelSize(StrEnum):
    """The one dial: each size derives the shape, the batch and the learning rate."""

    TINY = "tiny"
    SMALL = "small"
    MEDIUM = "medium"
    GPT2 = "gpt2"


def tokenizer_methods() -> list[str]:
    """The built-in methods and those of installed packages (entry points in `loquela.tokenizers`)."""
    installed = {entry.name for entry in metadata.entry_points(group="loquela.tokenizers")}
    return [*BUILT_IN_TOKENIZERS, *sorted(installed.difference(BUILT_IN_TOKENIZERS))]


def _list_tokenizers(schema: dict[str, JsonValue]) -> None:
    schema["enum"] = [*tokenizer_methods()]


def _known_tokenizer(method: str) -> str:
    if method not in BUILT_IN_TOKENIZERS and method not in tokenizer_methods():
        raise ValueError(unknown_name("tokenizer", method, tokenizer_methods()))
    return method


def _written_as(source: object) -> str:
    """Which of the two forms a source has, so that what is wrong with it is said of that form only."""
    return "address" if isinstance(source, str) else "entry"


WrittenSource = Annotated[
    Annotated[str, Field(min_length=1), AfterValidator(without_secret), Tag("address")]
    | Annotated[SourceEntry, Tag("entry")],
    Discriminator(_written_as),
]

TokenizerMethod = Annotated[str, AfterValidator(_known_tokenizer), Field(json_schema_extra=_list_tokenizers)]


class NormalizationSection(BoundaryModel):
    """What happens to text before it is tokenised; recorded in every artifact made from it."""

    unicode: Literal["none", "nfc", "nfkc"] = Field("nfc", description="Unicode normalisation form")
    lowercase: bool = Field(False, description="lower-case all text")
    remove_special_chars: bool = Field(False, description="drop control and format characters but tab and newline")


class DataSection(BoundaryModel):
    """Where the text comes from and how it is split."""

    sources: list[WrittenSource] = Field(
        [*DEFAULT_SOURCES],
        min_length=1,
        description="file, folder, glob, s3://…, builtin:stories, http(s)://… or gutenberg:<id>; a list of any of them",
    )
    corpus_size_mb: int = Field(8, gt=0, le=1_000_000, description="expected corpus size in MB, for the disk check")
    stories: int = Field(4000, ge=10, le=10_000_000, description="how many bilingual pairs builtin:stories writes")
    gutenberg_mirror: str = Field("https://www.gutenberg.org", description="base address of the Gutenberg mirror")
    allow_private_addresses: bool = Field(
        False, description="let sources lead to loopback or private addresses, which may then be asked without TLS"
    )
    timeout_seconds: float = Field(30.0, gt=0, le=3600, description="per network operation")
    document_bytes: int = Field(
        4096, ge=256, le=16_777_216, description="a longer text is cut into documents of about this size at paragraphs"
    )
    min_corpus_bytes: int = Field(1000, ge=1, description="a smaller corpus is refused as too small to learn from")
    seed: int = Field(
        1337,
        ge=0,
        lt=2**31,
        description="of the split and of the built-in stories, so that runs of several seeds compare",
    )
    validation_fraction: float = Field(0.05, gt=0, lt=1, description="share of documents held out for validation")
    test_fraction: float = Field(0.0, ge=0, lt=1, description="share of documents held out for the final test")
    on_change: Literal["stop", "rebuild"] = Field(
        "stop", description="when a source's bytes differ from those this run was made from"
    )
    encoding: EncodingSection = Field(default_factory=EncodingSection)
    validation: ValidationSection = Field(default_factory=ValidationSection)
    documents: DocumentOptions = Field(default_factory=DocumentOptions)
    splitter: SplitterOptions = Field(default_factory=SplitterOptions)
    split_unit: Literal["auto", "document", "source"] = Field(
        "auto", description="hold out documents, or whole source texts; auto: whole ones where there are enough of them"
    )
    stratify_by: str = Field(
        "source",
        pattern=r"^(source|language|label:.+)$",
        description="source, language or label:<name>: each of its values gives its share to every split",
    )
    duplicates: DuplicatesSection = Field(default_factory=DuplicatesSection)
    decontaminate: DecontaminationSection = Field(default_factory=DecontaminationSection)
    normalization: NormalizationSection = Field(default_factory=NormalizationSection)

    @property
    def entries(self) -> list[SourceEntry]:
        """`sources`, each written out."""
        return [SourceEntry(address=source) if isinstance(source, str) else source for source in self.sources]

    @field_validator("sources")
    @classmethod
    def _told_apart(cls, sources: list[str | SourceEntry]) -> list[str | SourceEntry]:
        keys = [source if isinstance(source, str) else source.key for source in sources]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} stands here twice; remove one, or give each a name of its own")
        return sources

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 0.9:
            raise ValueError("validation_fraction + test_fraction must leave at least 10 % to train on")
        return self


class TokenizerSection(BoundaryModel):
    """How text becomes token ids."""

    method: TokenizerMethod = Field("unigram", description="algorithm")
    vocab_size: int = Field(8000, ge=16, le=1_000_000, description="number of tokens; char and word may need fewer")
    sentencepiece_model_type: Literal["unigram", "bpe"] = Field(
        "unigram", description="algorithm inside a SentencePiece model (method: sentencepiece)"
    )
    model_file: Path | None = Field(
        None, description="load this tokenizer.json or SentencePiece .model instead of training one"
    )
    min_frequency: int = Field(2, ge=1, le=1000, description="rarer merges, words or characters are not learnt")
    holdout_fraction: float = Field(
        0.05, gt=0, lt=0.5, description="share of the training documents kept out to report coverage on"
    )


class ModelSection(BoundaryModel):
    """The network."""

    size: ModelSize = Field(ModelSize.TINY, description="one dial: derives every key below that the recipe leaves out")
    family: ModelFamily = Field("transformer", description="network family")
    num_layers: int = Field(2, ge=1, le=128, description="blocks, or recurrent layers")
    d_model: int = Field(128, ge=8, le=16384, description="width of the residual stream, or of the recurrent state")
    num_heads: int = Field(4, ge=1, le=256, description="attention heads; must divide d_model")
    num_kv_heads: int | None = Field(None, ge=1, description="grouped-query attention; must divide num_heads")
    dim_feedforward: int = Field(256, ge=8, le=65536, description="width inside the feed-forward part of a block")
    max_sequence_length: int = Field(128, ge=8, le=131072, description="context window, tokens")
    positions: Literal["learned", "rotary"] = Field("learned", description="how a token knows where it stands")
    norm: Literal["layernorm", "rmsnorm"] = Field("layernorm", description="normalisation before each part of a block")
    activation: Literal["gelu", "swiglu", "relu2"] = Field("gelu", description="of the feed-forward part")
    tie_embeddings: bool = Field(True, description="output head shares the input embedding")
    bias: bool = Field(True, description="biases in linear layers and norms")
    qk_norm: bool = Field(False, description="RMSNorm on queries and keys")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of activations dropped while training")
    initialization: Literal["random", "pretrained"] = Field("random", description="where the first weights come from")
    pretrained_path: Path | None = Field(None, description="Hugging Face folder to start from")

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if self.family == "transformer" and self.d_model % self.num_heads:
            divisors = [h for h in range(1, self.d_model + 1) if self.d_model % h == 0]
            near = min(divisors, key=lambda h: abs(h - self.num_heads))
            raise ValueError(
                f"num_heads ({self.num_heads}) does not divide d_model ({self.d_model}); set num_heads: {near}"
            )
        if self.num_kv_heads is not None and self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads ({self.num_kv_heads}) does not divide num_heads ({self.num_heads})")
        if self.initialization == "pretrained" and self.pretrained_path is None:
            raise ValueError("initialization: pretrained needs pretrained_path")
        return self


class OptimizerSection(BoundaryModel):
    """How gradients become updates."""

    name: Literal["adam", "adamw", "sgd", "muon"] = Field("adamw", description="muon trains matrices; adamw the rest")
    weight_decay: float = Field(0.01, ge=0, le=10, description="of matrices; norms and biases have none")
    beta1: float = Field(0.9, ge=0, lt=1, description="memory of the mean gradient (adam, adamw)")
    beta2: float = Field(0.95, ge=0, lt=1, description="memory of the squared gradient (adam, adamw)")
    epsilon: float = Field(1e-8, gt=0, description="keeps adam from dividing by zero")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd and muon")
    muon_learning_rate: float = Field(0.02, gt=0, le=1, description="learning rate of the matrices under muon")
    muon_max_overhead: float = Field(
        0.15, gt=0, le=10, description="predicted Newton-Schulz share of a step above which muon is refused"
    )


class ScheduleSection(BoundaryModel):
    """Learning rate over steps."""

    name: Literal["constant", "cosine", "linear", "warmup_stable_decay"] = Field(
        "cosine", description="shape after warm-up"
    )
    warmup_fraction: float = Field(0.02, ge=0, lt=1, description="share of all steps")
    decay_fraction: float = Field(0.3, gt=0, le=1, description="share of all steps (warmup_stable_decay)")
    final_fraction: float = Field(0.1, ge=0, le=1, description="last learning rate as a share of the peak")


class LossSection(BoundaryModel):
    """What is minimised."""

    name: Literal["cross_entropy", "mse", "focal"] = Field("cross_entropy", description="per-token loss")
    reduction: Literal["mean", "sum", "none"] = Field("mean", description="how token losses become one number")
    focal_gamma: float = Field(2.0, ge=0, le=10, description="how much focal loss ignores easy tokens; 0: not at all")


class TrainSection(BoundaryModel):
    """The training loop."""

    epochs: int = Field(20, ge=1, le=10_000, description="complete passes through the training shards")
    max_steps: int | None = Field(None, ge=1, description="stop after this many optimizer steps, whatever the epochs")
    batch_size: int = Field(32, ge=1, le=65536, description="rows per micro-batch, over all ranks")
    gradient_accumulation_steps: int = Field(1, ge=1, le=65536, description="micro-batches per optimizer step")
    learning_rate: float = Field(3e-4, ge=1e-7, le=1.0, description="peak")
    gradient_clip_norm: float | None = Field(1.0, gt=0, description="global norm; null turns clipping off")
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection)
    schedule: ScheduleSection = Field(default_factory=ScheduleSection)
    loss: LossSection = Field(default_factory=LossSection)
    log_every_steps: int = Field(10, ge=1, description="steps between two lines of metrics.jsonl")
    evaluate_every_steps: int | None = Field(None, ge=1, description="null: at the end of every epoch")
    sample_every_epochs: int = Field(1, ge=1, description="how often fixed prompts are sampled into samples.jsonl")
    checkpoint_every_steps: int = Field(500, ge=1, description="steps between periodic checkpoints")
    keep_checkpoints: int = Field(3, ge=1, le=1000, description="newest periodic checkpoints kept; best and final stay")
    early_stopping_patience: int | None = Field(None, ge=1, description="evaluations without gain; null: never")
    early_stopping_min_delta: float = Field(0.0, ge=0, description="smallest fall of validation loss that counts")
    max_skipped_steps: int = Field(3, ge=0, le=1000, description="non-finite steps skipped before a roll-back")
    max_rollbacks: int = Field(2, ge=0, le=100, description="roll-backs before the run stops with NAN_LOSS")
    spike_factor: float | None = Field(
        None, gt=1, description="a gradient norm this many times its recent mean counts as an explosion; null: off"
    )


class EvaluateSection(BoundaryModel):
    """What is measured after (and during) training, and what must hold."""

    metrics: list[EvaluationMetric] = Field(
        ["perplexity", "accuracy", "f1"], min_length=1, description="measured on the validation shards"
    )
    prompts: list[str] = Field(
        ["Once upon a time", "The old man", "Había una vez", "La mujer"],
        min_length=1,
        description="sampled during and after training",
    )
    sample_tokens: int = Field(60, ge=1, le=512, description="new tokens per sample")
    temperature: float = Field(0.8, ge=0, le=5, description="0 is greedy")
    max_validation_loss: float | None = Field(None, gt=0, description="a higher validation loss fails the run")
    budgets: BudgetSection = Field(default_factory=BudgetSection)
    tuned: TunedSection = Field(default_factory=TunedSection)


class ComputeSection(BoundaryModel):
    """Where and how the arithmetic happens."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="auto: cuda, mps, cpu, whichever is there"
    )
    precision: Precision = Field("auto", description="auto: by a probe of the hardware")
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(None, description="null: physical cores / processes")
    compile: Literal["auto", "on", "off"] = Field("auto", description="auto: when the gain outlives the compilation")
    gradient_checkpointing: bool = Field(False, description="recompute activations: less memory, more time")
    processes: int = Field(1, ge=1, le=4096, description="data-parallel ranks started by torchrun")
    strategy: Strategy = Field(
        "ddp",
        description="ddp: every process holds the whole network; fsdp, deepspeed: a share of it (fine-tuning only)",
    )
    fsdp: FsdpOptions | None = Field(None, description="null: the defaults, under strategy: fsdp")
    deepspeed: DeepSpeedOptions | None = Field(None, description="null: the defaults, under strategy: deepspeed")
    deterministic: bool = Field(True, description="refuse kernels whose result depends on timing")
    linear_kernel: Literal["auto", "torch", "onednn"] = Field("auto", description="fp32 matrix kernel on CPU, by probe")
    loader_workers: int | None = Field(None, ge=0, le=64, description="null: 0 on CPU, min(4, cores) on CUDA")
    prefetch_factor: int = Field(2, ge=1, le=64, description="batches that each loader worker keeps ready")
    memory_limit_mb: int | None = Field(None, ge=64, description="null: what the machine has free")
    data: str = Field("local", description="where data is prepared: local, slurm, ray or an installed executor")
    data_workers: int | None = Field(
        None, ge=1, le=4096, description="processes that prepare data; null: one for each physical core"
    )
    slurm: SlurmSection = Field(default_factory=SlurmSection)
    cloud: CloudSection | None = Field(None, description="a machine to rent with loquela launch; null: none")
    tokenizer_engine: TokenizerEngine = Field(
        "auto", description="what turns text into ids; auto: tokie where its ids are proven to be the tokenizer's own"
    )

    @model_validator(mode="after")
    def _options_of_the_strategy(self) -> Self:
        for name, options in (("fsdp", self.fsdp), ("deepspeed", self.deepspeed)):
            if options is not None and self.strategy != name:
                raise ValueError(
                    f"{name} has no effect under strategy: {self.strategy}; write strategy: {name}, or leave {name} out"
                )
        return self


class Recipe(BoundaryModel):
    """A whole recipe; `Recipe()` is the reference model on the default Gutenberg collection."""

    schema_version: Literal[1] = Field(1, description="migrate older files: loquela config migrate")
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="prefix of the run id")
    seed: int = Field(1337, ge=0, lt=2**31, description="of training: first weights, order, dropout, samples")
    output_directory: Path = Field(Path("./data/"), description="where runs and artifacts are written")
    resume_from_checkpoint: bool = Field(False, description="false asks when checkpoints are found")
    skip_phases: list[SkippablePhase] = Field(default_factory=list, description="phases whose artifacts exist already")
    data: DataSection = Field(default_factory=DataSection)
    tokenizer: TokenizerSection = Field(default_factory=TokenizerSection)
    model: ModelSection = Field(default_factory=ModelSection)
    train: TrainSection = Field(default_factory=TrainSection)
    evaluate: EvaluateSection = Field(default_factory=EvaluateSection)
    compute: ComputeSection = Field(default_factory=ComputeSection)
    qa: QaSection | None = Field(None, description="questions and answers from the corpus; null: none are made")
    examples: ExamplesSection | None = Field(None, description="rows to fine-tune on; null: none are prepared")
    finetune: FinetuneSection | None = Field(None, description="a base model learns the examples; null: it does not")
    export: ExportSection | None = Field(None, description="formats the model is exported in; null: none")
    deploy: DeploySection | None = Field(None, description="what exports must hold to; null: they are not checked")

    @model_validator(mode="after")
    def _shared_out_by_fine_tuning_alone(self) -> Self:
        if self.compute.strategy != "ddp" and self.finetune is None:
            raise ValueError(
                f"compute.strategy: {self.compute.strategy} is for a section finetune; of a network that is trained "
                "from scratch every process holds all, write strategy: ddp"
            )
        return self

    @model_validator(mode="after")
    def _rows_to_learn(self) -> Self:
        if self.finetune is not None and self.examples is None:
            raise ValueError("finetune learns the rows of examples, and there are none; write examples: {sources: […]}")
        if self.examples is not None and self.finetune is not None:
            self.examples.check_for_base()
        elif self.examples is not None and self.examples.template == "base":
            raise ValueError("examples.template: base is that of finetune.base, and there is no section finetune")
        return self

    track: list[TrackerName] = Field(
        default_factory=list, description="experiment trackers that follow a run: tensorboard, wandb, mlflow; several"
    )
    tracking: TrackingSection = Field(default_factory=TrackingSection)
    alerts: AlertPolicy | None = Field(None, description="who is told when something goes wrong; null: nobody")

    @field_validator("track")
    @classmethod
    def _each_tracker_once(cls, names: list[str]) -> list[str]:
        return list(dict.fromkeys(names))

    @field_validator("skip_phases")
    @classmethod
    def _each_phase_once(cls, phases: list[SkippablePhase]) -> list[SkippablePhase]:
        return sorted(set(phases))
