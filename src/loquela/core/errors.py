"""One error hierarchy, by whose fault it is.

    LoquelaError
    ├── RecipeError        what the user wrote in a recipe, option or request      exit 2   HTTP 400
    ├── DataError          what the text, shard or artifact contains               exit 3   HTTP 422
    ├── ResourceError      what the machine, network or file system lacks          exit 4   HTTP 503
    ├── ProofError         a proof, budget or quality gate that failed             exit 5   HTTP 409
    ├── AccessError        what a caller of the service may not do                 exit 4   HTTP 401, 403
    │   └── LimitError     more than a caller may ask for                          exit 4   HTTP 429
    ├── InternalError      our bug                                                 exit 70  HTTP 500
    └── Interrupted        stopped by the user or a signal; resumable              exit 75  HTTP 409

A message says what and where; `remedy` is the one edit or command that mends it.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import JsonValue


class ErrorCode(StrEnum):
    """Every code a Loquela component can report, the seeds' codes included."""

    # recipe and request
    CONFIG_INVALID = "CONFIG_INVALID"
    CONFIG_VERSION = "CONFIG_VERSION"
    NOT_REGISTERED = "NOT_REGISTERED"
    MISSING_EXTRA = "MISSING_EXTRA"
    ARCHITECTURE_INVALID = "ARCHITECTURE_INVALID"
    SPLIT_RATIO_INVALID = "SPLIT_RATIO_INVALID"
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    INVALID_SOURCE = "INVALID_SOURCE"
    # data
    DATA_NOT_FOUND = "DATA_NOT_FOUND"
    DATA_CHANGED = "DATA_CHANGED"
    READ_FAILED = "READ_FAILED"
    CORRUPT_DATA = "CORRUPT_DATA"
    ENCODING_ERROR = "ENCODING_ERROR"
    QUALITY_BELOW_THRESHOLD = "QUALITY_BELOW_THRESHOLD"
    PROHIBITED_CONTENT = "PROHIBITED_CONTENT"
    TOKENIZATION_FAILED = "TOKENIZATION_FAILED"
    TOKENIZER_TRAIN_FAILED = "TOKENIZER_TRAIN_FAILED"
    SEQUENCE_TOO_LONG = "SEQUENCE_TOO_LONG"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
    WRITE_FAILED = "WRITE_FAILED"
    DATASET_NOT_FOUND = "DATASET_NOT_FOUND"
    CORRUPT_BATCH = "CORRUPT_BATCH"
    CORRUPTION = "CORRUPTION"
    # sources and network
    AUTH_FAILED = "AUTH_FAILED"
    NETWORK_ERROR = "NETWORK_ERROR"
    TIMEOUT = "TIMEOUT"
    # resources
    INSUFFICIENT_RESOURCES = "INSUFFICIENT_RESOURCES"
    ALLOCATION_TIMEOUT = "ALLOCATION_TIMEOUT"
    DEVICE_FAILURE = "DEVICE_FAILURE"
    WORKER_CRASH = "WORKER_CRASH"
    OOM = "OOM"
    DISK_FULL = "DISK_FULL"
    WRITE_PERMISSION = "WRITE_PERMISSION"
    RUN_LOCKED = "RUN_LOCKED"
    # model and training
    MODEL_TRAIN_FAILED = "MODEL_TRAIN_FAILED"
    PRETRAINED_LOAD_FAILED = "PRETRAINED_LOAD_FAILED"
    CHECKPOINT_FAILED = "CHECKPOINT_FAILED"
    CHECKPOINT_INCOMPATIBLE = "CHECKPOINT_INCOMPATIBLE"
    NAN_LOSS = "NAN_LOSS"
    GRADIENT_EXPLOSION = "GRADIENT_EXPLOSION"
    GRADIENT_VANISHING = "GRADIENT_VANISHING"
    BACKWARD_FAILED = "BACKWARD_FAILED"
    NAN_DETECTED = "NAN_DETECTED"
    INF_DETECTED = "INF_DETECTED"
    SHAPE_MISMATCH = "SHAPE_MISMATCH"
    UPDATE_FAILED = "UPDATE_FAILED"
    INVALID_STATE = "INVALID_STATE"
    # monitoring, evaluation, export, deployment
    PERSISTENCE_FAILED = "PERSISTENCE_FAILED"
    INVALID_METRIC = "INVALID_METRIC"
    EVALUATION_FAILED = "EVALUATION_FAILED"
    METRIC_COMPUTATION_ERROR = "METRIC_COMPUTATION_ERROR"
    NOTIFICATION_FAILED = "NOTIFICATION_FAILED"
    EXPORT_FAILED = "EXPORT_FAILED"
    OPTIMIZATION_ERROR = "OPTIMIZATION_ERROR"
    PERFORMANCE_BELOW_THRESHOLD = "PERFORMANCE_BELOW_THRESHOLD"
    INFERENCE_FAILED = "INFERENCE_FAILED"
    COMPATIBILITY_ERROR = "COMPATIBILITY_ERROR"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    # runs
    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    INTERRUPTED = "INTERRUPTED"
    UNAUTHORIZED = "UNAUTHORIZED"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL = "INTERNAL"


class FailureClass(StrEnum):
    """What a retry may hope for: nothing, another try with backoff, nothing."""

    USER_INPUT = "USER_INPUT"
    TRANSIENT = "TRANSIENT"
    FATAL = "FATAL"


class LoquelaError(Exception):
    """Base of every error that a user can see.

    `message` says what and where, `remedy` the one edit or command that mends it, `details` the numbers
    behind it (JSON, never a secret), `retryable` whether the same call may succeed later.
    """

    exit_code: int = 70
    http_status: int = 500
    failure_class: FailureClass = FailureClass.FATAL

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        remedy: str,
        *,
        retryable: bool = False,
        details: dict[str, JsonValue] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.retryable = retryable
        self.details: dict[str, JsonValue] = details or {}
        if retryable:
            self.failure_class = FailureClass.TRANSIENT

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]\n  to mend it: {self.remedy}"


class RecipeError(LoquelaError):
    """What the user wrote cannot be used."""

    exit_code = 2
    http_status = 400
    failure_class = FailureClass.USER_INPUT


class DataError(LoquelaError):
    """The text, shard, tokenizer or checkpoint cannot be used."""

    exit_code = 3
    http_status = 422
    failure_class = FailureClass.USER_INPUT


class ResourceError(LoquelaError):
    """The machine, the network or the file system lacks what the work needs."""

    exit_code = 4
    http_status = 503
    failure_class = FailureClass.FATAL


class ProofError(LoquelaError):
    """A proof, budget or quality gate failed."""

    exit_code = 5
    http_status = 409
    failure_class = FailureClass.FATAL


class AccessError(LoquelaError):
    """Who asks is not known, or may not do what they ask."""

    exit_code = 4
    http_status = 403
    failure_class = FailureClass.USER_INPUT


class LimitError(AccessError):
    """More than a caller may ask for; `retry_after_seconds` in the details says when to ask again."""

    http_status = 429


class InternalError(LoquelaError):
    """Our bug."""


class Interrupted(LoquelaError):
    """Stopped on request with everything saved; `loquela run … --resume auto` goes on."""

    exit_code = 75
    http_status = 409
    failure_class = FailureClass.TRANSIENT
