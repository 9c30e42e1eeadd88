import pytest

from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.records import JobError
from loquela.jobs.states import JobState, Reason
from loquela.service.places import Places


@pytest.mark.parametrize("name", ["plain", "with blanks", "ñandú", 'quo"te', "back\\slash"])
def test_the_data_folder_is_hidden_however_json_spells_it(tmp_path, name):
    import json

    data = tmp_path / name
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    for known in (data, tmp_path / "link"):
        places = Places(known)
        for ascii_only in (True, False):
            said = json.dumps({"message": f"{data}/runs/x and {known}"}, ensure_ascii=ascii_only).encode()
            assert json.loads(places.hidden(said)) == {"message": "<data>/runs/x and <data>"}


def test_no_answer_names_a_place_of_the_server(owner, parts, story, clock, tmp_path):
    run = owner.post("/runs/train", json={"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}}).json()[
        "run_id"
    ]
    claims = Claims(parts.database, clock)
    error = JobError(code="CORRUPTION", message=f"{parts.data.resolve()}/runs/{run} is damaged", remedy="mend it")
    claims.end(claims.claim(Holder("w", "h", "b")), Ended(JobState.FAILED, Reason.DATA_ERROR, error=error))
    parts.events.append("pipeline.started.v1", run_id=run, data={"directory": str(parts.data.resolve() / "runs" / run)})
    for path in (f"/runs/{run}", "/runs", f"/runs/{run}/events", "/events", f"/runs/{run}/events/stream"):
        answer = owner.get(path)
        assert answer.status_code == 200
        assert str(tmp_path) not in answer.text
        if "content-length" in answer.headers:
            assert len(answer.content) == int(answer.headers["content-length"])
    assert owner.get(f"/runs/{run}").json()["error"]["message"].startswith("<data>/runs/")
    planned = owner.post("/runs/plan", json={"recipe": {"data": {"sources": ["story.txt"]}}})
    assert planned.json()["recipe"]["data"]["sources"] == ["<data>/corpus/story.txt"]
