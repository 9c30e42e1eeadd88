"""Proofs of the rows: they hold for what the stage makes, and each fails by a fault of the kind it is there for."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

import numpy as np
import pytest

from loquela.artifacts.base import located_base, read_base, write_base
from loquela.artifacts.examples_facts import TEMPLATE_NAME
from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode, ProofError
from loquela.data.examples import of_base
from loquela.finetuning.proofs.overlong import prove_overlong
from loquela.finetuning.proofs.rows_subject import RowsSubject
from loquela.finetuning.proofs.rows_table import prove_rows
from loquela.finetuning.proofs.runner import read_preflight
from loquela.monitoring.events import SilentBus
from rows_for_base import Row, conversation, make_rows
from template_shapes import SHAPES, seal, write_base_shape

ROWS = [
    conversation("Where?", "Under the bridge."),
    conversation("¿Dónde 🌉?", "Bajo el puente.", "  Why?\n", "It runs.  "),
    conversation("Who?", "A niño.", system="Be brief."),
    conversation("What runs?", "The river {{ x }} <b>."),
]
NAMES = ["all_rows_accounted", "labels", "overlong", "tokenizer_round_trip", "stop_token", "template_parity"]


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bases")
    for name in SHAPES:
        write_base_shape(root / name, SHAPES[name])
    return root


def prove(examples: Path, base: Path) -> dict[str, Proof]:
    """Every proof by its name, whether it holds or not."""
    run = examples.parent / "run"
    run.mkdir(exist_ok=True)
    try:
        prove_rows(examples, located_base(base), run, SilentBus())
    except ProofError:
        pass
    return {proof.name: proof for proof in read_preflight(run)}


def failed(examples: Path, base: Path) -> dict[str, str]:
    return {name: proof.message for name, proof in prove(examples, base).items() if not proof.passed}


@pytest.mark.parametrize("shape", ["headers", "default_system", "brackets", "roles", "tagged", "no_template"])
def test_rows_of_every_shape_hold(tmp_path: Path, bases: Path, shape: str) -> None:
    examples = tmp_path / "examples"
    make_rows(examples, bases / shape, ROWS)
    proofs = prove(examples, bases / shape)
    assert list(proofs) == NAMES
    assert {name: proof.message for name, proof in proofs.items() if not proof.passed} == {}
    assert proofs["stop_token"].numbers["answers"] == proofs["stop_token"].numbers["with_stop"] == 5
    assert proofs["template_parity"].numbers["prompts"] == 5
    assert proofs["template_parity"].numbers["served_prompts"] == 5 + 10
    assert proofs["all_rows_accounted"].numbers["read"] == proofs["all_rows_accounted"].numbers["kept"] == 4
    assert int(str(proofs["labels"].numbers["minimum"])) > 1


@pytest.mark.parametrize("keys", [{"learn": "all"}, {"learn": "completion"}, {"pack": True, "max_tokens": 200}])
def test_other_ways_of_learning_hold(tmp_path: Path, bases: Path, keys: dict[str, object]) -> None:
    make_rows(tmp_path / "examples", bases / "thinking", [ROWS[0], *(ROWS[2:] if "pack" in keys else ROWS[1:])], **keys)
    assert failed(tmp_path / "examples", bases / "thinking") == {}


def test_rows_of_other_kinds_hold(tmp_path: Path, bases: Path) -> None:
    text = tmp_path / "text"
    make_rows(text, bases / "headers", [{"text": "The river runs past the old mill. " * 20}], max_tokens=60,
              on_overlong="split")  # fmt: skip
    proofs = prove(text, bases / "headers")
    assert {name: proof.message for name, proof in proofs.items() if not proof.passed} == {}
    assert proofs["stop_token"].numbers["answers"] == 1
    pairs = tmp_path / "pairs"
    make_rows(pairs, bases / "roles", [{"prompt": "Where?", "chosen": "Here.", "rejected": "There."}], "dpo")
    assert failed(pairs, bases / "roles") == {}
    judged = tmp_path / "judged"
    make_rows(judged, bases / "roles", [{"prompt": "Where?", "completion": "Here.", "label": True}], "kto")
    assert failed(judged, bases / "roles") == {}


def test_what_was_too_long_is_counted(tmp_path: Path, bases: Path) -> None:
    rows = [conversation("a", "under the bridge " * 20), *ROWS[:1], conversation(*["the river runs past"] * 8)]
    for policy, told, cut in (
        ("drop", r"2 longer than max_tokens \(", 0),
        ("truncate", r"2 truncated \(\d+ tokens", 1),
        ("split", "1 in several pieces", 0),
    ):
        examples = tmp_path / policy
        make_rows(examples, bases / "roles", rows[1:] if policy == "split" else rows, max_tokens=40, on_overlong=policy)
        proofs = prove(examples, bases / "roles")
        assert {name: proof.message for name, proof in proofs.items() if not proof.passed} == {}
        assert proofs["overlong"].numbers["limit"] == 40
        assert re.search(told, proofs["overlong"].message)
        assert int(str(proofs["stop_token"].numbers["cut_off"])) >= cut


@pytest.fixture
def made(tmp_path: Path, bases: Path) -> tuple[Path, Path]:
    """(examples, base) that a test may spoil."""
    base = tmp_path / "base"
    shutil.copytree(bases / "default_system", base)
    make_rows(tmp_path / "examples", base, ROWS)
    return tmp_path / "examples", base


def change_array(path: Path, dtype: str, change: Callable[[np.ndarray], None]) -> None:
    values = np.fromfile(path, dtype=dtype)
    change(values)
    path.write_bytes(values.tobytes())


def test_a_row_with_all_labels_masked_is_shown(made: tuple[Path, Path]) -> None:
    examples, base = made
    first = json.loads((examples / "rows/train/sequences.jsonl").read_text().splitlines()[0])

    def mask(weights: np.ndarray) -> None:
        weights[: first["tokens"]] = 0

    change_array(examples / "rows/train/weights.bin", "<f4", mask)
    proofs = prove(examples, base)
    message = proofs["labels"].message
    assert not proofs["labels"].passed
    assert f"1 of 4 texts have nothing to learn; row 0 of train, example {first['example']}" in message
    assert "examples.jsonl, row 1 (line 1)" in message
    assert "<|im_start|>user\\nWhere?<|im_end|>" in message
    assert "on_bad_row: drop" in proofs["labels"].remedy
    assert proofs["labels"].code is ErrorCode.INSUFFICIENT_DATA


@pytest.mark.parametrize(("value", "says"), [(np.nan, "no number from 0 up"), (-1, "no number"), (0, "were counted")])
def test_weights_that_were_changed_are_found(made: tuple[Path, Path], value: float, says: str) -> None:
    examples, base = made

    def spoil(weights: np.ndarray) -> None:
        weights[np.flatnonzero(weights)[3]] = value

    change_array(examples / "rows/train/weights.bin", "<f4", spoil)
    assert says in failed(examples, base)["labels"]


NO_STOP = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "{% endgeneration %}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize(
    "template",
    [NO_STOP, NO_STOP.replace("<|im_end|>", "</turn>").replace("{% endgeneration %}", "</turn>{% endgeneration %}", 1)],
)
def test_an_answer_that_does_not_stop_is_found(tmp_path: Path, bases: Path, template: str) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text(template)
    make_rows(tmp_path / "examples", bases / "tagged", ROWS, template="custom", template_file=str(path))
    found = prove(tmp_path / "examples", bases / "tagged")["stop_token"]
    assert not found.passed
    assert found.message.startswith("5 of 5 answers end without a learnt stop token (<|im_end|>")
    assert "{% generation %}" in found.remedy


def test_a_stop_token_that_is_not_learnt_is_found(made: tuple[Path, Path]) -> None:
    examples, base = made
    ids = np.fromfile(examples / "rows/train/tokens.bin", dtype="<u4")
    stop = read_base(base).eos_ids[0]

    def forget(weights: np.ndarray) -> None:
        weights[np.flatnonzero((ids == stop) & (weights > 0))[-1:]] = 0

    change_array(examples / "rows/train/weights.bin", "<f4", forget)
    message = failed(examples, base)["stop_token"]
    assert message.startswith("1 of 5 answers end without a learnt stop token")


def test_a_template_that_is_served_otherwise_is_found(made: tuple[Path, Path]) -> None:
    examples, base = made
    record = json.loads((examples / TEMPLATE_NAME).read_text())
    record["source"] = record["source"].replace("You answer briefly.", "You are helpful.")
    (examples / TEMPLATE_NAME).write_text(json.dumps(record))
    found = prove(examples, base)["template_parity"]
    assert not found.passed
    assert "'system\\nYou answer' against 'system\\nYou are helpful." in found.message
    assert found.code is ErrorCode.COMPATIBILITY_ERROR


def test_tokens_that_transformers_does_not_make_are_found(made: tuple[Path, Path]) -> None:
    examples, base = made

    def swap(ids: np.ndarray) -> None:
        ids[30] += 1

    change_array(examples / "rows/train/tokens.bin", "<u4", swap)
    assert "1 differences; the first in example" in failed(examples, base)["template_parity"]


def test_a_configuration_that_makes_transformers_tokenise_otherwise_is_found(made: tuple[Path, Path]) -> None:
    examples, base = made
    path = base / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra_special_tokens": {"x_token": "the"}}))
    found = failed(examples, base)
    assert set(found) == {"template_parity", "tokenizer_round_trip"}
    assert "training against transformers" in found["template_parity"] or "example" in found["template_parity"]


def test_what_is_learnt_begins_where_the_prompt_ends(tmp_path: Path, bases: Path) -> None:
    """Generation marks that leave out the beginning of the answer: transformers' own mask would not notice."""
    path = tmp_path / "late.jinja"
    path.write_text(NO_STOP.replace("{% generation %}{{ m.content }}{% endgeneration %}",
                                    "A\n{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"))  # fmt: skip
    make_rows(tmp_path / "examples", bases / "tagged", ROWS, template="custom", template_file=str(path))
    found = failed(tmp_path / "examples", bases / "tagged")
    assert "what is learnt does not begin where the prompt ends" in found["template_parity"]


