"""Text in, evaluated model out: what lies on disk afterwards, and what a second run makes anew."""

import itertools
import json
import shutil

import flow_runs as flow
import numpy as np
import pytest
import yaml

import loquela
from loquela.artifacts.checkpoints import list_checkpoints
from loquela.inference.contracts import GenerateRequest
from loquela.inference.open import open_engine
from loquela.monitoring.events import Event
from loquela.runs.manifest import load_run_manifest
from loquela.runs.status import WORKING, Phase, load_status
from loquela.runs.verify import verify_run

JSON_FILES = (
    "manifest.json", "status.json", "preflight.json", "ledger.json", "plan.json", "plan_against_actual.json",
    "training_metrics.json", "seal.json", "tokenizer/manifest.json", "best/manifest.json", "best/config.json",
    "final/manifest.json", "final/config.json", "eval/manifest.json", "eval/metrics.json", "eval/budgets.json",
    "eval/validation_results.json",
)  # fmt: skip
LINE_FILES = ("events.jsonl", "metrics.jsonl", "samples.jsonl", "logs/system.log", "logs/llm_interaction.log")


def reused(run):
    return {name: record.reused for name, record in load_run_manifest(run).stages.items()}


def test_every_file_is_there_and_parses(finished):
    folder = finished.run.directory
    for name in JSON_FILES:
        assert flow.read_json(folder / name), name
    for name in LINE_FILES:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines], name
    assert yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))["name"] == "tiny"
    assert (folder / "run.lock").stat().st_size == 0
    assert [path.name for path in sorted((folder / "checkpoints").iterdir())][-1].isdigit()
    assert flow.leftovers(finished.home) == []


def test_the_status_tells_the_whole_way(finished):
    status = load_status(finished.run.directory)
    assert status.current_phase is Phase.COMPLETE
    assert status.completed_phases == list(WORKING)
    assert set(status.phase_timings) == set(WORKING)
    assert status.end_time is not None
    assert status.end_time >= status.start_time
    assert status.error_details is None
    assert status.validation_results is not None
    assert status.validation_results.constitutional_compliance
    changes = [e["data"]["to"] for e in flow.events_of(finished.run.directory) if "phase_changed" in e["name"]]
    assert changes == [str(phase) for phase in WORKING[1:]]


def test_the_ledger_adds_up_from_the_file_to_the_shards(finished):
    ledger = flow.read_json(finished.run.directory / "ledger.json")
    arrows = ledger["ingest"]["arrows"]
    assert arrows[0]["bytes_in"] == (finished.home / "story.txt").stat().st_size
    for arrow in arrows:
        for unit in ("bytes", "items"):
            assert arrow[f"{unit}_in"] + sum(c[unit] for c in arrow["changes"]) == arrow[f"{unit}_out"], arrow
    for before, after in itertools.pairwise(arrows):
        assert before["bytes_out"] == after["bytes_in"]
    stages = load_run_manifest(finished.run.directory).stages
    splits = stages["prepare"].facts["splits"]
    assert arrows[-1]["bytes_out"] == sum(split["bytes"] for split in splits.values())
    assert arrows[-1]["items_out"] == sum(split["documents"] for split in splits.values())
    # Each token but the very first is predicted once an epoch.
    assert stages["train"].facts["tokens"] == 2 * (splits["train"]["tokens"] - 1)


def test_the_evaluation_measured_the_model_that_is_served(finished):
    record = load_run_manifest(finished.run.directory).stages["evaluate"]
    best = flow.read_json(finished.run.directory / "best" / "manifest.json")
    report = flow.read_json(finished.run.directory / "eval" / "manifest.json")
    assert record.facts["model"] == "best"
    assert finished.run.checkpoint.name == "best"
    assert report["parents"]["checkpoint"] == best["digest"]
    # Training's own best validation loss and the evaluation's agree: same weights, same rows, same sum.
    assert record.facts["validation"]["loss"] == pytest.approx(best["facts"]["validation_loss"], rel=1e-4)
    history = flow.read_json(finished.run.directory / "training_metrics.json")["epoch_history"]
    results = load_status(finished.run.directory).validation_results
    assert results is not None
    assert results.final_val_loss == history[-1]["validation_loss"]


