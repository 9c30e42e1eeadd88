"""From a corpus to an examples folder through the real SDK: faults, money, repair, judge, resuming, the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from llm_server import LlmServer, cut, good_answer, no_json, stall, status
from qa_samples import corpus

from loquela.artifacts.context import StopRequest
from loquela.artifacts.examples import Example, read_examples
from loquela.core.errors import DataError, ErrorCode, Interrupted, ProofError, RecipeError, ResourceError
from loquela.data.qa.generate import Work, foresee, generate
from loquela.data.qa.sending import Patience
from loquela.data.qa.store import open_store
from loquela.data.qa.writing import Written
from loquela.monitoring.events import Event, EventBus
from loquela.monitoring.logs import RunLogs
from loquela.recipe.qa_section import QaSection

KEY = "sk-test-0123456789abcdef"
QUICK = Patience(attempts=3, first_wait_seconds=0.01, longest_wait_seconds=0.05, poll_seconds=0.01)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    running = LlmServer()
    yield running
    running.close()


class Bench:
    """One corpus, one server, one store; runs that differ in their section."""

    def __init__(self, folder: Path, server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        self.folder = folder
        self.server = server
        self.corpus = corpus(folder / "corpus", count=12)
        self.events: list[Event] = []
        self.stop = StopRequest()
        self.runs = 0

    def work(self, patience: Patience = QUICK, **values: object) -> Work:
        section = QaSection.model_validate(
            {"base_url": self.server.url, "timeout_seconds": 1, "judge": False, "concurrency": 3, **values}
        )
        bus = EventBus()
        bus.subscribe(self.events.append)
        bus.subscribe(RunLogs(self.folder / "logs"))
        return Work(self.corpus, section, self.folder / "requests", bus, self.stop, patience)

    def run(self, patience: Patience = QUICK, **values: object) -> Written:
        self.runs += 1
        self.output = self.folder / f"out-{self.runs}"
        self.output.mkdir()
        return generate(self.work(patience, **values), self.output)

    @property
    def rows(self) -> list[Example]:
        return list(read_examples(self.output))

    @property
    def ledger(self) -> dict[str, dict]:
        return {arrow["arrow"]: arrow for arrow in json.loads((self.output / "ledger.json").read_text())["arrows"]}

    def losses(self, arrow: str) -> dict[str, int]:
        return {change["reason"]: change["items"] for change in self.ledger[arrow]["changes"]}

    def last(self, name: str) -> dict:
        return [event.data for event in self.events if event.name == name][-1]

    def named(self, name: str) -> list[dict]:
        return [event.data for event in self.events if event.name == name]


@pytest.fixture
def bench(tmp_path: Path, server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, server, monkeypatch)


# --- what is made ------------------------------------------------------------------------------------------------


def test_rows_with_evidence_and_lineage(bench: Bench) -> None:
    written = bench.run()
    assert written.pairs == 36
    assert written.examples == len(bench.rows) == 36 * 2 + written.unanswerable
    assert written.unanswerable == written.unanswerable_wanted == 4
    documents = {json.loads(line)["id"]: json.loads(line) for line in (bench.corpus / "documents.jsonl").open()}
    for row in bench.rows:
        document = documents[row.lineage.document]
        assert document["text"][row.lineage.char_start : row.lineage.char_end] == row.lineage.details["evidence"]
        assert row.split == document["split"]
        assert row.group == document["source"]
        assert row.labels["shelf"] == "local"
        assert row.lineage.generator == "claude-haiku-5-5"
        assert row.lineage.details["prompt_version"].startswith("qa-")
        pages = document["lineage"]["pages"]
        assert row.lineage.pages == list(range(pages[0], pages[1] + 1))
    assert sum(written.splits.values()) == len(bench.rows)
    assert written.splits["validation"] >= 2 * 2


def test_open_book_rows_are_variants_of_the_closed_ones(bench: Bench) -> None:
    bench.run(unanswerable_share=0)
    by_id = {row.id: row for row in bench.rows}
    opened = [row for row in bench.rows if row.labels["form"] == "open_book"]
    assert len(opened) == len(by_id) - len(opened) == 36
    for row in opened:
        closed = by_id[row.variant_of]
        assert closed.messages[0].content in row.messages[0].content
        assert closed.messages[1] == row.messages[1]
        assert row.lineage.details["evidence"] in row.messages[0].content


def test_unanswerable_rows_stand_under_a_passage_without_the_answer(bench: Bench) -> None:
    bench.run(rows="open_book", unanswerable_share=0.5)
    refused = [row for row in bench.rows if row.labels["answerable"] == "no"]
    assert len(refused) == 18
    documents = {json.loads(line)["id"]: json.loads(line) for line in (bench.corpus / "documents.jsonl").open()}
    for row in refused:
        details = row.lineage.details
        passage = documents[details["passage_document"]]
        assert passage["text"] in row.messages[0].content
        assert passage["id"] != row.lineage.document
        assert passage["split"] == row.split
        assert details["answer_elsewhere"] not in passage["text"]
        assert "passage" in row.messages[1].content


def test_the_same_answers_make_the_same_bytes(bench: Bench) -> None:
    bench.run()
    first = (bench.output / "examples.jsonl").read_bytes()
    calls = len(bench.server.seen)
    bench.run()
    assert (bench.output / "examples.jsonl").read_bytes() == first
    assert len(bench.server.seen) == calls
    assert bench.last("qa.spent.v1")["answered_before"] == 12


def test_the_ledger_says_where_everything_went(bench: Bench) -> None:
    def answer(system: str, body: dict) -> str:
        pairs = json.loads(good_answer(system, body))["pairs"]
        pairs[0]["evidence"] = "This sentence was never in the passage at all."
        return json.dumps({"pairs": [*pairs, {"question": "x"}]})

    bench.server.answer = answer
    bench.run(unanswerable_share=0, rows="closed_book")
    assert bench.losses("gate") == {
        "pair has not the form that was asked for": -12,
        "evidence is not in the chunk": -12,
    }
    ledger = bench.ledger
    assert ledger["plan"]["items_in"] == 12
    assert ledger["parse"]["items_out"] == 48
    assert ledger["rows"]["items_out"] == len(bench.rows) == 24


# --- what can be wrong with an answer ----------------------------------------------------------------------------


def test_a_malformed_answer_is_repaired_once_then_counted(bench: Bench) -> None:
    def answer(system: str, body: dict) -> str:
        text = body["messages"][0]["content"]
        if "Norhaven" in text and len(body["messages"]) == 1:
            return "Here are your questions: ..."
        if "Velden" in text:
            return '{"pairs": [{"question": 7}]}'
        return good_answer(system, body)

    bench.server.answer = answer
    bench.run()
    assert bench.losses("parse")["answer is malformed"] == -2  # Velden and Velden 7, asked twice each
    repairs = [body for _, body, _ in bench.server.seen if len(body["messages"]) == 3]
    assert len(repairs) == 4
    assert repairs[0]["messages"][1]["role"] == "assistant"
    assert any("question: Input should be a valid string" in each["messages"][2]["content"] for each in repairs)
    assert sum("Norhaven" in row.messages[0].content for row in bench.rows) > 0


def test_refusals_are_counted_and_not_asked_again(bench: Bench) -> None:
    bench.server.answer = lambda system, body: (
        "REFUSED" if "Okerby" in body["messages"][0]["content"] else good_answer(system, body)
    )
    bench.run()
    assert bench.losses("answer") == {"the model refused": -2}
    assert len(bench.server.seen) == 12


def test_nothing_left_is_an_error_with_its_reasons(bench: Bench) -> None:
    bench.server.answer = lambda system, body: '{"pairs": []}'
    with pytest.raises(DataError, match="no pair is left of 12 chunks asked") as caught:
        bench.run()
    assert caught.value.code is ErrorCode.INSUFFICIENT_DATA


def test_no_chunk_worth_a_question(bench: Bench) -> None:
    corpus(bench.corpus, count=0)
    with pytest.raises(DataError, match=r"none of the 0 documents .* is worth a question \(it is empty\)"):
        bench.run()


# --- the judge ---------------------------------------------------------------------------------------------------


def test_the_judge_sees_the_passage_and_drops_what_it_does_not_support(bench: Bench) -> None:
    def answer(system: str, body: dict) -> str:
        text = body["messages"][0]["content"]
        if "<pairs>" not in text:
            return good_answer(system, body)
        verdicts = json.loads(good_answer(system, body))["verdicts"]
        verdicts[0]["supported"] = False
        verdicts[1]["usefulness"] = 2
        return json.dumps({"verdicts": verdicts})

    bench.server.answer = answer
    written = bench.run(judge=True, judge_model="claude-haiku-4-5")
    assert bench.losses("judge") == {
        "judge: not supported by the passage": -12,
        "judge: not useful enough": -12,
    }
    assert written.pairs == 12
    assert written.judged
    judged = [body for _, body, _ in bench.server.seen if body["model"] == "claude-haiku-4-5"]
    assert len(judged) == 12  # one call a chunk, however many pairs
    assert all("<passage>" in body["messages"][0]["content"] and body["temperature"] == 0 for body in judged)
    assert bench.rows[0].lineage.details["judge"] == {"supported": True, "known_without": False, "usefulness": 4}


def test_a_judge_that_cannot_be_read_keeps_nothing(bench: Bench) -> None:
    bench.server.answer = lambda system, body: (
        '{"verdicts": []}'
        if "<pairs>" in body["messages"][0]["content"] and "Velden" in body["messages"][0]["content"]
        else good_answer(system, body)
    )
    bench.run(judge=True)
    assert bench.losses("judge") == {"judge: answer is malformed": -6}


# --- faults on the way -------------------------------------------------------------------------------------------


def test_passing_faults_are_waited_out(bench: Bench) -> None:
    bench.server.faults = [status(429, retry_after="0"), status(529), status(500), cut, no_json, stall]
    written = bench.run(timeout_seconds=0.4)
    assert written.pairs == 36
    failures = [event["failure"] for event in bench.named("generation.failed.v1")]
    assert sorted(failures) == ["connection", "rate_limited", "rate_limited", "server", "timeout", "unreadable"]
    assert all(event["again"] for event in bench.named("generation.failed.v1"))
    assert bench.last("qa.spent.v1")["retried"] == 6
    # What may have been charged for without an answer stays counted.
    assert bench.last("qa.spent.v1")["in_doubt_usd"] > 0


def test_fewer_at_once_when_the_provider_asks_for_it(bench: Bench) -> None:
    bench.server.delay_seconds = 0.03
    bench.server.faults = [status(429, retry_after="0")] * 4
    bench.run(concurrency=8, patience=Patience(attempts=6, first_wait_seconds=0.01, longest_wait_seconds=0.05))
    steps = [event["requests_at_once"] for event in bench.named("qa.slowed.v1")]
    assert steps
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == 4
    assert bench.server.most_at_once <= 8


def test_a_wrong_key_stops_at_once(bench: Bench) -> None:
    bench.server.faults = [status(401, f"invalid key {KEY}")] * 20
    with pytest.raises(ResourceError, match="refused the credential") as caught:
        bench.run(concurrency=1)
    assert caught.value.code is ErrorCode.AUTH_FAILED
    assert "qa.credential" in caught.value.remedy
    assert len(bench.server.seen) == 1


def test_a_model_that_is_not_there_stops_at_once(bench: Bench) -> None:
    bench.server.faults = [status(404, "model: claude-haiku-5-5 not found")] * 20
    with pytest.raises(RecipeError, match="does not take requests to the model 'claude-haiku-5-5'"):
        bench.run(concurrency=1)
    assert len(bench.server.seen) == 1


def test_one_refused_request_costs_one_chunk(bench: Bench) -> None:
    first_is_fine = [lambda handler: handler.send_json(handler.message(bench.server.seen[-1][1]))]
    bench.server.faults = [*first_is_fine, status(400, "this text is not allowed")]
    bench.run(concurrency=1)
    assert bench.losses("answer") == {"request failed: refused request": -1}
    assert len(bench.server.seen) == 12


def test_a_provider_that_is_down_is_not_hammered(bench: Bench) -> None:
    bench.server.faults = [status(503)] * 1000
    with pytest.raises(ResourceError, match="one request after the other without an answer") as caught:
        bench.run()
    assert caught.value.code is ErrorCode.NETWORK_ERROR
    assert caught.value.retryable
    assert len(bench.server.seen) <= 3 * 12


def test_a_chunk_that_never_gets_an_answer_is_counted_and_asked_the_next_time(bench: Bench) -> None:
    def answer(system: str, body: dict) -> str:
        if "Tilmouth 10" in body["messages"][0]["content"]:
            raise RuntimeError("the server of the test breaks down")
        return good_answer(system, body)

    bench.server.answer = answer
    bench.run()
    assert bench.losses("answer") == {"request failed: connection": -1}
    bench.server.answer = good_answer
    assert bench.run().pairs == 36


# --- money -------------------------------------------------------------------------------------------------------


def test_a_plan_beyond_the_cap_is_refused_before_anything_is_asked(bench: Bench) -> None:
    with pytest.raises(ProofError, match=r"are expected to cost \$0\.\d+, and qa\.max_cost_usd is \$0\.0001") as caught:
        bench.run(max_cost_usd=0.0001)
    assert caught.value.code is ErrorCode.INSUFFICIENT_RESOURCES
    assert bench.server.seen == []


def test_the_cap_is_never_passed_and_what_was_bought_is_kept(bench: Bench) -> None:
    # The estimate fits, the answers are dearer than it: the worst case of each call is held against the cap.
    price = {"model": "dear", "input_usd_per_million_tokens": 1, "output_usd_per_million_tokens": 20}
    values: dict = {"model": "dear", "prices": [price]}
    expected = foresee(bench.work(max_cost_usd=100, **values)).expected_usd
    cap = expected * 1.02
    bench.server.output_tokens = 450
    with pytest.raises(ProofError, match="are spent") as caught:
        bench.run(max_cost_usd=cap, **values)
    spent = bench.last("qa.spent.v1")
    assert 0 < spent["spent_usd"] <= cap
    assert spent["spent_usd"] == pytest.approx(bench.server.answered * cost_of_one(), rel=1e-3)
    assert "raise qa.max_cost_usd" in caught.value.remedy
    bought = bench.server.answered
    bench.run(max_cost_usd=100, **values)
    assert bench.server.answered == 12
    assert bench.last("qa.spent.v1")["answered_before"] == bought


def cost_of_one() -> float:
    """500 in, 40 written to and 60 read from the cache (no discount is known for "dear"), 450 out."""
    return (500 + 40 * 1.25 + 60) * 1e-6 + 450 * 20e-6


def test_the_estimate_knows_what_is_answered_already(bench: Bench) -> None:
    before = foresee(bench.work())
    assert (before.requests, before.answered_before, before.chunks_asked) == (12, 0, 12)
    assert before.expected_usd > 0
    assert bench.server.seen == []
    bench.run()
    after = foresee(bench.work())
    assert (after.requests, after.answered_before, after.expected_usd) == (0, 12, 0)
    assert after.spent_usd > 0


# --- stopping, resuming, keeping ---------------------------------------------------------------------------------


def test_a_stop_keeps_what_was_answered(bench: Bench) -> None:
    bench.server.delay_seconds = 0.02

    def answer(system: str, body: dict) -> str:
        if bench.server.answered >= 4:
            bench.stop.request("SIGINT")
        return good_answer(system, body)

    bench.server.answer = answer
    with pytest.raises(Interrupted, match="none is paid for twice") as caught:
        bench.run()
    assert "--resume auto" in caught.value.remedy
    answered = bench.server.answered
    assert 4 <= answered <= 8
    bench.stop.reason = None
    bench.server.answer = good_answer
    bench.run()
    assert bench.server.answered == 12
    assert len(set(bench.server.prompts)) == len(bench.server.prompts) == 12


def test_two_processes_do_not_share_a_store(bench: Bench) -> None:
    with open_store(bench.folder / "requests", "other"):
        with pytest.raises(ResourceError, match="another process is asking") as caught:
            bench.run()
        assert caught.value.code is ErrorCode.RUN_LOCKED


def test_a_damaged_store_is_said_so(bench: Bench) -> None:
    folder = bench.folder / "requests"
    folder.mkdir()
    (folder / "requests.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(DataError, match="is damaged") as caught:
        bench.run()
    assert "asked, and paid for, anew" in caught.value.remedy


def test_every_call_is_in_the_interaction_log_and_no_key_is(bench: Bench) -> None:
    bench.server.faults = [status(500, f"key {KEY}")]
    bench.run()
    lines = [json.loads(line) for line in (bench.folder / "logs" / "llm_interaction.log").open()]
    assert len(lines) == 13
    assert {line["event"] for line in lines} == {"generation.answered.v1", "generation.failed.v1"}
    assert all(line["component"] == "QaGenerator" for line in lines)
    assert "<passage>" in lines[-1]["data"]["prompt"][0]
    for path in bench.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


# --- batches -----------------------------------------------------------------------------------------------------


def test_a_batch_costs_half_and_is_read_when_it_ends(bench: Bench) -> None:
    bench.server.polls_before_end = 2
    bench.run()
    direct = bench.last("qa.spent.v1")["spent_usd"]
    written = bench.run(batch=True, pairs_per_chunk=2)
    assert written.pairs == 24
    assert bench.last("qa.spent.v1")["spent_usd"] == pytest.approx(direct / 2, abs=1e-6)
    assert len(bench.server.batches) == 1


def test_a_stopped_batch_is_read_later_and_not_handed_in_again(bench: Bench) -> None:
    bench.server.polls_before_end = 10**6

    def progress(handler: object) -> None:
        bench.stop.request("SIGTERM")
        handler.send_json(handler.batch_state("msgbatch_0", ended=False))

    bench.server.faults = [
        lambda handler: handler.make_batch(json.loads(json.dumps(bench.server.seen[-1][1]))),
        progress,
    ]
    with pytest.raises(Interrupted, match="1 batches are under way"):
        bench.run(batch=True)
    bench.stop.reason = None
    bench.server.polls_before_end = 0
    assert bench.run(batch=True).pairs == 36
    assert len(bench.server.batches) == 1


def test_what_a_batch_left_out_is_handed_in_again(bench: Bench) -> None:
    bench.server.polls_before_end = 0
    fates = iter([{"type": "expired"}] * 5)

    def fate(entry: dict) -> dict:
        try:
            return next(fates)
        except StopIteration:
            text = good_answer("", entry["params"])
            usage = {"input_tokens": 1, "output_tokens": 1}
            content = [{"type": "text", "text": text}]
            message = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": content,
                       "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}  # fmt: skip
            return {"type": "succeeded", "message": message}

    bench.server.batch_outcome = fate
    assert bench.run(batch=True).pairs == 36
    assert [len(requests) for requests in bench.server.batches.values()] == [12, 5]


# --- offline -----------------------------------------------------------------------------------------------------


def test_offline_needs_no_server_and_says_that_it_is_offline(bench: Bench) -> None:
    written = bench.run(provider="offline", base_url=None, judge=None)
    assert bench.server.seen == []
    assert written.generator == "offline"
    assert {row.lineage.generator for row in bench.rows} == {"offline"}
    closed = [row for row in bench.rows if row.labels["form"] == "closed_book"]
    assert len(closed) == written.pairs >= 12
    questions = [row.messages[0].content for row in closed]
    assert any("completes this sentence" in question for question in questions)
    first = (bench.output / "examples.jsonl").read_bytes()
    bench.run(provider="offline", base_url=None, judge=None)
    assert (bench.output / "examples.jsonl").read_bytes() == first


def test_offline_rules_in_both_languages() -> None:
    from loquela.data.qa.providers.offline_rules import drafts

    english = drafts(
        "# The comet\nA comet is a small body of ice and dust that circles the sun.\n\n"
        "In 1910, the people of Velden saw one from the roofs of their houses. It was bright in the sky of Norhaven.",
        "en",
    )
    assert [(draft.type, draft.question) for draft in english][:2] == [
        ("fact", "What is there to know about “The comet”?"),
        ("definition", "What is meant by “A comet”?"),
    ]
    assert ("What happened in 1910?", "The people of Velden saw one from the roofs of their houses.") in [
        (draft.question, draft.answer) for draft in english
    ]
    spanish = drafts(
        "El gaucho es un jinete de las llanuras que vive del ganado. Murió en San Juan, lejos de todos.", "es"
    )
    assert ("¿Qué se entiende por «El gaucho»?", "definition") in [(draft.question, draft.type) for draft in spanish]
    assert (
        "¿Qué nombre completa esta frase: «Murió en ____, lejos de todos»?",
        "Murió en San Juan, lejos de todos.",
    ) in [(draft.question, draft.answer) for draft in spanish]
    assert drafts("日本語の文です。", "ja") == []
