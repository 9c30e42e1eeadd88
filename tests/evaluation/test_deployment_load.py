"""The load: arrivals that wait for nobody, and the numbers made of it, by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts.bundle import GoldenPrompt
from loquela.core.errors import DataError, ErrorCode
from loquela.evaluation.deployment.arrivals import arrival_times
from loquela.evaluation.deployment.figures import figures_of, repeat_figures
from loquela.evaluation.deployment.job import GoldenMismatch, GoldenOutcome, LoadRun, ServedRequest
from loquela.evaluation.deployment.judging import compare, verdicts_on
from loquela.evaluation.deployment.report import Figure
from loquela.evaluation.deployment.serving import NotFinite, Server, token_gaps
from loquela.recipe.budget_section import BudgetSection
from loquela.recipe.deploy_section import DeploySection


class Clock:
    """Time that passes only when somebody works or sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Counting:
    """A real runtime of a tiny language: after token t comes t + 1; a step takes one second, a prompt two."""

    vocab_size = 8
    context = 16

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.trouble: dict[int, object] = {}
        self.started = 0

    def start(self, tokens: list[int]) -> np.ndarray:
        self.started += 1
        self.clock.sleep(2)
        trouble = self.trouble.get(self.started)
        if isinstance(trouble, Exception):
            raise trouble
        return self._after(tokens[-1]) if trouble is None else np.full(8, trouble, dtype=np.float32)

    def step(self, token: int) -> np.ndarray:
        self.clock.sleep(1)
        return self._after(token)

    def logits(self, tokens: list[int]) -> np.ndarray:
        return np.stack([self._after(token) for token in tokens])

    def close(self) -> None:
        pass

    def _after(self, token: int) -> np.ndarray:
        return np.eye(8, dtype=np.float32)[(token + 1) % 6]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Server:
    return Server(Counting(clock), 6, clock, clock.sleep)


# ── arrivals ──────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=50)
@given(st.integers(1, 200), st.floats(0.01, 1000), st.sampled_from(["poisson", "fixed"]), st.integers(0, 2**31 - 1))
def test_arrivals_are_ordered_within_their_time_and_the_same_again(count, rate, kind, seed) -> None:
    times = arrival_times(count, rate, kind, seed)
    assert len(times) == count
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= count / rate
    assert times == arrival_times(count, rate, kind, seed)


def test_fixed_arrivals_by_hand() -> None:
    assert arrival_times(4, 2.0, "fixed", 1) == [0.0, 0.5, 1.0, 1.5]


def test_chance_arrivals_are_a_poisson_process() -> None:
    # Given how many came, the times are uniform: a Kolmogorov-Smirnov distance below 1.63 / √n (99 %).
    times = np.array(arrival_times(5000, 10.0, "poisson", 3)) / 500
    assert np.abs(times - (np.arange(5000) + 0.5) / 5000).max() < 1.63 / np.sqrt(5000)
    gaps = np.diff(times * 500)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert arrival_times(9, 10.0, "poisson", 3) != arrival_times(9, 10.0, "poisson", 4)


# ── answering ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_that_waits_for_another_is_late(server: Server) -> None:
    told: list[int] = []
    first, second, third = server.serve([[1]], [0.0, 1.0, 20.0], 3, 60.0, told.append)
    # Two seconds for the prompt, one for each further token; the second waits until the first is answered.
    assert (first.started, first.first_token, first.finished) == (0.0, 2.0, 4.0)
    assert (second.arrived, second.started, second.first_token, second.finished) == (1.0, 4.0, 6.0, 8.0)
    assert (third.started, third.finished) == (20.0, 24.0)
    assert told == [1, 2, 3]
    assert server.busy_seconds == 12.0
    assert server.gaps == [1.0] * 6


