"""Plans are made beside the API: the library stays out of it, errors come through, nobody starts a hundred."""

import subprocess
import sys

import pytest

from loquela.core.errors import DataError, ErrorCode, LimitError, ResourceError
from loquela.recipe.loading import load_values
from loquela.runs.plan import plan_run
from loquela.service import planning

REAL_RUN = subprocess.run
RECIPE = load_values({"data": {"sources": ["builtin:stories"]}, "train": {"epochs": 1}}, "test").recipe


def test_it_is_the_plan_and_the_library_stays_out():
    program = (
        "import sys; from loquela.service.planning import planned; from loquela.recipe.loading import load_values;"
        "found = planned(load_values({'data': {'sources': ['builtin:stories']}, 'train': {'epochs': 1}}, 'x').recipe);"
        "print(found['steps_total'], 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert told == [str(plan_run(RECIPE).steps_total), "False"]


def answering(monkeypatch, tmp_path, program):
    """The process is another one."""

    def run(command, **options):
        return REAL_RUN([sys.executable, "-c", program], **options)

    monkeypatch.setattr(planning.subprocess, "run", run)


def test_an_error_comes_through(monkeypatch, tmp_path):
    answering(
        monkeypatch, tmp_path,
        "from loquela.core.carried_error import CarriedError; from loquela.core.errors import *; import json;"
        "print(json.dumps({'error': CarriedError.of(DataError(ErrorCode.DATA_NOT_FOUND, 'not there', 'look'))"
        ".model_dump(mode='json')}))",
    )  # fmt: skip
    with pytest.raises(DataError, match="not there") as caught:
        planning.planned(RECIPE)
    assert caught.value.code == ErrorCode.DATA_NOT_FOUND


def test_a_process_that_dies_or_stays_away(monkeypatch, tmp_path):
    answering(monkeypatch, tmp_path, "import os; os._exit(9)")
    with pytest.raises(ResourceError, match="the process that plans ended with code 9"):
        planning.planned(RECIPE)
    answering(monkeypatch, tmp_path, "import time; time.sleep(60)")
    monkeypatch.setattr(planning, "PLAN_SECONDS", 0.2)
    with pytest.raises(ResourceError, match="no plan within 0 seconds"):
        planning.planned(RECIPE)


def test_not_a_hundred_at_once():
    for _ in range(planning.AT_ONCE):
        planning._turns.acquire()
    try:
        with pytest.raises(LimitError, match="2 plans are being made"):
            planning.planned(RECIPE)
    finally:
        for _ in range(planning.AT_ONCE):
            planning._turns.release()