def test_rows_of_another_day_hold_and_say_so(tmp_path: Path, bases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows say the day on which they were made; transformers would write today's."""

    class Past(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Past:
            return cls(2001, 2, 3, tzinfo=tz)

    with monkeypatch.context() as patched:
        patched.setattr(of_base, "datetime", Past)
        make_rows(tmp_path / "examples", bases / "headers", ROWS)
    found = prove(tmp_path / "examples", bases / "headers")["template_parity"]
    assert found.passed
    assert found.message.endswith("the template tells the day, the rows that of 2001-02-03")
    record = json.loads((tmp_path / "examples" / TEMPLATE_NAME).read_text())
    (tmp_path / "examples" / TEMPLATE_NAME).write_text(json.dumps({**record, "date": "2001-02-04"}))
    assert "'y: 03 Fe' against 'y: 04 Fe'" in failed(tmp_path / "examples", bases / "headers")["template_parity"]


def test_text_that_the_tokenizer_normalises_is_counted(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, normalizers

    base = write_base_shape(tmp_path / "base", SHAPES["default_system"])
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.save(str(base / "tokenizer.json"))
    seal(base, read_base(base).eos_ids, size)
    rows: list[Row] = [conversation("Where does the nin\u0303o run?", "Here.")]
    make_rows(tmp_path / "nfc", base, rows)
    found = prove(tmp_path / "nfc", base)["tokenizer_round_trip"]
    assert found.passed
    assert "1 as the tokenizer normalises them" in found.message


def test_text_that_the_tokenizer_loses_is_found(tmp_path: Path) -> None:
    base = write_base_shape(tmp_path / "base", SHAPES["brackets"])
    document = json.loads((base / "tokenizer.json").read_text())
    document["model"]["byte_fallback"] = False
    (base / "tokenizer.json").write_text(json.dumps(document))
    identity = read_base(base)
    seal(base, identity.eos_ids, identity.tokenizer_size)
    make_rows(tmp_path / "lost", base, [conversation("Where 🌉?", "Here.")])
    found = prove(tmp_path / "lost", base)["tokenizer_round_trip"]
    assert not found.passed
    assert "does not come back from its tokens: '<s>[INST] Where 🌉? [/INST' became '<s>[I<unk>" in found.message
    assert found.code is ErrorCode.TOKENIZATION_FAILED


def test_added_tokens_and_small_embeddings_are_found(made: tuple[Path, Path]) -> None:
    examples, base = made
    identity = read_base(base)
    path = base / "tokenizer_config.json"
    before = json.loads(path.read_text())
    added = {str(identity.tokenizer_size): {"content": "<new>", "special": True}}
    path.write_text(json.dumps({**before, "added_tokens_decoder": added}))
    assert "tokens were added or taken away" in failed(examples, base)["tokenizer_round_trip"]
    path.write_text(json.dumps(before))
    small = identity.model_copy(update={"vocab_size": identity.tokenizer_size - 1})
    write_base(base, small.sealed())
    message = failed(examples, base)["tokenizer_round_trip"]
    assert message == "the rows were made for another base"


def test_a_larger_token_than_the_embedding_has_rows_is_found(tmp_path: Path, bases: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(bases / "default_system", base)
    identity = read_base(base)
    seal(base, identity.eos_ids, identity.tokenizer_size, rows=identity.tokenizer_size - 3)
    make_rows(tmp_path / "examples", base, ROWS)
    found = prove(tmp_path / "examples", base)["tokenizer_round_trip"]
    assert "the embedding has" in found.message
    assert found.code is ErrorCode.SHAPE_MISMATCH


def test_a_ledger_that_counts_otherwise_is_found(tmp_path: Path, bases: Path) -> None:
    examples = tmp_path / "examples"
    rows = [conversation("a", "under the bridge " * 20), *ROWS[:1]]
    make_rows(examples, bases / "roles", rows, max_tokens=40, on_overlong="truncate")
    ledger = json.loads((examples / "ledger.json").read_text())
    (step,) = (arrow for arrow in ledger["arrows"] if arrow["arrow"] == "overlong")
    step["changes"] = []
    (examples / "ledger.json").write_text(json.dumps(ledger))
    found = failed(examples, bases / "roles")
    assert found["overlong"] == "1 texts were too long, but 0 were dropped, cut or split"
    assert "does not add up at overlong" in found["all_rows_accounted"]


def test_a_text_beyond_the_limit_is_found(made: tuple[Path, Path]) -> None:
    examples, base = made
    subject = RowsSubject(examples, located_base(base))
    vars(subject)["facts"] = subject.facts.model_copy(update={"max_tokens": 20})
    proof = prove_overlong(subject)
    assert not proof.passed
    assert re.match(r"a text of \d+ tokens is left, and the model sees 20", proof.message)
    assert proof.code is ErrorCode.SEQUENCE_TOO_LONG


def test_rows_that_went_missing_are_found(made: tuple[Path, Path]) -> None:
    examples, base = made
    path = examples / "examples.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[0].replace('"id":"', '"id":"f', 1)]))
    assert failed(examples, base)["all_rows_accounted"] == "the ledger leaves 4 examples, the folder holds 5"


def test_all_that_failed_is_told_at_once(made: tuple[Path, Path], tmp_path: Path) -> None:
    examples, base = made

    def spoil(weights: np.ndarray) -> None:
        weights[:] = 0

    change_array(examples / "rows/train/weights.bin", "<f4", spoil)
    with pytest.raises(ProofError, match="the training was not begun: labels: 4 of 4 texts .*; stop_token: ") as caught:
        prove_rows(examples, located_base(base), tmp_path, SilentBus())
    assert caught.value.code is ErrorCode.INSUFFICIENT_DATA
    assert [proof.name for proof in read_preflight(tmp_path)] == NAMES
