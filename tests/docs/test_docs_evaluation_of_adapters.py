"""The page on the evaluation of adapters: its commands work in order, and its tables name what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loquela.artifacts.examples import Example, ExampleLineage
from loquela.evaluation.tuned.forgetting import QUESTIONS
from loquela.evaluation.tuned.general_questions import PROSE
from loquela.evaluation.tuned.metric_contract import AnswerContext
from loquela.evaluation.tuned.registry import LOSS_METRICS, METRICS
from loquela.recipe.tuned_section import TunedSection
from toy_bases import copied_base

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation-of-adapters.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
# A base that learns in seconds.
SMALL = {
    "LOQUELA__FINETUNE__MAX_STEPS": "2",
    "LOQUELA__FINETUNE__LORA__RANK": "2",
    "LOQUELA__FINETUNE__PROOFS__CANARY_ROWS": "0",
    "LOQUELA__FINETUNE__PROOFS__REHEARSAL": "false",
    "LOQUELA__EVALUATE__TUNED__MAX_NEW_TOKENS": "4",
    "LOQUELA__EVALUATE__TUNED__ROWS": "6",
    "LOQUELA__EVALUATE__TUNED__BOOTSTRAP_SAMPLES": "100",
    "LOQUELA__COMPUTE__THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@pytest.mark.slow
def test_the_commands_work_in_order(tmp_path: Path) -> None:
    copied_base(tmp_path / "base")
    subprocess.run([sys.executable, "-c", PYTHON[0]], cwd=tmp_path, check=True, timeout=60)
    (name, recipe) = re.search(r"^```yaml (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL).groups()
    (tmp_path / name).write_text(recipe, encoding="utf-8")
    environment = {**os.environ, **SMALL, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shell = "".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)).splitlines()
    outputs = []
    for line in shell:
        done = subprocess.run(
            shlex.split(line), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        outputs.append(done.stdout)
    assert len(shell) == 3
    assert re.search(r"against its adapter on 6 of \d\d test rows", outputs[0])
    assert "refusal_correctness" in outputs[1] and "met" in outputs[1]
    assert "examples: the same 96" in outputs[2]


def test_every_metric_stands_in_the_table() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    for name in (*METRICS.names(), *LOSS_METRICS):
        assert f"`{name}`" in rows, name


def test_the_keys_that_are_named_exist() -> None:
    named = set(re.findall(r"evaluate\.tuned\.(\w+)", PAGE))
    assert named <= set(TunedSection.model_fields)
    assert {"fail_under", "max_forgetting", "harness", "metrics", "rows"} <= named


def test_the_numbers_of_general_questions() -> None:
    assert f"{sum(map(len, QUESTIONS.values()))} short texts in four ways each" in PAGE
    assert len(PROSE) == 6 and "six paragraphs" in PAGE


def test_the_metric_of_the_page_is_one() -> None:
    space: dict[str, object] = {}
    exec(compile(PYTHON[1], "docs/evaluation-of-adapters.md", "exec"), space)  # noqa: S102
    example = Example(id="1", kind="text", text="", lineage=ExampleLineage(source="t"))
    context = AnswerContext(example=example, question="Where?", passage=None, reference=None)
    assert space["polite"]("Here, please.", context) == 1.0
    assert space["hedges"]("Perhaps maybe.", context) == 2.0
    assert space["hedges"].better == "lower"
