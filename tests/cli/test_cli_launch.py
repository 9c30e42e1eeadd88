"""loquela launch: the task, what is sent, and the way back, with commands that stand in for SkyPilot and ssh."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from loquela.cli.main import answer
from loquela.compute.cloud import submit
from loquela.compute.cloud.bucket import copy_results
from loquela.compute.cloud.done import Done, list_results, read_done
from loquela.core.errors import ResourceError

# What SkyPilot 0.14 takes in a task and its resources, as far as we write it.
TASK_KEYS = {
    "name": str,
    "workdir": str,
    "num_nodes": int,
    "resources": dict,
    "secrets": dict,
    "setup": str,
    "run": str,
}
RESOURCE_KEYS = {
    "infra": str, "accelerators": dict, "disk_size": int, "use_spot": bool, "autostop": dict, "image_id": str,
}  # fmt: skip

# A machine in a folder: `launch` copies workdir there and runs what the task says; `down` removes nothing but notes it.
SKY = """#!{python}
import os, pathlib, shutil, subprocess, sys, time, yaml
pod = pathlib.Path({pod!r})
if sys.argv[1] == "down":
    (pod / "downed").write_text(sys.argv[-1])
    sys.exit(0)
task = yaml.safe_load(open(sys.argv[-1]))
names = [sys.argv[at + 1] for at, part in enumerate(sys.argv) if part == "--secret"]
assert sorted(names) == sorted(task.get("secrets", {{}})), names
shutil.copytree(task["workdir"], pod / "sky_workdir")
(pod / "secrets").write_text(",".join(name + "=" + os.environ[name] for name in names))
settings = pod / "sky_workdir" / "guard.json"
text = settings.read_text()
text = text.replace("exec $HOME/loquela-venv/bin/loquela run recipe.yaml --resume auto --quiet", {run!r})
text = text.replace('"started": null', '"started": ' + str(time.time()))
settings.write_text(text.replace('"poll_seconds": 5.0', '"poll_seconds": 0.05'))
(pod / "sky_workdir" / "terminate.sh").write_text("touch " + str(pod / "terminated"))
subprocess.Popen([{python!r}, "-m", "loquela.compute.cloud.guard", "guard.json"], cwd=pod / "sky_workdir",
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
"""
SSH = """#!/bin/bash
cd {pod} && exec bash -c "${{@: -1}}"
"""
MAKES_A_RUN = "mkdir -p data/runs/bot-1 && echo weights > data/runs/bot-1/model.bin"


@pytest.fixture
def recipe(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": "p" * 300, "completion": "c" * 300}) + "\n" for _ in range(50)))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"name: bot\noutput_directory: {tmp_path / 'out'}\nfinetune: {{base: Qwen/Qwen3-4B, method: qlora}}\n"
        f"examples: {{sources: [{rows}]}}\ncompute: {{cloud: {{max_cost_usd: 3}}}}\n"
    )
    return path


def stand_in(tmp_path, monkeypatch, run=MAKES_A_RUN):
    pod, commands = tmp_path / "pod", tmp_path / "bin"
    pod.mkdir()
    commands.mkdir()
    for name, text in (
        ("sky", SKY.format(python=sys.executable, pod=str(pod), run=run)),
        ("ssh", SSH.format(pod=pod)),
    ):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755 | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.delenv("LOQUELA_SKY", raising=False)
    monkeypatch.setattr(submit, "POLL_SECONDS", 0.1)
    return pod


def made(tmp_path):
    (folder,) = (tmp_path / "out" / "launches").iterdir()
    return folder, yaml.safe_load((folder / "task.yaml").read_text())


def test_dry_run_writes_a_task_that_sky_takes(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    assert answer(["launch", str(recipe), "--dry-run"]) == 0
    folder, task = made(tmp_path)
    assert all(isinstance(value, TASK_KEYS[key]) for key, value in task.items())
    assert all(isinstance(value, RESOURCE_KEYS[key]) for key, value in task["resources"].items())
    assert task["resources"]["autostop"] == {"idle_minutes": 10, "down": True}
    assert task["secrets"] == {"HF_TOKEN": None}
    (gpu,) = task["resources"]["accelerators"]
    guard = json.loads((folder / "work" / "guard.json").read_text())
    price = json.loads((folder / "launch.json").read_text())["machine"]["usd_per_hour"]
    assert f"sleep {int(3 / price * 3600)}; bash terminate.sh" in task["setup"]
    assert (guard["usd_per_hour"], guard["max_cost_usd"], guard["terminate"]) == (price, 3, ["bash", "terminate.sh"])
    assert "runpodctl remove pod" in (folder / "work" / "terminate.sh").read_text()
    sent = yaml.safe_load((folder / "work" / "recipe.yaml").read_text())
    assert sent["examples"]["sources"] == ["inputs/0/rows.jsonl"]
    assert sent["output_directory"] == "data"
    assert (folder / "work" / "inputs" / "0" / "rows.jsonl").read_bytes() == (tmp_path / "rows.jsonl").read_bytes()
    everything = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    shown = capsys.readouterr().out
    assert "hf_very_secret" not in everything + shown
    assert gpu in shown and "nothing was rented" in shown


def test_a_launch_brings_the_results_home_before_it_lets_go(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    pod = stand_in(tmp_path, monkeypatch)
    assert answer(["launch", str(recipe)]) == 0
    shown = capsys.readouterr().out
    assert (tmp_path / "out" / "runs" / "bot-1" / "model.bin").read_text() == "weights\n"
    assert "completed" in shown and "1 files proven, the machine is released" in shown
    assert (pod / "secrets").read_text() == "HF_TOKEN=hf_x"
    assert (pod / "downed").read_text().startswith("loquela-bot-")
    assert (pod / "sky_workdir" / "guard" / "RELEASED").exists()


def test_what_arrives_changed_keeps_the_machine(recipe, tmp_path, monkeypatch, capsys):
    pod = stand_in(tmp_path, monkeypatch)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert answer(["launch", str(recipe), "--detach"]) == 0
    submit.wait_for_done(made(tmp_path)[0].name, 0.1)
    (pod / "sky_workdir" / "data" / "runs" / "bot-1" / "model.bin").write_text("other")
    assert answer(["launch", str(recipe), "--collect", "latest"]) == 3
    assert "model.bin is not what was sent" in capsys.readouterr().err
    assert not (pod / "downed").exists()
    assert not (tmp_path / "out" / "runs").exists()
    (pod / "sky_workdir" / "data" / "runs" / "bot-1" / "model.bin").write_text("weights\n")
    assert answer(["launch", str(recipe), "--collect", "latest"]) == 0
    assert (pod / "downed").exists()


def test_what_cannot_be_launched_says_why(recipe, tmp_path, monkeypatch, capsys):
    def refused(*settings):
        arguments = [part for setting in settings for part in ("--set", setting)]
        code = answer(["launch", str(recipe), "--dry-run", *arguments])
        return code, capsys.readouterr().err

    code, said = refused("compute.cloud.max_cost_usd=0.01")
    assert code == 2 and "the run would be stopped before its end" in said
    code, said = refused("compute.cloud.gpu=L44")
    assert code == 2 and "no such GPU type 'L44'; did you mean 'L4" in said
    code, said = refused("finetune.base=mistralai/Mixtral-8x7B-Instruct-v0.1", "finetune.method=full")
    assert code == 2 and "none of the known types fits" in said
    code, said = refused("examples.sources=[gone.jsonl]")
    assert code == 2 and "nothing on this machine that could be sent" in said
    code, said = refused("compute.cloud.gpu=B200", "compute.cloud.max_cost_usd=1", "compute.cloud.save_minutes=120")
    assert code == 2 and "are kept back for saving" in said
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("LOQUELA_SKY", raising=False)
    assert answer(["launch", str(recipe)]) == 4
    assert "renting a machine needs SkyPilot" in capsys.readouterr().err
    assert answer(["launch", str(recipe), "--collect", "none-such"]) == 2
    assert "no launch 'none-such'" in capsys.readouterr().err


def test_a_recipe_without_cloud_is_told_what_to_write(tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: x\n")
    assert answer(["launch", str(path), "--dry-run"]) == 2
    assert "write compute: {cloud:" in capsys.readouterr().err


def test_a_training_from_scratch_names_its_gpu(tmp_path, capsys):
    (tmp_path / "story.txt").write_text("The fox walked. " * 1000)
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"name: x\noutput_directory: {tmp_path / 'out'}\ndata: {{sources: [{tmp_path / 'story.txt'}]}}\n"
        "compute: {cloud: {max_cost_usd: 3}}\n"
    )
    assert answer(["launch", str(path), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "compute.cloud.gpu is auto, and only fine-tunings are planned for GPU types" in said
    assert not (tmp_path / "out").exists()
    assert answer(["launch", str(path), "--dry-run", "--set", "compute.cloud.gpu=L40S"]) == 0


@pytest.mark.slow
def test_skypilot_itself_takes_the_task(recipe, tmp_path, monkeypatch):
    """SkyPilot lives in an environment of its own: LOQUELA_SKY_PYTHON names its interpreter."""
    python = os.environ.get("LOQUELA_SKY_PYTHON", "")
    if not Path(python).is_file():
        pytest.skip("LOQUELA_SKY_PYTHON names no interpreter with SkyPilot")
    monkeypatch.setenv("HF_TOKEN", "x")
    for extra in ([], ["--set", "compute.cloud.image=runpod/pytorch:2.8.0", "--set", "compute.cloud.spot=true"]):
        assert answer(["launch", str(recipe), "--dry-run", *extra]) == 0
    program = "import sky, sys; print(sky.Task.from_yaml(sys.argv[1]).resources)"
    for folder in (tmp_path / "out" / "launches").iterdir():
        command = [python, "-c", program, "task.yaml"]
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
        assert "RunPod" in said
        broken = (folder / "task.yaml").read_text().replace("disk_size", "disk_sise")
        (folder / "task.yaml").write_text(broken)
        assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def test_what_sky_refuses_is_told(tmp_path):
    broken = tmp_path / "sky"
    broken.write_text("#!/bin/bash\necho no cloud is enabled\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ResourceError, match="SkyPilot could not start loquela-x: no cloud is enabled"):
        submit.submit(str(broken), tmp_path / "task.yaml", "loquela-x", [])


def test_a_machine_that_cannot_be_given_back_is_told(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch)
    (tmp_path / "pod" / "sky_workdir" / "guard").mkdir(parents=True)
    (tmp_path / "bin" / "sky").write_text("#!/bin/bash\necho no such cluster\nexit 1\n")
    with pytest.raises(ResourceError, match="SkyPilot could not give loquela-x back: no such cluster"):
        submit.release(str(tmp_path / "bin" / "sky"), "loquela-x")


def test_results_are_proven_in_the_bucket(tmp_path, monkeypatch):
    pytest.importorskip("obstore")
    folder, bucket = tmp_path / "runs", tmp_path / "bucket"
    folder.mkdir()
    bucket.mkdir()
    (folder / "model.bin").write_bytes(b"weights")
    done = Done(
        outcome="completed", exit_code=0, message="", seconds=1, cost_usd=0, files=list_results(folder)
    )  # fmt: skip
    copy_results(folder, done, f"file://{bucket}")
    assert (bucket / "model.bin").read_bytes() == b"weights"
    assert read_done((bucket / "DONE.json").read_text()).files == done.files
    with pytest.raises(ResourceError, match="results cannot be copied to file:///nowhere"):
        copy_results(folder, done, "file:///nowhere/at/all")
    wrong = {"model.bin": done.files["model.bin"].model_copy(update={"sha256": "0" * 64})}
    with pytest.raises(ResourceError, match="model.bin is not what was written"):
        copy_results(folder, done.model_copy(update={"files": wrong}), f"file://{bucket}")
