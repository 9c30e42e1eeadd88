"""What the service answers; times are seconds since 1970, UTC. Fields of a newer server are left out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue

ENDED = frozenset({"succeeded", "failed", "cancelled", "paused"})


class Answer(BaseModel):
    """Base: unknown fields are ignored, so that an older client reads a newer server."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Problem(Answer):
    """What stopped a run or refused a request."""

    code: str
    message: str
    remedy: str = ""


class Run(Answer):
    """A run as the service sees it. `last_heartbeat`: when its worker was last heard of."""

    run_id: str
    state: str
    reason: str | None = None
    message: str = ""
    error: Problem | None = None
    attempt: int = 0
    progress: dict[str, JsonValue] = Field(default_factory=dict)
    result: dict[str, JsonValue] | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    last_heartbeat: float | None = None
    progress_at: float | None = None
    worker: str | None = None
    project: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens without being asked for."""
        return self.state in ENDED


class RunPage(Answer):
    """Some runs, newest first; ask again with `before=next_before` for older ones."""

    runs: list[Run]
    next_before: int | None = None


class Difference(Answer):
    """One value that is not the same in two runs; null where a run has none."""

    what: str
    first: JsonValue = None
    second: JsonValue = None


class RunComparison(Answer):
    """What differs between two runs; `examples` and `adapters` are of runs that fine-tune."""

    first: str
    second: str
    recipe: list[Difference]
    stages: list[Difference]
    versions: list[Difference]
    hardware: list[Difference]
    results: list[Difference]
    examples: dict[str, JsonValue] | None = None
    adapters: dict[str, JsonValue] | None = None


class Event(Answer):
    """Something that happened; `seq` grows, so that a reader can go on behind it."""

    seq: int
    id: str
    job_id: str | None = None
    run_id: str | None = None
    at: float
    level: str = "info"
    name: str
    message: str = ""
    data: dict[str, JsonValue] = Field(default_factory=dict)


class EventPage(Answer):
    """Some events, oldest first; `last_seq` is the last one's number, `newest` that of the newest one there is."""

    events: list[Event]
    last_seq: int
    newest: int


class Plan(Answer):
    """What a recipe would do; `plan` is None where only the run itself can tell."""

    recipe: dict[str, JsonValue]
    derived: dict[str, str]
    plan: dict[str, JsonValue] | None = None


class RecipeProblem(Problem):
    """One thing that is wrong with a recipe; `key` is the dotted path, empty when the whole text is meant."""

    where: str = ""
    key: str = ""


class Validation(Answer):
    """Whether a recipe would be taken, and everything that is wrong with it."""

    valid: bool
    problems: list[RecipeProblem]
    recommendations: list[str] = Field(default_factory=list)
    derived: dict[str, str] = Field(default_factory=dict)


class Job(Answer):
    """An evaluation, export, deployment check, merge, proof, tokenizer or run; `result` is what came out."""

    job_id: str
    kind: str
    run_id: str
    state: str
    reason: str | None = None
    message: str = ""
    error: Problem | None = None
    attempt: int = 0
    progress: dict[str, JsonValue] = Field(default_factory=dict)
    result: dict[str, JsonValue] | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    project: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens without being asked for."""
        return self.state in ENDED


class JobPage(Answer):
    """Some jobs, newest first; ask again with `before=next_before` for older ones."""

    jobs: list[Job]
    next_before: int | None = None


class Evaluation(Answer):
    """How good a model is; losses in nats. `job_id` is None for the run's own evaluation."""

    run_id: str
    job_id: str | None = None
    status: str
    error: Problem | None = None
    split: str | None = None
    loss: float | None = None
    perplexity: float | None = None
    bits_per_byte: float | None = None
    accuracy: float | None = None
    f1_score: float | None = None
    report: dict[str, JsonValue] | None = None


class Export(Answer):
    """One export of a run."""

    name: str
    format: str
    quantization: str
    runtime: str
    bytes: int
    digest: str


class ExportList(Answer):
    """The exports of a run."""

    exports: list[Export]


class Promotion(Answer):
    """An export that was marked as the one in use, on the strength of its check; digests are SHA-256."""

    export: str
    bundle_digest: str
    report_digest: str
    promoted: str
    record_digest: str


class Promotions(Answer):
    """The promotions of a run's exports, oldest first; `in_use` is the last one's export, None before the first."""

    in_use: str | None = None
    promotions: list[Promotion]


class Tokenizer(Answer):
    """A tokenizer that was trained alone."""

    tokenizer_id: str
    status: str
    error: Problem | None = None
    method: str | None = None
    vocab_size: int | None = None
    coverage: float | None = None
    oov_rate: float | None = None
    statistics: dict[str, JsonValue] | None = None


class TokenizerPage(Answer):
    """Some tokenizers, newest first; ask again with `before=next_before` for older ones."""

    tokenizers: list[Tokenizer]
    next_before: int | None = None


class Artifact(Answer):
    """A tarball in the store; `file_id` is its SHA-256."""

    kind: str
    id: str
    run_id: str
    file_id: str
    size_bytes: int
    files: int
    verified_at: float
    cleaned_at: float | None = None


class RunArtifacts(Answer):
    """What is stored of a run; `here`: its folders are at the service too."""

    run_id: str
    here: bool
    artifacts: list[Artifact]


class ArtifactPage(Answer):
    """Some artifacts, newest first; ask again with `before=next_before` for older ones."""

    artifacts: list[Artifact]
    next_before: int | None = None


class Point(Answer):
    """One value of a metric."""

    step: int
    value: float


class FlaggedPoint(Answer):
    """A step whose value was no number: NaN, Infinity or -Infinity."""

    step: int
    flag: str


class Series(Answer):
    """One metric; of every stretch the lowest and highest point, or all of them where `exact`."""

    key: str
    points_total: int
    exact: bool
    points: list[Point]
    flagged: list[FlaggedPoint] = Field(default_factory=list)


class MetricNames(Answer):
    """The metrics that a run has told."""

    keys: list[str]


class LogLines(Answer):
    """The newest lines of a log."""

    lines: list[str]


class ApiKey(Answer):
    """The key that asks; it sees only what is of its `project`, where it has one."""

    id: str
    name: str
    scopes: list[str]
    owner: str
    project: str | None = None
    expires_at: float | None = None


class Generated(Answer):
    """A generation; one entry per sequence once `status` is succeeded."""

    request_id: str
    status: str
    error: Problem | None = None
    outputs: list[str] | None = None
    steps: list[int] | None = None
    eos_terminated: list[bool] | None = None
    notes: list[str] = Field(default_factory=list)


class Scored(Answer):
    """A scoring; losses and surprisals in nats."""

    request_id: str
    status: str
    error: Problem | None = None
    loss: float | None = None
    perplexity: float | None = None
    surprisal: list[float] | None = None
    topk: list[list[dict[str, JsonValue]]] | None = None
    tokens: list[str] | None = None
    characters: list[dict[str, JsonValue]] | None = None
    notes: list[str] = Field(default_factory=list)


class ChatTurn(Answer):
    """An answer of a model. `finished` is end, stop or length."""

    text: str
    steps: int
    finished: str
    messages_left_out: int = 0
    prompt_tokens: int = 0
    notes: list[str] = Field(default_factory=list)


class UploadedFile(Answer):
    """A file that the service keeps; recipes name it as `upload:<id>`."""

    id: str
    bytes: int
    filename: str
    purpose: str
