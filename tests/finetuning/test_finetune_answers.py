"""Where answers begin and end: what a canary is asked, and a base that stops at another token than its template."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from loquela.artifacts.adapter import GENERATION_NAME
from loquela.artifacts.base import located_base, read_base
from loquela.artifacts.examples_facts import read_template_record
from loquela.artifacts.token_rows import read_token_rows
from loquela.finetuning.proofs.answers import asked_of
from loquela.finetuning.proofs.chosen_rows import sequences_of
from loquela.finetuning.proofs.rows_table import prove_rows
from loquela.finetuning.training.adapter_folder import copy_tokenizer
from loquela.monitoring.events import SilentBus
from loquela.tokenizers.template_text import open_template_tokenizer
from rows_for_base import conversation, make_rows
from template_shapes import SHAPES, seal, write_base_shape


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = write_base_shape(tmp_path / "base", SHAPES["default_system"])
    end_of_text = read_base(folder).eos_ids[1]
    (folder / GENERATION_NAME).write_text(json.dumps({"eos_token_id": end_of_text, "temperature": 0.7}))
    return seal(folder, [end_of_text], read_base(folder).tokenizer_size)


def test_the_end_of_answers_is_proven_recorded_and_handed_on(tmp_path: Path, base: Path) -> None:
    examples, folder = tmp_path / "examples", tmp_path / "adapter"
    make_rows(examples, base, [conversation("Where?", "Here.")])
    record = read_template_record(examples)
    assert record is not None
    (end,) = record.ends
    assert [end] != read_base(base).eos_ids
    (proof,) = (
        each for each in prove_rows(examples, located_base(base), tmp_path, SilentBus()) if each.name == "stop_token"
    )
    assert proof.numbers["of_the_template_alone"] == [end]
    folder.mkdir()
    copy_tokenizer(located_base(base), examples, folder)
    settings = json.loads((folder / GENERATION_NAME).read_text())
    assert settings == {"eos_token_id": sorted([end, *read_base(base).eos_ids]), "temperature": 0.7}
    assert (folder / "chat_template.jinja").read_text() == SHAPES["default_system"].template


def test_a_base_that_stops_there_already_keeps_its_own_settings(tmp_path: Path, base: Path) -> None:
    examples, folder = tmp_path / "examples", tmp_path / "adapter"
    shutil.rmtree(base)
    write_base_shape(base, SHAPES["default_system"])
    make_rows(examples, base, [conversation("Where?", "Here.")])
    folder.mkdir()
    copy_tokenizer(located_base(base), examples, folder)
    assert not (folder / GENERATION_NAME).exists()


@pytest.mark.parametrize("learn", ["assistant", "completion", "all"])
def test_a_canary_is_asked_what_a_chat_would_ask(tmp_path: Path, base: Path, learn: str) -> None:
    examples = tmp_path / "examples"
    make_rows(examples, base, [conversation("Where?", "Here.", "Why?", "It runs.")], learn=learn)
    tokenizer = open_template_tokenizer(base)
    (row,) = read_token_rows(examples, "train")
    (sequence,) = sequences_of(row)
    asked = asked_of(sequence)
    assert asked is not None
    assert tokenizer.decode(asked.prompt).endswith("Why?<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.decode(asked.answer) == "It runs.<|im_end|>"


def test_a_text_is_asked_by_its_beginning(tmp_path: Path, base: Path) -> None:
    make_rows(tmp_path / "examples", base, [{"text": "The river runs past the old mill and under the bridge."}])
    (row,) = read_token_rows(tmp_path / "examples", "train")
    asked = asked_of(row)
    assert asked is not None
    assert len(asked.prompt) == 8
    assert [*asked.prompt, *asked.answer] == row.ids.tolist()
