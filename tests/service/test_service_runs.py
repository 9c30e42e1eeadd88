"""Runs over HTTP, without a worker: what is queued, refused, and done to it."""

import pytest

from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.states import JobState, Reason

RECIPE = {"name": "tiny", "data": {"sources": ["story.txt"]}, "model": {"num_layers": 1}}


def submit(client, recipe=None, **more):
    headers = {"Idempotency-Key": more.pop("key")} if "key" in more else {}
    return client.post("/runs/train", json={"recipe": recipe or RECIPE, **more}, headers=headers)


def refused(answer, text, status=400):
    assert (answer.status_code, answer.json()) == (status, answer.json())
    assert text in answer.json()["error"]["message"]
    assert answer.json()["error"]["remedy"]


def test_a_run_is_queued_with_places_of_the_server(owner, parts, story):
    answer = submit(owner, labels={"who": "me"}, priority=3)
    assert answer.status_code == 202
    view = answer.json()
    assert view["state"] == "queued"
    assert view["run_id"].startswith("tiny-")
    assert view["labels"] == {"who": "me"}
    job = parts.listing.get(view["run_id"])
    assert job.spec["recipe"]["data"]["sources"] == [str(story.resolve())]
    assert job.spec["recipe"]["output_directory"] == str(parts.data)
    assert (job.kind, job.priority) == ("run", 3)
    assert owner.get(f"/runs/{view['run_id']}").json() == view


def test_a_recipe_may_be_yaml_text(owner, story):
    answer = submit(owner, "name: from-text\ndata:\n  sources: [story.txt]\n")
    assert answer.json()["run_id"].startswith("from-text-")


def test_what_is_wrong_with_a_recipe_is_said_all_at_once(owner, story):
    answer = submit(owner, {"train": {"epochz": 1, "batch_size": 0}})
    refused(answer, "train.epochz")
    assert "train.batch_size" in answer.json()["error"]["message"]
    refused(submit(owner, "name: [unclosed"), "request")
    refused(submit(owner, until="nothing"), "there is no stage 'nothing'")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../secret.txt", "a/../../b", "..\\b", "%2e%2e/b", "a\0b", "file:/etc/passwd", "folder:/",
        "glob:/**", "s3://bucket/x", "sqlite:///x.db?y", "http://127.0.0.1/x", "link.txt",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["data.sources", "tokenizer.model_file", "finetune.base", "data.decontaminate.files"])
def test_nothing_on_the_server_but_corpus_can_be_named(owner, parts, story, tmp_path, key, name):
    (tmp_path / "secret.txt").write_text("secret")
    (parts.settings.corpus / "link.txt").symlink_to(tmp_path / "secret.txt")
    section, _, last = key.rpartition(".")
    value = [name] if last in ("sources", "files") else name
    for part in reversed(section.split(".")):
        value = {part: {last: value} if part == section.split(".")[-1] else value}
    recipe = {"data": {"sources": ["story.txt"]}}
    for top, inner in value.items():
        recipe[top] = (
            {**recipe.get(top, {}), **inner} if top != "data" or last != "files" else {**recipe["data"], **inner}
        )
    answer = submit(owner, recipe)
    assert answer.status_code == (422 if "\0" in name else 400)
    assert str(tmp_path) not in answer.text
    assert owner.get("/runs").json()["runs"] == []


@pytest.mark.parametrize(
    "recipe",
    [
        {"output_directory": "/elsewhere"},
        {"data": {"allow_private_addresses": True}},
        {"skip_phases": ["corpus_download"]},
        {"qa": {"base_url": "http://evil.test/"}},
    ],
    ids=lambda recipe: next(iter(recipe)),
)
def test_what_is_the_services_own_cannot_be_asked_for(owner, story, recipe):
    answer = submit(
        owner,
        {
            "data": {"sources": ["story.txt"], **recipe.get("data", {})},
            **{k: v for k, v in recipe.items() if k != "data"},
        },
    )
    assert answer.status_code == 400
    assert owner.get("/runs").json()["runs"] == []


def test_an_upload_that_is_not_there_is_named(owner):
    refused(submit(owner, {"data": {"sources": ["upload:file-1"]}}), "there is no file 'file-1'", 404)


