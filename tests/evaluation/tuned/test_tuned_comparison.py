"""The compare stage on tiny models: exact losses, greedy answers, resuming, limits, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from loquela.artifacts.context import StageContext
from loquela.artifacts.examples import read_examples
from loquela.artifacts.token_rows import read_token_rows
from loquela.core.errors import DataError, ErrorCode, Interrupted, ProofError
from loquela.evaluation.tuned.contracts import Answer, ComparisonReport
from loquela.evaluation.tuned.gates import check_gates, read_comparison
from loquela.evaluation.tuned.records import LOSSES_NAME, OUTPUTS_NAME
from loquela.evaluation.tuned.stage import compare
from loquela.monitoring.events import Event, EventBus
from toy_adapters import make_adapter
from toy_bases import toy_base
from toy_comparison import REFUSAL, comparison_context, comparison_recipe, example, toy_examples, write_examples


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(adapter, examples)."""
    folder = tmp_path_factory.mktemp("comparison")
    return make_adapter(folder / "adapter", size=0.3), write_examples(folder / "examples", weight=0.5)


@pytest.fixture(scope="module")
def done(parts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> StageContext:
    context = comparison_context(tmp_path_factory.mktemp("run"), *parts, comparison_recipe())
    compare(context)
    return context


def answers(context: StageContext) -> list[Answer]:
    lines = (context.output / OUTPUTS_NAME).read_text(encoding="utf-8").splitlines()
    return [Answer.model_validate_json(line) for line in lines]


def metric(report: ComparisonReport, name: str):
    return next(each for each in report.metrics if each.name == name)


def test_losses_are_those_of_plain_transformers_and_peft(done: StageContext, parts: tuple[Path, Path]) -> None:
    adapter, examples = parts
    report = read_comparison(done.output)
    plain = AutoModelForCausalLM.from_pretrained(toy_base(), dtype=torch.float32).eval()
    expected = {}
    for side in ("base", "adapter"):
        model = plain if side == "base" else PeftModel.from_pretrained(plain, adapter).eval()
        nats, weight = 0.0, 0.0
        for row in read_token_rows(examples, "test"):
            ids = torch.from_numpy(row.ids.astype("int64"))
            with torch.no_grad():
                log_probabilities = model(ids[None]).logits[0].log_softmax(-1)
            for place in range(1, len(ids)):
                nats -= float(row.weights[place]) * float(log_probabilities[place - 1, ids[place]])
                weight += float(row.weights[place])
        expected[side] = nats / weight
    loss = metric(report, "loss")
    assert loss.base.value == pytest.approx(expected["base"], rel=1e-5)
    assert loss.adapter.value == pytest.approx(expected["adapter"], rel=1e-5)
    assert metric(report, "perplexity").base.value == pytest.approx(
        torch.tensor(expected["base"]).exp().item(), rel=1e-4
    )
    assert report.base_equals_plain is True
    assert expected["base"] != pytest.approx(expected["adapter"], rel=1e-3)


def test_answers_are_those_of_plain_greedy_generation(done: StageContext, parts: tuple[Path, Path]) -> None:
    adapter, examples = parts
    plain = AutoModelForCausalLM.from_pretrained(toy_base(), dtype=torch.float32).eval()
    found = {(each.side, each.example): each for each in answers(done)}
    assert len(found) == 2 * 10
    row = next(iter(read_token_rows(examples, "test")))
    start = int(row.weights.nonzero()[0][0])
    prompt = torch.from_numpy(row.ids[:start].astype("int64"))[None]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(toy_base())
    for side in ("base", "adapter"):
        model = plain if side == "base" else PeftModel.from_pretrained(plain, adapter).eval()
        written = model.generate(input_ids=prompt, max_new_tokens=8, do_sample=False)[0, start:]
        text = tokenizer.decode(written, skip_special_tokens=True).strip()
        assert found[side, row.examples[0]].answer == text


def test_the_files_of_a_comparison(done: StageContext) -> None:
    report = read_comparison(done.output)
    assert (report.split, report.rows, report.rows_total, report.left_out) == ("test", 10, 10, {})
    assert metric(report, "json_validity").rows == 1
    assert metric(report, "citation_rate").rows == 1
    assert metric(report, "refusal_recall").rows == 1
    assert metric(report, "exact_match").rows == 9
    assert metric(report, "stop_rate").better == "higher"
    rows = [json.loads(line) for line in (done.output / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 10
    assert rows[0]["reference"] == "It runs under bridge 0."
    page = (done.output / "report.md").read_text()
    assert "on 10 test rows" in page
    assert "| token f1 | 9 |" in page
    assert "no row to measure on: json_schema" in page
    assert "fewer than 8 rows, too few for a verdict" in page
    assert [each.kind for each in report.forgetting] == ["facts", "arithmetic", "formats", "prose"]


def test_an_untouched_adapter_changes_nothing(parts: tuple[Path, Path], tmp_path: Path) -> None:
    nothing = make_adapter(tmp_path / "adapter", size=0.0)
    context = comparison_context(tmp_path, nothing, parts[1], comparison_recipe())
    compare(context)
    report = read_comparison(context.output)
    for each in report.metrics:
        if each.rows and not each.name.endswith(("seconds", "per_token")):
            assert each.difference.value == 0.0, each.name
            assert each.verdict in ("unclear", "not judged")
    assert all(each.lost == 0 for each in report.forgetting)


def test_a_killed_comparison_goes_on_where_it_was(done: StageContext, parts: tuple[Path, Path], tmp_path: Path) -> None:
    """Stopped after some tokens, with half a line at the end: nothing is measured twice, and all comes out the same."""
    ticks = 0

    def stop_soon(event: Event) -> None:
        nonlocal ticks
        ticks += event.name == "evaluation.comparison_progress.v1" and event.data["what"] == "answers"
        if ticks == 2:
            context.stop.request("test")

    bus = EventBus()
    bus.subscribe(stop_soon)
    context = comparison_context(tmp_path, *parts, comparison_recipe(), bus=bus)
    with pytest.raises(Interrupted, match=r"stopped while comparing \(test\)"):
        compare(context)
    kept = answers(context)
    assert 0 < len(kept) < 20
    with (context.output / OUTPUTS_NAME).open("a") as stream:
        stream.write('{"side":"base","example":"half')
    again = comparison_context(tmp_path, *parts, comparison_recipe())
    compare(again)
    assert answers(again)[: len(kept)] == kept
    assert len(answers(again)) == 20
    assert [(each.side, each.example, each.answer) for each in answers(again)] == [
        (each.side, each.example, each.answer) for each in answers(done)
    ]
    assert (again.output / LOSSES_NAME).read_text() == (done.output / LOSSES_NAME).read_text()


def test_what_belongs_to_another_adapter_is_thrown_away(parts: tuple[Path, Path], tmp_path: Path) -> None:
    context = comparison_context(tmp_path, *parts, comparison_recipe())
    compare(context)
    before = read_comparison(context.output)
    other = make_adapter(tmp_path / "other", size=0.5)
    compare(comparison_context(tmp_path, other, parts[1], comparison_recipe()))
    after = read_comparison(context.output)
    assert metric(before, "loss").base == metric(after, "loss").base
    assert metric(before, "loss").adapter != metric(after, "loss").adapter


def test_limits_are_held_against_a_comparison_that_is_there(done: StageContext) -> None:
    check_gates(done.output, comparison_recipe(fail_under={"refusal_correctness": 0.0}))
    with pytest.raises(ProofError, match=r"misses 2 limit\(s\): exact_match is 0, at least 0.5 is asked for") as caught:
        check_gates(done.output, comparison_recipe(fail_under={"exact_match": 0.5, "json_schema": 0.98}))
    assert caught.value.exit_code == 5
    assert "json_schema was measured on no row" in caught.value.message


def test_forgetting_has_a_limit(done: StageContext) -> None:
    report = read_comparison(done.output)
    worst = max(each.lost for each in report.forgetting)
    check_gates(done.output, comparison_recipe(max_forgetting=max(worst, 0.0)))
    if worst > 0:
        with pytest.raises(ProofError, match="forgetting of .* at most 0 is asked for"):
            check_gates(done.output, comparison_recipe(max_forgetting=0.0))


def test_rows_that_reword_one_another_are_one_unit(parts: tuple[Path, Path], tmp_path: Path) -> None:
    first = example("Where?", "It runs.")
    rows = [first, example("Where is it?", "It runs.", variant_of=first.id), example("Who?", "The river.")]
    examples = write_examples(tmp_path / "examples", rows)
    context = comparison_context(tmp_path, parts[0], examples, comparison_recipe(forgetting=False))
    compare(context)
    report = read_comparison(context.output)
    assert (metric(report, "exact_match").rows, metric(report, "exact_match").units) == (3, 2)
    assert report.forgetting == []


def test_a_base_that_is_another_is_refused(parts: tuple[Path, Path], tmp_path: Path) -> None:
    context = comparison_context(tmp_path, *parts, comparison_recipe(), base=toy_base("qwen2"))
    with pytest.raises(DataError, match="the adapter was trained on") as caught:
        compare(context)
    assert caught.value.code is ErrorCode.CHECKPOINT_INCOMPATIBLE


def test_a_full_fine_tuning_is_compared_model_by_model(parts: tuple[Path, Path], tmp_path: Path) -> None:
    """A folder with a base.json of what it was trained from is measured by its own weights."""
    from loquela.artifacts.base import write_base
    from loquela.artifacts.manifest import write_manifest
    from loquela.models.pretrained.open import open_base

    tuned = tmp_path / "adapter"
    shutil.copytree(toy_base(), tuned)
    model = AutoModelForCausalLM.from_pretrained(tuned, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02)
    model.save_pretrained(tuned)
    write_base(tuned, open_base(toy_base()).identity.model_copy(update={"location": str(toy_base())}).sealed())
    write_manifest(tuned, "adapter")
    context = comparison_context(tmp_path, tuned, parts[1], comparison_recipe(forgetting=False))
    compare(context)
    report = read_comparison(context.output)
    assert report.method == "full"
    assert report.base_equals_plain is None
    assert metric(report, "loss").base.value != metric(report, "loss").adapter.value


def test_nothing_held_out_is_said(parts: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [row for row in toy_examples() if row.split == "train"]
    examples = write_examples(tmp_path / "examples", rows)
    with pytest.raises(DataError, match="hold nothing out") as caught:
        compare(comparison_context(tmp_path, parts[0], examples, comparison_recipe()))
    assert caught.value.code is ErrorCode.INSUFFICIENT_DATA


def test_refusals_that_the_examples_teach_count(tmp_path: Path, parts: tuple[Path, Path]) -> None:
    from loquela.evaluation.tuned.asking import taught_refusals

    assert taught_refusals(parts[1]) == frozenset({"the passage does not say"})
    assert any(REFUSAL in message.content for row in read_examples(parts[1]) for message in row.messages)