def test_transformers_loads_the_model_with_the_same_logits(finished):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    final = finished.run.directory / "final"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(final).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(final)
    from loquela.models.folder import load_model
    from loquela.tokenizers.load import load_tokenizer

    text = "the fox walked to the house, cerca del río"
    ids = load_tokenizer(final).encode(text)
    assert tokenizer.encode(text, add_special_tokens=False) == ids
    tokens = torch.tensor([ids[:32]])
    with torch.no_grad():
        ours = load_model(final).eval()(tokens)
        np.testing.assert_allclose(theirs(tokens).logits.numpy(), ours.numpy(), atol=2e-5)


def test_the_last_checkpoint_is_the_final_model(finished):
    run = finished.run.directory
    final, last = open_engine(run / "final"), open_engine(list_checkpoints(run)[0])
    request = GenerateRequest(prompt_text="the fox", max_new_tokens=8, temperature=0)
    assert last.generate(request) == final.generate(request)


def test_a_second_run_makes_no_data_anew_and_says_so(finished, tmp_path, monkeypatch):
    home = tmp_path / "copy"
    shutil.copytree(finished.home, home)
    monkeypatch.chdir(home)
    seen: list[Event] = []
    again = loquela.run("tiny.yaml", until="train", quiet=True, listeners=[seen.append])
    assert again.directory.name != finished.run.id
    assert reused(again.directory) == {"ingest": True, "tokenizer": True, "prepare": True, "train": False}
    assert flow.weights(again.directory) == flow.weights(finished.run.directory)
    said = [event.data["summary"] for event in seen if event.name == "pipeline.stage_completed.v1"]
    assert said[:3] == ["unchanged since it was made, not run again"] * 3
    # Other training settings: the same artifacts, another model.
    other = loquela.run("tiny.yaml", {"train.learning_rate": 0.001, "train.epochs": 1}, until="train", quiet=True)
    assert reused(other.directory) == {"ingest": True, "tokenizer": True, "prepare": True, "train": False}
    assert flow.weights(other.directory) != flow.weights(again.directory)


def test_auto_on_a_finished_run_reuses_everything(finished, tmp_path, monkeypatch, here):
    home = tmp_path / "copy"
    shutil.copytree(finished.home, home)
    monkeypatch.chdir(home)
    # A longer timeout changes nothing that was made.
    same = here("run", "tiny.yaml", "--resume", "auto", "--set", "data.timeout_seconds=77")
    assert same.code == 0, same.err
    assert same.err.count("unchanged since it was made, not run again") == 5
    assert [path.name for path in flow.runs(home)] == [finished.run.id]
    run = home / "data" / "runs" / finished.run.id
    assert all(reused(run).values())
    assert load_status(run).current_phase is Phase.COMPLETE
    assert flow.weights(run) == flow.weights(finished.run.directory)
    # `train` on it leaves it complete; another recipe is another run.
    assert here("train", "tiny.yaml", "--resume", "auto", "-q").code == 0
    assert load_status(run).current_phase is Phase.COMPLETE
    assert here("train", "tiny.yaml", "--resume", "auto", "-q", "--set", "train.epochs=1").code == 0
    assert len(flow.runs(home)) == 2


def test_the_saved_recipe_makes_the_same_weights(finished, tmp_path, monkeypatch):
    home = flow.make_home(tmp_path / "elsewhere")
    shutil.copyfile(finished.run.directory / "recipe.yaml", home / "saved.yaml")
    monkeypatch.chdir(home)
    again = loquela.run("saved.yaml", until="train", quiet=True)
    assert flow.weights(again.directory) == flow.weights(finished.run.directory)
    assert again.manifest.recipe == finished.run.manifest.recipe


def test_train_then_evaluate_go_on_in_one_run(home, here):
    assert here("train", "tiny.yaml", "-q").code == 0
    (run,) = flow.runs(home)
    assert load_status(run).current_phase is Phase.MODEL_TRAINING
    assert load_status(run).message == "stopped after train, as asked"
    assert here("evaluate", "tiny.yaml", "-q").code == 0
    assert flow.runs(home) == [run]
    assert load_status(run).current_phase is Phase.COMPLETE
    assert reused(run) == {"ingest": True, "tokenizer": True, "prepare": True, "train": True, "evaluate": False}


def test_stories_as_a_program(tmp_path):
    """Once as a user would: a process of its own, the built-in text, JSON out."""
    home = flow.make_home(tmp_path / "stories", data={"sources": ["builtin:stories"], "stories": 20})
    done = flow.program(home, "train", "tiny.yaml", "--json", "--set", "tokenizer.method=char")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert record["status"]["current_phase"] == "model_training"
    assert record["manifest"]["stages"]["tokenizer"]["facts"]["method"] == "char"
    assert verify_run(home / record["directory"]).passed
