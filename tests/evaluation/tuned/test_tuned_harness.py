"""Our models behind the interface of lm-evaluation-harness, on requests made by hand; the package is not needed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import pytest
import torch

from loquela.core.errors import DataError, ErrorCode, RecipeError, ResourceError
from loquela.evaluation.tuned import harness
from loquela.evaluation.tuned.contracts import HarnessScore
from loquela.evaluation.tuned.harness import check_tasks, harness_reports, run_task
from loquela.evaluation.tuned.harness_model import HarnessModel
from loquela.models.pretrained.causal import CausalModel
from loquela.models.pretrained.load import load_base_model
from loquela.models.pretrained.open import open_base
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.of_base import load_base_tokenizer
from toy_bases import CONTEXT, toy_base


@dataclass
class Request:
    args: tuple[object, ...]


@pytest.fixture(scope="module")
def base() -> tuple[CausalModel, TokenizerHandle]:
    opened = open_base(toy_base())
    return load_base_model(opened), load_base_tokenizer(opened)


@pytest.fixture(scope="module")
def asked(base: tuple[CausalModel, TokenizerHandle]) -> HarnessModel:
    model, tokenizer = base

    def decode(ids) -> str:
        return tokenizer.decode([token for token in ids if token < tokenizer.vocab_size])

    return HarnessModel(
        model,
        tokenizer.encode,
        decode,
        begin_id=tokenizer.bos_id,
        pad_id=0,
        stop_ids=[tokenizer.eos_id],
        batch_size=2,
        between=lambda: None,
    )


def log_probabilities(model: CausalModel, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(torch.tensor([ids]))[0].double().log_softmax(-1)


def by_hand(model: CausalModel, ids: list[int], start: int) -> tuple[float, bool]:
    scores = log_probabilities(model, ids)
    picked = [float(scores[place - 1, ids[place]]) for place in range(start, len(ids))]
    greedy = all(int(scores[place - 1].argmax()) == ids[place] for place in range(start, len(ids)))
    return sum(picked), greedy


def test_loglikelihood_is_that_of_the_continuation(
    base: tuple[CausalModel, TokenizerHandle], asked: HarnessModel
) -> None:
    model, tokenizer = base
    pairs = [("Where does the river run?", " It runs"), ("The old mill", " and the bridge."), ("", "stone")]
    found = asked.loglikelihood([Request(pair) for pair in pairs])
    for (context, after), (value, greedy) in zip(pairs, found, strict=True):
        head = tokenizer.encode(context) if context else [tokenizer.bos_id]
        ids = tokenizer.encode(context + after) if context else [tokenizer.bos_id, *tokenizer.encode(after)]
        assert ids[: len(head)] == head
        expected, expected_greedy = by_hand(model, ids, len(head))
        assert value == pytest.approx(expected, rel=1e-4)
        assert greedy is expected_greedy


def test_the_greedy_continuation_is_known_as_such(
    base: tuple[CausalModel, TokenizerHandle], asked: HarnessModel
) -> None:
    model, tokenizer = base
    context = "Where does the river run?"
    best = int(log_probabilities(model, tokenizer.encode(context))[-1].argmax())
    text = tokenizer.decode([best])
    if tokenizer.encode(context + text) == [*tokenizer.encode(context), best]:
        assert asked.loglikelihood([Request((context, text))])[0][1] is True
    worst = int(log_probabilities(model, tokenizer.encode(context))[-1].argmin())
    assert asked.loglikelihood([Request((context, " " + tokenizer.decode([worst])))])[0][1] is False


def test_white_space_at_the_end_of_a_context_belongs_to_the_continuation(asked: HarnessModel) -> None:
    one, two = asked.loglikelihood([Request(("The old mill ", "and")), Request(("The old mill", " and"))])
    assert one == two


def test_a_long_context_loses_its_beginning(base: tuple[CausalModel, TokenizerHandle], asked: HarnessModel) -> None:
    model, tokenizer = base
    context, after = "river " * 400, "stone"
    ids = tokenizer.encode(context.rstrip() + " " + after)[-(CONTEXT + 1) :]
    start = len(ids) - len(tokenizer.encode(" " + after))
    assert asked.loglikelihood([Request((context, after))])[0][0] == pytest.approx(
        by_hand(model, ids, start)[0], rel=1e-4
    )


def test_rolling_predicts_every_token_once(base: tuple[CausalModel, TokenizerHandle], asked: HarnessModel) -> None:
    model, tokenizer = base
    short = "The river runs past the old mill."
    ids = [tokenizer.bos_id, *tokenizer.encode(short)]
    assert asked.loglikelihood_rolling([Request((short,))])[0] == pytest.approx(by_hand(model, ids, 1)[0], rel=1e-4)
    # Longer than the context: the first window as it is, then the rest with as much before it as there is room for.
    text = "The river runs past the old mill and under the stone bridge. " * 25
    ids = [tokenizer.bos_id, *tokenizer.encode(text)]
    window = CONTEXT + 1  # what is predicted last is not shown
    assert window < len(ids) < 2 * window
    expected = by_hand(model, ids[:window], 1)[0] + by_hand(model, ids[-window:], 2 * window - len(ids))[0]
    assert asked.loglikelihood_rolling([Request((text,))])[0] == pytest.approx(expected, rel=1e-4)


def test_generate_until_is_greedy_and_cut_before_the_stop_text(
    base: tuple[CausalModel, TokenizerHandle], asked: HarnessModel
) -> None:
    model, tokenizer = base
    context = "Where does the river run?"
    written = model.generate_greedy(
        [tokenizer.encode(context)], max_new_tokens=12, stop_ids=[tokenizer.eos_id], pad_id=0
    )[0]
    whole = tokenizer.decode([token for token in written if token < tokenizer.vocab_size and token != tokenizer.eos_id])
    stop = whole[4:6]
    requests = [
        Request((context, {"until": [], "max_gen_toks": 12})),
        Request((context, {"until": [stop, "never there"], "max_gen_toks": 12})),
        Request((context, {"until": stop, "max_gen_toks": 12})),
        Request((context, {"until": [], "max_gen_toks": 3})),
    ]
    found = asked.generate_until(requests)
    assert found[0] == whole
    assert found[1] == found[2] == whole[: whole.index(stop)]
    assert whole.startswith(found[3]) and len(found[3]) < len(whole)


def test_a_task_that_samples_is_refused(asked: HarnessModel) -> None:
    with pytest.raises(RecipeError, match="samples its answers; here all answers are greedy"):
        asked.generate_until([Request(("Where?", {"do_sample": True}))])


def test_without_the_package_the_line_that_installs_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(ResourceError, match="needs lm-evaluation-harness, which is not whole here") as caught:
        check_tasks(["hellaswag"])
    assert caught.value.code is ErrorCode.MISSING_EXTRA
    assert caught.value.remedy.startswith("pip install lm_eval")


class Interface:
    """What stands for the harness's own class."""


