import json

import pytest

from loquela.core.atomic import append_line
from loquela.jobs.ingest import METRICS, Ingester


@pytest.fixture
def run(owner, story, parts, clock, tmp_path):
    name = owner.post("/runs/train", json={"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}}).json()
    for step in range(50):
        append_line(tmp_path / METRICS, json.dumps({"step": step, "loss": 50.0 - step, "gradient_norm": 1.0}))
    append_line(tmp_path / METRICS, json.dumps({"step": 50, "loss": None, "not_finite": {"loss": "nan"}}))
    Ingester(parts.database, clock).take(name["run_id"], name["run_id"], tmp_path)
    return name["run_id"]


def test_metrics_for_a_chart(owner, run):
    assert owner.get(f"/runs/{run}/metrics/names").json() == {"keys": ["gradient_norm", "loss"]}
    loss, norm = owner.get(f"/runs/{run}/metrics", params={"name": ["loss", "gradient_norm"]}).json()
    assert (loss["points_total"], loss["exact"], len(loss["points"])) == (51, True, 50)
    assert loss["flagged"] == [{"step": 50, "flag": "NaN"}]
    assert norm["flagged"] == []
    (thin,) = owner.get(f"/runs/{run}/metrics", params={"name": "loss", "most": 6, "first_step": 10}).json()
    assert not thin["exact"]
    assert thin["points"][0] == {"step": 10, "value": 40.0}
    assert thin["points"][-1] == {"step": 49, "value": 1.0}


def test_a_chart_of_nothing_is_refused(owner, run):
    assert owner.get(f"/runs/{run}/metrics").status_code == 422
    assert owner.get(f"/runs/{run}/metrics", params={"name": "loss", "most": 1}).status_code == 422
    assert owner.get(f"/runs/{run}/metrics", params={"name": "nothing"}).json()[0]["points"] == []
