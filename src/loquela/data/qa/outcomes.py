"""What the calls of a run come to: each is logged as it happens; and the reasons to end a run early."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, ProofError, RecipeError, ResourceError
from loquela.data.qa.budget import Budget
from loquela.data.qa.providers.contract import Completion, ProviderFailure, Request, Usage
from loquela.monitoring.events import Bus
from loquela.recipe.model_access import ModelAccess

TOKENS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")


@dataclass
class Calls:
    """Counts, and the log: events named `generation.*` go to the run's `llm_interaction.log`, without credentials.

    `section` is what messages speak of; events are those of `component`, its own begin with `topic`.
    """

    bus: Bus
    section: ModelAccess
    component: str = "QaGenerator"
    topic: str = "qa"
    made: int = 0
    reused: int = 0
    retried: int = 0
    total: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKENS, 0))

    def answered(self, request: Request, completion: Completion, cost_usd: float, attempt: int, seconds: float) -> None:
        """One answer came."""
        self.total += 1
        self.made += 1
        usage = completion.usage or Usage()
        for name in TOKENS:
            self.tokens[name] += int(getattr(usage, name))
        self._publish(
            "generation.answered.v1",
            request,
            attempt,
            prompt=[turn.text for turn in request.turns],
            answer=completion.text,
            stop=completion.stop,
            seconds=round(seconds, 3),
            cost_usd=cost_usd,
            usage={name: int(getattr(usage, name)) for name in TOKENS},
        )

    def failed(self, request: Request, failure: ProviderFailure, attempt: int, *, again: bool) -> None:
        """One call ended without an answer."""
        self.made += 1
        self.retried += again
        self._publish(
            "generation.failed.v1", request, attempt, failure=failure.kind, message=failure.message, again=again
        )

    def slowed(self, at_once: int) -> None:
        """The provider asked for less."""
        self.tell("slowed", {"requests_at_once": at_once})

    def spent(self, budget: Budget) -> None:
        """The end of the asking: what it came to."""
        tokens: dict[str, JsonValue] = {**self.tokens}
        self.tell(
            "spent",
            {
                "spent_usd": round(budget.spent, 6),
                "in_doubt_usd": round(budget.in_doubt, 6),
                "max_cost_usd": budget.limit,
                "calls": self.made,
                "retried": self.retried,
                "answered_before": self.reused,
                **tokens,
            },
        )

    def tell(self, what: str, data: dict[str, JsonValue]) -> None:
        """Publish a fact of the component's own."""
        self.bus.publish(f"{self.topic}.{what}.v1", data, component=self.component)

    def _publish(self, name: str, request: Request, attempt: int, **more: JsonValue) -> None:
        self.bus.publish(
            name,
            {
                "key": request.key,
                "purpose": request.purpose,
                "chunk": request.chunk,
                "endpoint": request.endpoint,
                "model": request.model,
                "prompt_version": request.prompt_version,
                "attempt": attempt,
                **more,
            },
            component=self.component,
        )


def check_failure(failure: ProviderFailure, request: Request, calls: Calls, *, too_many: bool) -> None:
    """Raise the error that ends the run, where going on makes no sense; every answer until then is kept.

    ResourceError(AUTH_FAILED) at the first refused credential, RecipeError(CONFIG_INVALID) when the very first request
    is one that the provider will not take, ResourceError(NETWORK_ERROR or TIMEOUT) for failures in a row.
    """
    details: dict[str, JsonValue] = {"endpoint": request.endpoint, "model": request.model, "failure": failure.kind}
    if failure.kind == "auth":
        raise ResourceError(
            ErrorCode.AUTH_FAILED,
            f"{request.endpoint} refused the credential ({failure.message})",
            f"give the right key: set ANTHROPIC_API_KEY or OPENAI_API_KEY, or {calls.section.place}.credential to the "
            "name of a stored one",
            details=details,
        )
    if failure.kind == "refused_request" and calls.total + calls.reused == 0:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{request.endpoint} does not take requests to the model {request.model!r}: {failure.message}",
            f"check {calls.section.place}.model and {calls.section.place}.base_url; nothing was charged",
            details=details,
        )
    if too_many:
        raise ResourceError(
            ErrorCode.TIMEOUT if failure.kind == "timeout" else ErrorCode.NETWORK_ERROR,
            f"{request.endpoint} leaves one request after the other without an answer, the last one with "
            f"{failure.kind}: {failure.message}",
            f"run the same command again later; the {calls.total} answers of this run are kept",
            retryable=True,
            details=details,
        )


def budget_error(budget: Budget, worst_usd: float, section: ModelAccess) -> ProofError:
    """The error for a cap that leaves no room for the next request."""
    in_doubt = f" and perhaps ${budget.in_doubt:.4f} for calls that got no answer" if budget.in_doubt else ""
    return ProofError(
        ErrorCode.INSUFFICIENT_RESOURCES,
        f"{section.place}.max_cost_usd is ${budget.limit:.4f}: ${budget.spent:.4f} are spent{in_doubt}, and the next "
        f"request may cost up to ${worst_usd:.4f}",
        f"raise {section.place}.max_cost_usd, or {section.to_ask_less}; every answer so far is kept and not paid for "
        "again",
        details={"limit": budget.limit, "spent": budget.spent, "in_doubt": budget.in_doubt, "next": worst_usd},
    )