def test_the_end_of_the_load_is_an_error_of_what_is_left(server: Server) -> None:
    served = server.serve([[1]], [0.0, 1.0, 2.0, 9.0], 4, 8.0)
    assert [request.error for request in served] == [
        None,
        "cut off after 2 of 4 tokens, 8 seconds after the load began",
        "not begun within 8 seconds",
        "not begun within 8 seconds",
    ]
    assert [request.tokens for request in served] == [4, 2, 0, 0]
    assert served[1].finished is None


def test_errors_of_the_runtime_are_errors_of_the_request(server: Server) -> None:
    trouble = DataError(ErrorCode.INFERENCE_FAILED, "the library gave up", "try again")
    server.runtime.trouble = {2: trouble, 3: np.nan}
    served = server.serve([[1]], [0.0] * 4, 1, 60.0)
    assert [request.error for request in served] == [
        None, "the library gave up", "the model gave logits that are not finite", None
    ]  # fmt: skip


def test_prompts_go_round(server: Server) -> None:
    seen = []
    start = server.runtime.start
    server.runtime.start = lambda tokens: (seen.append(tokens), start(tokens))[1]
    server.serve([[1], [2]], [0.0] * 5, 1, 60.0)
    assert seen == [[1], [2], [1], [2], [1]]


# ── golden prompts ────────────────────────────────────────────────────────────────────────────────────


def test_golden_prompts_token_by_token(server: Server) -> None:
    right = GoldenPrompt(prompt_ids=[3], continuation_ids=[4, 5, 0, 1])
    wrong = GoldenPrompt(prompt_ids=[1], continuation_ids=[2, 3, 5, 5])
    assert server.golden([right]) == GoldenOutcome(prompts=1, tokens=4)
    found = server.golden([right, wrong])
    assert found.mismatches == [GoldenMismatch(prompt=1, position=2, expected=5, written=4)]


def test_padding_rows_are_never_written(server: Server) -> None:
    logits = np.zeros(8, dtype=np.float32)
    logits[7] = 9
    logits[4] = 1
    assert server.likeliest(logits) == 4
    with pytest.raises(NotFinite, match="not finite"):
        server.likeliest(np.full(8, -np.inf, dtype=np.float32))


# ── figures ───────────────────────────────────────────────────────────────────────────────────────────


def run_of(requests: list[ServedRequest], **changes) -> LoadRun:
    facts = dict(
        rate_per_second=1.0, seconds=10.0, busy_seconds=5.0, requests=requests, gaps=token_gaps([0.001, 0.003]),
        golden=GoldenOutcome(prompts=1, tokens=1), cold_start_seconds=1.0, loaded_mb=50.0, rss_mb=60.0, peak_mb=70.0,
    )  # fmt: skip
    return LoadRun(**(facts | changes))


def answered(arrived: float, first: float, finished: float) -> ServedRequest:
    return ServedRequest(arrived=arrived, started=arrived, first_token=first, finished=finished, tokens=4)


def test_figures_by_hand() -> None:
    requests = [
        answered(0, 0.1, 0.2),
        answered(1, 1.2, 1.4),
        answered(2, 2.3, 2.9),
        ServedRequest(arrived=3, error="x"),
    ]
    found = repeat_figures(run_of(requests), DeploySection(max_latency_ms=500, max_ttft_ms=150))
    assert found["latency_mean_ms"] == pytest.approx((200 + 400 + 900) / 3)
    assert (found["latency_p50_ms"], found["latency_p95_ms"]) == (pytest.approx(400), pytest.approx(900))
    assert (found["ttft_p50_ms"], found["ttft_p99_ms"]) == (pytest.approx(200), pytest.approx(300))
    assert (found["token_gap_mean_ms"], found["token_gap_p50_ms"]) == (pytest.approx(2), pytest.approx(1))
    assert (found["requests_per_second"], found["tokens_per_second"]) == (0.3, 1.2)
    assert found["generation_tokens_per_second"] == pytest.approx(2.4)
    assert found["error_rate"] == 0.25
    # Only the first met both objectives; the one without an answer met none.
    assert found["goodput"] == 0.25


