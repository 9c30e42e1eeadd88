"""What differs between two runs, over HTTP."""

import uuid

import pytest

from loquela.recipe.schema import Recipe
from loquela.runs.manifest import TrainingRunManifest
from loquela.service.routes import comparisons

RECIPE = {"name": "tiny", "data": {"sources": ["story.txt"]}, "model": {"num_layers": 1}}


@pytest.fixture
def run_of(owner, parts, story):
    """A run as far as its manifest."""

    def make(seed, **results):
        run_id = owner.post("/runs/train", json={"recipe": RECIPE}).json()["run_id"]
        recipe = Recipe.model_validate(RECIPE | {"seed": seed, "output_directory": parts.data})
        manifest = TrainingRunManifest(
            run_id=run_id, pipeline_id=uuid.uuid4(), recipe=recipe, seed=seed, versions={"python": "3"}, hardware={},
            metrics_summary=results,
        )  # fmt: skip
        parts.run_folder(run_id).mkdir(parents=True)
        manifest.save(parts.run_folder(run_id))
        return run_id

    return make


def test_two_runs_are_compared(owner, run_of, parts):
    one, two = run_of(1, loss=float("nan")), run_of(2, loss=2.5)
    found = owner.get(f"/runs/{one}/diff/{two}").json()
    assert (found["first"], found["second"], found["versions"]) == (one, two, [])
    assert found["recipe"] == [{"what": "seed", "first": 1, "second": 2}]
    assert found["results"] == [{"what": "loss", "first": "NaN", "second": 2.5}]
    assert (found["examples"], found["adapters"]) == (None, None)
    assert str(parts.data) not in str(found)


def test_what_cannot_be_compared_is_said(owner, run_of, parts, client_of):
    one = run_of(1)
    assert owner.get(f"/runs/{one}/diff/nothing").status_code == 404
    queued = owner.post("/runs/train", json={"recipe": RECIPE}).json()["run_id"]
    answer = owner.get(f"/runs/{one}/diff/{queued}")
    assert answer.status_code in (404, 422) and answer.json()["error"]["remedy"]
    assert client_of("infer").get(f"/runs/{one}/diff/{one}").status_code == 403


def test_only_so_many_at_once(owner, run_of):
    one = run_of(1)
    for _ in range(comparisons.AT_ONCE):
        assert comparisons._turns.acquire(blocking=False)
    try:
        answer = owner.get(f"/runs/{one}/diff/{one}")
    finally:
        for _ in range(comparisons.AT_ONCE):
            comparisons._turns.release()
    assert answer.status_code == 429 and answer.headers["retry-after"] == "2"
    assert "2 pairs of runs are being compared, which is the most" in answer.json()["error"]["message"]
    assert owner.get(f"/runs/{one}/diff/{one}").status_code == 200