def test_the_same_key_with_the_same_body_is_the_same_run(owner, story):
    first = submit(owner, key="k").json()
    assert submit(owner, key="k").json() == first
    refused(submit(owner, priority=1, key="k"), "was used for another request")
    assert len(owner.get("/runs").json()["runs"]) == 1


def test_plan_queues_nothing(owner, story):
    answer = owner.post("/runs/plan", json={"recipe": RECIPE})
    assert answer.status_code == 200
    assert answer.json()["plan"]["parameters"] > 0
    assert answer.json()["recipe"]["model"]["num_layers"] == 1
    assert owner.get("/runs").json()["runs"] == []


def test_lists_go_on_from_where_they_ended(owner, story):
    made = [submit(owner).json()["run_id"] for _ in range(5)]
    first = owner.get("/runs", params={"limit": 3}).json()
    second = owner.get("/runs", params={"limit": 3, "before": first["next_before"]}).json()
    assert [run["run_id"] for run in first["runs"] + second["runs"]] == made[::-1]
    assert second["next_before"] is None
    assert owner.get("/runs", params={"state": "running"}).json()["runs"] == []
    assert len(owner.get("/runs", params={"state": ["queued", "running"]}).json()["runs"]) == 5


def test_a_run_is_cancelled_and_resumed(owner, story):
    run = submit(owner).json()["run_id"]
    assert owner.post(f"/runs/{run}/cancel").json()["state"] == "cancelled"
    refused(owner.post(f"/runs/{run}/pause"), "is cancelled and cannot be asked to pause", 409)
    assert owner.post(f"/runs/{run}/resume").json()["state"] == "queued"
    assert owner.post(f"/runs/{run}/pause").json()["state"] == "paused"


def test_why_a_run_failed_is_shown_and_numbers_that_are_none_survive(owner, parts, clock, story):
    run = submit(owner).json()["run_id"]
    claims = Claims(parts.database, clock)
    job = claims.claim(Holder("w", "h", "b"))
    claims.heartbeat(job, {"loss": float("nan"), "gradient_norm": float("inf")}, advanced=True)
    text = owner.get(f"/runs/{run}").text
    assert '"loss":"NaN"' in text
    assert '"gradient_norm":"Infinity"' in text
    claims.end(job, Ended(JobState.FAILED, Reason.NAN_LOSS))
    view = owner.get(f"/runs/{run}").json()
    assert (view["state"], view["reason"], view["message"]) == (
        "failed",
        "nan_loss",
        "The loss stopped being a number.",
    )


@pytest.mark.parametrize("run", ["nothing", "a" * 96, "x.y-z_1"])
def test_an_unknown_run_is_404_everywhere(owner, run):
    for path in ("", "/events", "/logs", "/logs/stream", "/events/stream"):
        refused(owner.get(f"/runs/{run}{path}"), f"there is no job '{run}'", 404)


@pytest.mark.parametrize("run", ["..", "%2e%2e", "a%2fb", "a" * 97, "-x", "a b", "%00"])
def test_what_can_be_no_id_is_refused(owner, run):
    assert owner.get(f"/runs/{run}").status_code in (404, 422)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 422),
        (b'{"recipe": {}, "extra": 1}', "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b'{"recipe": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}", "application/json", 422),
        (b'{"recipe": {"name": "a"}, "recipe": {"name": "b"}}', "application/json", 422),
        (b"recipe=1", "application/x-www-form-urlencoded", 422),
        (b'{"recipe": {}}', "text/plain", 422),
        (b"x" * (2**20 + 1), "application/json", 413),
        (b'{"recipe": {"train": {"learning_rate": NaN}}}', "application/json", 422),
        (b'{"recipe": {"train": {"learning_rate": 1e999}}}', "application/json", 422),
        (b'{"recipe": "' + b"x" * 500_001 + b'"}', "application/json", 422),
    ],
    ids=[
        "cut",
        "extra key",
        "deep list",
        "deep object",
        "two keys",
        "form",
        "text",
        "large",
        "nan",
        "infinite",
        "long text",
    ],
)
def test_bodies_that_cannot_be_used_are_refused_in_the_one_shape(owner, body, content_type, status):
    answer = owner.post("/runs/train", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