def test_nothing_answered_is_an_error_rate_of_one() -> None:
    found = repeat_figures(run_of([ServedRequest(arrived=0, error="x")], busy_seconds=0.0), DeploySection())
    assert (found["error_rate"], found["goodput"], found["latency_p95_ms"]) == (1.0, 0.0, 0.0)
    assert found["generation_tokens_per_second"] == 0.0


def test_the_median_of_the_repeats_and_their_spread() -> None:
    runs = [run_of([answered(0, 0.1, 0.2)], rss_mb=value) for value in (70.0, 50.0, 90.0)]
    rss = next(figure for figure in figures_of(runs, DeploySection()) if figure.name == "rss_mb")
    assert (rss.median, rss.low, rss.high) == (70.0, 50.0, 90.0)


# ── verdicts ──────────────────────────────────────────────────────────────────────────────────────────


def test_verdicts_judge_what_is_required_and_nothing_else() -> None:
    figures = figures_of([run_of([answered(0, 0.1, 0.2)])], DeploySection())
    verdicts = {verdict.key: verdict for verdict in verdicts_on(figures, DeploySection(), BudgetSection())}
    assert [*verdicts] == [
        "deploy.max_error_rate", "evaluate.budgets.latency_p95_ms", "evaluate.budgets.tokens_per_second",
        "evaluate.budgets.rss_mb", "evaluate.budgets.peak_mb",
    ]  # fmt: skip
    assert not verdicts["evaluate.budgets.tokens_per_second"].met
    section = DeploySection(
        max_latency_ms=199, min_throughput_qps=1, max_ttft_ms=100.5, min_goodput=1.0, max_cold_start_seconds=1.0,
        budgets=BudgetSection(rss_mb=59, peak_mb=70),
    )  # fmt: skip
    verdicts = {verdict.key: verdict for verdict in verdicts_on(figures, section, section.budgets)}
    assert {key for key, verdict in verdicts.items() if not verdict.met} == {
        "deploy.max_latency_ms", "deploy.min_throughput_qps", "deploy.budgets.tokens_per_second",
        "deploy.budgets.rss_mb",
    }  # fmt: skip
    assert verdicts["deploy.max_latency_ms"].sentence() == (
        "latency_p95_ms is 200, deploy.max_latency_ms asks for at most 199"
    )


def figures_with(**values: tuple[float, float, float]) -> list[Figure]:
    rest = figures_of([run_of([answered(0, 0.1, 0.2)])], DeploySection())
    return [
        Figure(name=figure.name, median=values[figure.name][1], low=values[figure.name][0], high=values[figure.name][2])
        if figure.name in values
        else figure
        for figure in rest
    ]


@pytest.mark.parametrize(
    ("here", "worse_by", "regressed"),
    [
        ((129, 130, 131), 0.30, True),
        ((109, 130, 131), 0.30, False),  # its best repeat lies within the promoted bundle's
        ((119, 120, 121), 0.20, False),  # within what is allowed
        ((79, 80, 81), -0.20, False),
    ],
)
def test_worse_than_promoted_is_more_than_noise(here, worse_by: float, regressed: bool) -> None:
    promoted = figures_with(latency_p50_ms=(90, 100, 110))
    found = {each.figure: each for each in compare(figures_with(latency_p50_ms=here), promoted, 0.25)}
    assert found["latency_p50_ms"].worse_by == pytest.approx(worse_by)
    assert found["latency_p50_ms"].regressed is regressed
    assert [name for name, each in found.items() if each.regressed] == ["latency_p50_ms"] * regressed


def test_the_process_that_runs_a_bundle_loads_no_tensor_library() -> None:
    code = (
        "import sys, loquela.evaluation.deployment.load_process as process\n"
        "from loquela.inference.runtimes import onnx\n"
        "print(sorted({'torch', 'transformers', 'pyarrow', 'rich', 'click'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
