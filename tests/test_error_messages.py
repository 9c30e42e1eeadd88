"""Every message a user can see is read by some test; those no other file provokes are provoked here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import loquela
from loquela.api import Run
from loquela.core.errors import DataError, ErrorCode, LoquelaError, ProofError, RecipeError, ResourceError
from loquela.evaluation.budgets import measure_budgets
from loquela.inference.open import tokenizer_folder
from loquela.models.config import model_config
from loquela.recipe.schema import ComputeSection, DataSection, ModelSection, Recipe
from loquela.runs.prerequisites import check_prerequisites
from loquela.runs.status import PipelineStatus
from loquela.runs.store import RunStore
from loquela.training.launch import _result
from loquela.training.muon import Muon

ROOT = Path(__file__).parents[1]
# What only several processes or machines can provoke: ranks that differ, and a rank whose leader's disk is full.
LEFT = {"ranks start from different weights", "rank 0 could not write its checkpoint"}


def error_kinds() -> set[str]:
    """The names of all errors of ours, read from the source: what is imported by now makes no difference."""
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    kinds, found = set[str](), {LoquelaError.__name__}
    while found:
        kinds |= found
        found = {name for name, over in bases.items() if over & kinds} - kinds
    return kinds


def constants(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def fixed_parts(message: ast.expr) -> Iterator[str]:
    """What of a message is the same every time; one that a call makes is read where that call is tested."""
    if isinstance(message, ast.BinOp):
        yield from fixed_parts(message.left)
        yield from fixed_parts(message.right)
    elif isinstance(message, ast.JoinedStr):
        yield from (text for part in message.values if isinstance(part, ast.Constant) for text in constants(part))
    else:
        yield from constants(message) if isinstance(message, ast.Constant) else ()


def messages() -> Iterator[tuple[str, list[str]]]:
    """Where an error is made, and the fixed parts of its message."""
    kinds = error_kinds()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in kinds and len(node.args) >= 2:
                parts = [part.strip(" ;:,.'\"()[]") for part in fixed_parts(node.args[1])]
                yield f"{path.relative_to(ROOT)}:{node.lineno}", [part for part in parts if len(part) >= 6]


def triples(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def test_every_message_is_read_by_a_test() -> None:
    """Three words in a row of each message stand in some test; a coarse sieve, and it finds what nobody reads."""
    read = "\n".join(
        re.sub(r"\\(.)", r"\1", text)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for text in constants(ast.parse(path.read_text(encoding="utf-8")))
    )
    found = list(messages())
    assert len(found) > 100
    assert {"DataError", "Unauthorized"} <= error_kinds()
    unread = {
        place: parts
        for place, parts in found
        if parts and not any(three in read for part in parts for three in triples(part))
    }
    assert unread == {}
    assert all(any(left in part for _, parts in found for part in parts) for left in LEFT)


def test_a_run_before_its_first_epoch(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(DataError, match=r"has no training_metrics.json: no epoch has ended yet"):
        _ = run.metrics
    with pytest.raises(DataError, match="has no model yet") as caught:
        _ = run.checkpoint
    assert caught.value.code == ErrorCode.DATASET_NOT_FOUND


def test_an_ambiguous_run(tmp_path: Path) -> None:
    for name in ("tiny-1", "tiny-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        PipelineStatus(run_id=name).save(tmp_path / "runs" / name)
    with pytest.raises(RecipeError, match="'tiny' begins 2 run ids in .*: tiny-1, tiny-2") as caught:
        RunStore(tmp_path).open("tiny")
    assert caught.value.code == ErrorCode.RUN_NOT_FOUND


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no tokenizer: none of .*tokenizer.json"):
        tokenizer_folder(tmp_path)


def test_a_vocabulary_of_nothing() -> None:
    with pytest.raises(RecipeError, match="the model section describes no network: vocab_size"):
        model_config(ModelSection(), 0)


def test_muon_without_matrices() -> None:
    with pytest.raises(RecipeError, match="muon needs matrices: the model has none") as caught:
        Muon([torch.nn.Parameter(torch.zeros(3))], 0.1, momentum=0.9, weight_decay=0.0)
    assert caught.value.remedy == "set train.optimizer.name: adamw"


def test_a_budget_process_that_cannot_load_the_model(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="the budget process could not run the model in .*: exit code") as caught:
        measure_budgets(tmp_path, tmp_path, timeout_seconds=60)
    assert caught.value.code == ErrorCode.INFERENCE_FAILED


def test_processes_that_left_no_result(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\nSegmentation fault\n")
    with pytest.raises(ResourceError, match="ended without a result: Segmentation fault") as caught:
        _result(tmp_path, log)
    assert caught.value.code == ErrorCode.WORKER_CRASH
    assert caught.value.details == {"last_lines": ["first", "Segmentation fault"]}


def test_prerequisites_that_fail_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("text " * 1000)
    recipe = Recipe(
        output_directory=tmp_path / "out",
        data=DataSection(sources=[str(tmp_path / "corpus.txt")], corpus_size_mb=1_000_000),
        compute=ComputeSection(device="cpu", memory_limit_mb=64),
    )
    with pytest.raises(
        ResourceError, match="prerequisites do not hold, nothing was written: .*; a training step needs"
    ):
        check_prerequisites(recipe)
    assert not (tmp_path / "out").exists()


def test_a_skipped_phase_that_left_nothing(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("text " * 1000)
    recipe = Recipe(
        output_directory=tmp_path / "out",
        data=DataSection(sources=[str(tmp_path / "corpus.txt")], corpus_size_mb=1),
        skip_phases=["corpus_download"],
        compute=ComputeSection(device="cpu"),
    )
    with pytest.raises(RecipeError, match="skip_phases names corpus_download, but no whole corpus made with") as caught:
        loquela.run(recipe, quiet=True)
    assert caught.value.remedy == "remove corpus_download from skip_phases and run once"
