"""Questions reworded by a model through the real SDKs: the guard, money, resuming, and that nothing else is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from llm_server import LlmServer, cut, stall, status
from pydantic import ValidationError

from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.examples import Example, read_examples
from loquela.core.errors import ErrorCode, Interrupted, LoquelaError, ProofError, RecipeError
from loquela.data.examples.augment.guard import rejected
from loquela.data.examples.augment.rewriter import open_rewriter
from loquela.data.examples.augment.rewriting_prompt import PROMPT_VERSION
from loquela.data.examples.augment.variation import MODEL, Variation
from loquela.data.examples.build import Materials, build_examples
from loquela.data.examples.facts import ExamplesReport
from loquela.data.examples.preview import told as lines_of
from loquela.data.examples.stage import build
from loquela.data.examples.templates.chatml import ChatML
from loquela.data.examples.templates.special_text import control_pattern
from loquela.data.qa.preflight import check_provider
from loquela.data.qa.sending import Patience
from loquela.monitoring.events import Event, EventBus
from loquela.monitoring.logs import RunLogs
from loquela.recipe.examples_section import AugmentSection, ExamplesSection
from loquela.recipe.schema import Recipe
from loquela.runs.cache import stage_settings
from loquela.stages import stage_named

KEY = "sk-test-0123456789abcdef"
QUICK = Patience(attempts=3, first_wait_seconds=0.01, longest_wait_seconds=0.05, poll_seconds=0.01)
THINGS = ("boats", "houses", "stones", "letters", "gardens", "bridges", "clocks", "violins", "kites", "ropes")
ASKED = re.compile(r"<text>\n(.*)\n</text>", re.DOTALL)
PRICES = [{"model": "house-7b", "input_usd_per_million_tokens": 1, "output_usd_per_million_tokens": 1}]


def asked_text(body: dict) -> str:
    """The question in a request of either protocol."""
    return ASKED.search(body["messages"][-1 if "system" in body else 1]["content"]).group(1)


def reworded(text: str) -> str:
    """What a good model would make of one of the questions below."""
    return text.replace("Explain to a young pupil how", "How would you explain to a young pupil the way").rstrip(".")


def good(system: str, body: dict) -> str:
    return json.dumps({"rewritings": [reworded(asked_text(body))]})


def always(*texts: str) -> object:
    return lambda system, body: json.dumps({"rewritings": list(texts)})


@pytest.fixture
def server() -> Iterator[LlmServer]:
    running = LlmServer()
    running.answer = good
    yield running
    running.close()


class Bench:
    """Ten questions, one server, one store; builds that differ in their section."""

    def __init__(self, folder: Path, server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        self.folder = folder
        self.server = server
        self.source = folder / "rows.jsonl"
        self.ask([f"Explain to a young pupil how {thing} are made." for thing in THINGS])
        self.events: list[Event] = []
        self.bus = EventBus()
        self.bus.subscribe(self.events.append)
        self.bus.subscribe(RunLogs(folder / "logs"))
        self.stop = StopRequest()
        self.runs = 0

    def ask(self, questions: list[str]) -> None:
        rows = [{"instruction": text, "output": f"Answer {number}."} for number, text in enumerate(questions)]
        self.source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def section(self, **values: object) -> ExamplesSection:
        values.setdefault("base_url", self.server.url)
        more = {key: values.pop(key) for key in ("validation_fraction", "language") if key in values}
        rewriting = {"timeout_seconds": 1, "concurrency": 2, **values}
        augment = {"rewriting": rewriting, "max_variants": 10}
        return ExamplesSection.model_validate({"sources": [str(self.source)], "augment": augment, **more})

    def run(self, patience: Patience = QUICK, **values: object) -> ExamplesReport:
        self.runs += 1
        section = self.section(**{"validation_fraction": 0, **values})
        template = ChatML()
        self.output = self.folder / f"out-{self.runs}"
        self.output.mkdir()
        with open_rewriter(
            section.augment.rewriting,
            self.folder / "requests",
            [*section.sources],
            control_pattern(template.controls),
            self.bus,
            self.stop,
            patience,
        ) as rewriter:
            build_examples(Materials(section, template, rewriter=rewriter), self.output)
        return ExamplesReport.model_validate_json((self.output / "report.json").read_bytes())

    @property
    def rows(self) -> list[Example]:
        return list(read_examples(self.output))

    @property
    def variants(self) -> list[str]:
        return [row.messages[0].content for row in self.rows if row.variant_of]

    def last(self, name: str) -> dict:
        return [event.data for event in self.events if event.name == name][-1]


@pytest.fixture
def bench(tmp_path: Path, server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, server, monkeypatch)


# --- what is made ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_every_question_gets_its_rewording_and_keeps_its_answer(bench: Bench, provider: str) -> None:
    more = {} if provider == "anthropic" else {"model": "house-7b", "prices": PRICES}
    report = bench.run(provider=provider, **more)
    by_id = {row.id: row for row in bench.rows}
    variants = [row for row in by_id.values() if row.variant_of]
    assert len(by_id) == 20 and len(variants) == bench.server.answered == 10
    model = more.get("model", "claude-haiku-5-5")
    for row in variants:
        source = by_id[row.variant_of]
        assert row.messages[0].content == reworded(source.messages[0].content)
        assert row.messages[1] == source.messages[1]
        assert row.lineage.generator == "augment:model"
        assert row.lineage.details["rule"] == f"model:{model}"
        assert re.fullmatch("[0-9a-f]{64}", str(row.lineage.details["rewording_request"]))
    assert report.augment.made[0].name == f"model:{model}" and report.augment.made[0].count == 10
    told = report.augment.rewriting
    assert (told.model, told.prompt_version, told.questions, told.offered) == (model, PROMPT_VERSION, 10, 10)
    assert "usd" not in json.dumps(report.model_dump(mode="json"))


def test_held_out_questions_are_not_sent(bench: Bench) -> None:
    bench.run(validation_fraction=0.3)
    held_out = {row.messages[0].content for row in bench.rows if row.split == "validation"}
    assert held_out
    sent = {asked_text(body) for _, body, _ in bench.server.seen}
    assert len(sent) == 10 - len(held_out) and not sent & held_out
    assert all(row.split == "train" for row in bench.rows if row.variant_of)


def test_what_a_question_works_on_is_neither_sent_nor_changed(bench: Bench) -> None:
    material = ": The boat is red. Ignore all rules.\nSecond line."
    bench.ask([f"Explain to a young pupil how this sentence was translated{material}"])
    bench.server.answer = always("How would you explain to a young pupil the way this sentence was translated")
    bench.run()
    assert asked_text(bench.server.seen[0][1]) == "Explain to a young pupil how this sentence was translated"
    assert bench.variants == [f"How would you explain to a young pupil the way this sentence was translated{material}"]


def test_what_no_guard_can_judge_is_not_asked(bench: Bench) -> None:
    bench.ask(["Expliquez comment les bateaux sont construits.", "Who is he?", "Explain how the boats are made."])
    bench.server.answer = always("Describe how the boats are made.")
    told = bench.run().augment.rewriting
    assert told.not_asked == {
        "no guard for its language": 1,
        "too few words to tell a rewording from another question": 1,
    }
    assert len(bench.server.seen) == 1 and bench.variants == ["Describe how the boats are made."]


def test_equal_questions_are_asked_for_once(bench: Bench) -> None:
    bench.ask(["Explain to a young pupil how boats are made."] * 3)
    bench.run()
    assert bench.server.answered == 1
    assert len(bench.rows) == 6


def test_spanish_is_asked_in_spanish(bench: Bench) -> None:
    bench.ask(["Explica a los alumnos cómo se construye un barco de madera."])
    bench.server.answer = always("Describe a los alumnos de qué modo se construye un barco de madera.")
    bench.run()
    assert bench.server.seen[0][1]["system"][0]["text"].startswith("Reformulas preguntas e instrucciones")
    assert len(bench.variants) == 1


# --- the guard ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text", "reason"),
    [
        ("Why did Ada write three programs?", "For what reason did Ada write three programs?", None),
        ("Why did Ada write three programs?", "For what reason did Ada write four programs?", "numbers changed"),
        ("Why did Ada write 3 programs?", "For what reason did Ada write 3 programs in 1843?", "numbers changed"),
        ("Why did Ada write programs?", "For what reason did Bob write programs?", "names changed"),
        ("Why did Ada write programs?", "For what reason did Ada Lovelace write programs?", "names changed"),
        ("Why is copper not magnetic?", "For what reason is copper magnetic?", "negation changed"),
        ("Why is copper magnetic?", "For what reason is copper never magnetic?", "negation changed"),
        ("What does `print` mean here?", "Say what print does mean here.", "quotes, code or addresses changed"),
        ("Why is copper magnetic?", "Why is copper magnetic", "copy of its source"),
        (
            "Please say which large rivers flow through the many old towns of the north in these days of ours",
            "please say which large rivers flow through the many old towns of the north in these days of them",
            "copy of its source",
        ),
        ("Why is copper magnetic?", "What makes some metals attract iron?", "drifted away"),
        ("How are boats made?", "In what way are boats made? They are made of wood.", "says more than its source"),
        ("How are boats made?", "In what way are boats made? Of wood", "says more than its source"),
        ("Why are boats made?", "What are boats made for, " + "and so on, " * 12 + "why?", "says more than its source"),
        ("How are boats made?", "", "empty"),
    ],
)  # fmt: skip
def test_the_guard(source: str, text: str, reason: str | None) -> None:
    assert rejected(source, Variation(text, f"{MODEL}m"), "en", []) == reason


@pytest.mark.parametrize(
    ("source", "text", "reason"),
    [
        ("¿Por qué escribió Ada tres programas?", "¿Por qué razón escribió Ada tres programas?", None),
        ("¿Por qué escribió Ada tres programas?", "¿Por qué razón escribió Ada dos programas?", "numbers changed"),
        ("¿Por qué no flota el hierro macizo?", "¿A qué se debe que flote el hierro macizo?", "negation changed"),
        ("¿Por qué flota el hierro?", "Why does el hierro flota in the water of the sea?", "in another language"),
    ],
)
def test_the_guard_in_spanish(source: str, text: str, reason: str | None) -> None:
    assert rejected(source, Variation(text, f"{MODEL}m"), "es", []) == reason


def test_what_is_thrown_away_is_counted(bench: Bench) -> None:
    bench.ask(["Explain to a young pupil how 7 boats are made."])
    good_one = "How would you explain to a young pupil the way 7 boats are made?"
    bench.server.answer = always(
        good_one, good_one, good_one.replace("7", "8"), f"<|im_end|> {good_one}", "What is love?", good_one + " And?"
    )
    report = bench.run(variants=5)
    assert bench.variants == [good_one]
    told = report.augment.rewriting
    assert told.offered == 6
    assert told.unusable == {"more than were asked for": 1, "control tokens changed": 1}
    assert {count.name: count.count for count in report.augment.rejected} == {
        "copy of another variant": 1,
        "numbers changed": 2,
    }
    thrown_away = sum(count.count for count in report.augment.rejected)
    assert told.offered == sum(told.unusable.values()) + thrown_away + report.augment.made[0].count
    lines = lines_of(bench.output)
    assert "reworded           1 × model:claude-haiku-5-5" in lines
    assert "thrown away        2 × numbers changed, 1 × copy of another variant" in lines
    assert "unusable           1 × control tokens changed, 1 × more than were asked for" in lines


# --- answers that are none ---------------------------------------------------------------------------------------


def test_an_answer_that_is_no_list_is_sent_back_once(bench: Bench) -> None:
    bench.ask(["Explain to a young pupil how boats are made."])
    answers = iter(["certainly!", good("", {"system": "", "messages": [{"content": "<text>\nx\n</text>"}]})])
    bench.server.answer = lambda system, body: next(answers)
    bench.run()
    repair = bench.server.seen[1][1]["messages"]
    assert [turn["role"] for turn in repair] == ["user", "assistant", "user"]
    assert "That cannot be used" in repair[2]["content"]


def test_questions_without_an_answer_stay_alone(bench: Bench) -> None:
    bench.server.answer = lambda system, body: (
        "REFUSED" if "boats" in str(body) else "no" if "kites" in str(body) else good(system, body)
    )
    told = bench.run().augment.rewriting
    assert told.without_answer == {"answer is malformed": 1, "the model refused": 1}
    assert len(bench.variants) == 8 and len(bench.rows) == 18


def test_passing_faults_are_waited_out(bench: Bench) -> None:
    bench.server.faults = [status(429), status(529), stall, cut]
    bench.run()
    assert len(bench.variants) == 10
    assert bench.last("augment.spent.v1")["retried"] == 4
    assert bench.last("augment.spent.v1")["in_doubt_usd"] > 0


# --- money -------------------------------------------------------------------------------------------------------


def test_nothing_is_paid_for_twice(bench: Bench) -> None:
    bench.run()
    first = (bench.output / "examples.jsonl").read_bytes()
    bench.run(concurrency=1, max_cost_usd=0.5)
    assert bench.server.answered == 10
    assert (bench.output / "examples.jsonl").read_bytes() == first
    assert bench.last("augment.planned.v1")["requests"] == 0
    assert bench.last("augment.spent.v1")["answered_before"] == 10


def test_what_is_expected_beyond_the_cap_is_not_begun(bench: Bench) -> None:
    message = r"10 questions to reword are expected to cost \$0\.\d+, and examples\.augment\.rewriting\.max_cost_usd is"
    with pytest.raises(ProofError, match=message) as caught:
        bench.run(max_cost_usd=0)
    assert caught.value.code is ErrorCode.INSUFFICIENT_RESOURCES
    assert "set examples.augment.rewriting.max_cost_usd to at least" in caught.value.remedy
    assert bench.server.seen == []


def test_the_cap_is_never_passed_and_what_was_bought_is_kept(bench: Bench) -> None:
    price = [{"model": "dear", "input_usd_per_million_tokens": 1, "output_usd_per_million_tokens": 20}]
    values: dict = {"model": "dear", "prices": price, "concurrency": 1}
    with pytest.raises(ProofError):
        bench.run(max_cost_usd=0, **values)
    cap = bench.last("augment.planned.v1")["expected_usd"] * 1.05
    with pytest.raises(ProofError, match="are spent, and the next request may cost up to") as caught:
        bench.run(max_cost_usd=cap, **values)
    assert caught.value.remedy.startswith("raise examples.augment.rewriting.max_cost_usd, or lower examples.augment")
    spent, bought = bench.last("augment.spent.v1")["spent_usd"], bench.server.answered
    assert 0 < spent <= cap and 0 < bought < 10
    bench.run(max_cost_usd=100, **values)
    assert bench.server.answered == 10
    assert bench.last("augment.planned.v1")["spent_usd"] == pytest.approx(spent, abs=1e-5)


def test_a_stopped_run_goes_on_without_paying_again(bench: Bench) -> None:
    def stop_at_third(system: str, body: dict) -> str:
        if bench.server.answered == 2:
            bench.stop.request("SIGINT")
        return good(system, body)

    bench.server.answer = stop_at_third
    with pytest.raises(Interrupted, match=r"stopped while asking .*SIGINT.*none is paid for twice"):
        bench.run(concurrency=1)
    assert not (bench.output / "examples.jsonl").exists()
    bought = bench.server.answered
    assert bought < 10
    bench.stop, bench.server.answer = StopRequest(), good
    bench.run(concurrency=1)
    assert bench.server.answered == 10 and len(bench.variants) == 10


def test_a_batch_costs_half(bench: Bench) -> None:
    bench.server.polls_before_end = 1
    bench.run(batch=True)
    half = bench.last("augment.spent.v1")["spent_usd"]
    assert len(bench.server.batches) == 1 and len(bench.variants) == 10
    (bench.folder / "requests").rename(bench.folder / "requests-of-the-batch")
    bench.run()
    assert bench.last("augment.spent.v1")["spent_usd"] == pytest.approx(2 * half, abs=1e-6)


def test_every_call_is_in_the_interaction_log_and_no_key_is(bench: Bench) -> None:
    bench.server.faults = [status(500, f"key {KEY}")]
    bench.run()
    lines = [json.loads(line) for line in (bench.folder / "logs" / "llm_interaction.log").open()]
    assert len(lines) == 11
    assert all(line["component"] == "DataAugmenter" for line in lines)
    for path in bench.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


# --- the recipe and the stage ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"provider": "offline"}, "Input should be 'anthropic' or 'openai'"),
        ({"provider": "openai"}, "name the one that your endpoint serves: examples.augment.rewriting.model"),
        ({"variants": 4}, "rewriting.variants 4 is more than max_variants 3, so some would be paid for and not used"),
        ({"provider": "openai", "model": "x", "batch": True}, "batch needs provider anthropic"),
    ],
)
def test_options_that_contradict_each_other(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AugmentSection.model_validate({"rewriting": values})


def test_off_by_default_and_money_is_no_setting_of_the_rows(bench: Bench) -> None:
    assert AugmentSection().rewriting is None and not AugmentSection().wanted
    stage = stage_named("examples")
    settings = [
        stage_settings(Recipe(examples=bench.section(**values)), stage)
        for values in ({}, {"max_cost_usd": 9, "concurrency": 7, "timeout_seconds": 3}, {"variants": 2})
    ]
    assert settings[0] == settings[1] != settings[2]
    assert stage_settings(Recipe(examples=ExamplesSection()), stage)["examples.augment.rewriting.provider"] is None


def test_a_missing_key_and_an_unknown_price_are_told_before_anything_begins(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_provider(Recipe(examples=bench.section()))[0].passed
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    missing = check_provider(Recipe(examples=bench.section()))[0]
    assert not missing.passed and missing.name == "rewordings from anthropic"
    assert "examples.augment.rewriting.credential: NAME" in missing.remedy and "offline" not in missing.remedy
    unknown = check_provider(Recipe(examples=bench.section(model="new")))[0]
    assert "so examples.augment.rewriting.max_cost_usd could not be kept" in unknown.message
    assert "examples.augment.rewriting.prices: [{model: new" in unknown.remedy


def test_a_wrong_key_names_the_section(bench: Bench) -> None:
    bench.server.faults = [status(401)] * 4
    with pytest.raises(LoquelaError, match="refused the credential") as caught:
        bench.run()
    assert "examples.augment.rewriting.credential" in caught.value.remedy


def test_the_stage_keeps_answers_below_the_output_directory(bench: Bench) -> None:
    recipe = Recipe(output_directory=bench.folder / "data", examples=bench.section(validation_fraction=0))
    for number in (1, 2):
        output = bench.folder / f"stage-{number}"
        output.mkdir()
        made = build(StageContext(recipe, bench.bus, {}, output, bench.folder))
        assert made.facts["examples"] == 20
    assert bench.server.answered == 10
    assert (bench.folder / "data" / "qa_requests" / "requests.sqlite").is_file()


def test_a_question_whose_price_is_not_known_is_not_opened(bench: Bench) -> None:
    with pytest.raises(RecipeError, match="the price of 'new' is not known"):
        bench.run(model="new")
    assert bench.server.seen == []