def package(evaluate) -> ModuleType:
    found = ModuleType("lm_eval")
    found.api = SimpleNamespace(model=SimpleNamespace(LM=Interface))
    found.tasks = SimpleNamespace(TaskManager=lambda: SimpleNamespace(all_tasks=["hellaswag", "arc_easy"]))
    found.simple_evaluate = evaluate
    return found


def test_a_task_is_handed_a_model_of_the_harness_s_own_kind(
    asked: HarnessModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(*, model, tasks, limit, **_: object) -> dict[str, dict[str, dict[str, object]]]:
        assert isinstance(model, Interface)
        assert (tasks, limit) == (["arc_easy"], 7)
        value = model.loglikelihood([Request(("The", " river"))], disable_tqdm=True)[0][0]
        return {"results": {"arc_easy": {"alias": "arc", "acc,none": value, "acc_stderr,none": 0.1, "f1,strict": 1}}}

    monkeypatch.setattr(harness, "_package", lambda: package(evaluate))
    scores = run_task(asked, "base", "arc_easy", rows=7, seed=1)
    assert [(score.metric, score.error) for score in scores] == [("acc", 0.1), ("f1 (strict)", None)]
    assert scores[0].value < 0


def test_an_unknown_task_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "_package", lambda: package(None))
    with pytest.raises(RecipeError, match="has no task 'helaswag'; did you mean 'hellaswag'"):
        check_tasks(["arc_easy", "helaswag"])


def test_a_task_that_cannot_be_run_is_named(asked: HarnessModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(**_: object) -> None:
        raise OSError("no data set")

    monkeypatch.setattr(harness, "_package", lambda: package(evaluate))
    with pytest.raises(DataError, match="cannot run the task arc_easy: OSError: no data set"):
        run_task(asked, "base", "arc_easy", rows=None, seed=1)


def test_both_sides_stand_beside_each_other() -> None:
    scores = [
        HarnessScore(side="base", task="arc", metric="acc", value=0.5, error=0.1),
        HarnessScore(side="adapter", task="arc", metric="acc", value=0.75, error=0.2),
        HarnessScore(side="base", task="arc", metric="f1", value=0.5),
    ]
    found = harness_reports(scores)
    assert len(found) == 1
    assert (found[0].base, found[0].adapter, found[0].adapter_error) == (0.5, 0.75, 0.2)
