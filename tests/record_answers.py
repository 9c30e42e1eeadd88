"""What a real service answers, as examples of GET /openapi.json: `python tests/record_answers.py`.

A service of its own with a tiny model, a fine-tuning, an export, a check, an alert; everything is asked for once. Long
lists and texts are shortened, this machine's name and the data folder are left out.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

import httpx
import yaml

from channel_servers import HttpServer
from loquela.core.atomic import write_text
from loquela.service.described import ANSWERS
from served import Served
from toy_bases import copied_base
from waiting import until
from worker_runs import recipe

LONGEST_TEXT, LONGEST_LIST, LARGEST_FREE = 240, 2, 6
# What holds anything at all is shortened too.
FREE = ("recipe", "plan", "derived", "result", "statistics", "facts", "progress", "details")
ANYTHING = "/diff/{other_id}"
ROWS = [
    ("name", "Mia"),
    ("colour", "green"),
    ("animal", "fox"),
    ("town", "Riverside"),
    ("drink", "tea"),
    ("month", "May"),
]
TUNING = {
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
LOAD = {"requests": 4, "repeats": 1, "new_tokens": 4, "overlong_prompts": "cut"}
ALERTS = """allow_private_addresses = true
[[channels]]
name = "team"
kind = "webhook"
url = "{url}"
credential = "team"
[rules.disk_low]
free_gb = 1000000
"""


class Recorder:
    """Asks, and keeps what was answered under the name of the operation."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.answers: dict[str, dict[str, object]] = {}
        self.errors: dict[str, object] = {}

    def ask(self, method: str, path: str, operation: str | None = None, **asked: object) -> object:
        answer = self.served.client.request(method, path, timeout=120, **asked)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        body = answer.json() if answer.headers["content-type"] == "application/json" else answer.text
        self.keep(f"{method} {operation or path}", answer.status_code, body)
        return body

    def refused(self, method: str, path: str, headers: dict[str, str] | None = None, **asked: object) -> None:
        answer = self.served.client.request(method, path, headers=headers, **asked)
        assert not answer.is_success
        self.errors.setdefault(str(answer.status_code), shortened(answer.json()))

    def frames(self, method: str, path: str, operation: str, most: int = 3, **asked: object) -> None:
        """The first of a stream."""
        lines: list[str] = []
        with self.served.client.stream(method, path, **asked) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                if lines.count("") > most:
                    break
        self.keep(f"{method} {operation}", answer.status_code, "\n".join(lines) + "\n")

    def keep(self, operation: str, status: int, body: object) -> None:
        self.answers.setdefault(operation, {})[str(status)] = shortened(body, operation.endswith(ANYTHING))

    def write(self, place: Path) -> None:
        text = json.dumps({"answers": dict(sorted(self.answers.items())), "errors": self.errors}, indent=1)
        text = (
            text.replace(f"user:{getpass.getuser()}", "user:me")
            .replace(socket.gethostname(), "machine")
            .replace(json.dumps(str(self.served.data))[1:-1], "<data>")
        )
        write_text(place, text + "\n")


def shortened(value: object, free: bool = False) -> object:
    """The same with less in it; what has fields of a schema keeps them all."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT or "\nevent: " in value else value[: LONGEST_TEXT - 1] + "…"
    if isinstance(value, list):
        return [shortened(each, free) for each in value[:LONGEST_LIST]]
    if isinstance(value, dict):
        kept = list(value.items())[: LARGEST_FREE if free else None]
        return {name: shortened(each, free or name in FREE) for name, each in kept}
    return value


def of_runs(to: Recorder) -> str:
    """A run from its plan to a chat with its model; the run's id."""
    made = recipe(to.served.data / "corpus")
    made["data"]["sources"] = ["story.txt"]
    to.ask("POST", "/runs/validate", json={"recipe": made})
    to.ask("POST", "/runs/plan", json={"recipe": made})
    run = to.ask("POST", "/runs/train", json={"recipe": made, "labels": {"for": "the examples"}})["run_id"]
    of = "/runs/{run_id}"
    for verb in ("pause", "resume", "cancel", "resume"):
        to.ask("POST", f"/runs/{run}/{verb}", f"{of}/{verb}")
        to.served.until(run, lambda view: view["state"] not in ("pausing", "cancelling"))
    to.served.until(run, lambda view: view["state"] == "succeeded", 240)
    to.ask("GET", f"/runs/{run}", of)
    to.ask("GET", "/runs", params={"limit": 1})
    for part in ("events", "logs", "metrics/names"):
        to.ask("GET", f"/runs/{run}/{part}", f"{of}/{part}")
    to.ask("GET", f"/runs/{run}/metrics", f"{of}/metrics", params={"name": "loss", "most": 4})
    to.frames("GET", f"/runs/{run}/events/stream", f"{of}/events/stream")
    to.frames("GET", f"/runs/{run}/logs/stream", f"{of}/logs/stream")
    to.ask("GET", "/events", params={"limit": 2})
    to.frames("GET", "/events/stream", "/events/stream")
    return run


def of_models(to: Recorder, run: str) -> None:
    """Text and measures, natively and in OpenAI's format."""
    of = "/runs/{run_id}"
    text = {"prompt_text": "The fox", "max_new_tokens": 8, "temperature": 0}
    for verb, asked in (("generate", text), ("score", {"text": "The fox walked", "top_k": 2})):
        wanted = to.ask("POST", f"/runs/{run}/{verb}", f"{of}/{verb}", json=asked)["request_id"]
        path = f"/runs/{run}/{verb}/{wanted}"
        until(lambda path=path: to.served.get(path)["status"] == "succeeded")
        to.ask("GET", path, of + "/" + verb + "/{request_id}")
    talk = {"messages": [{"role": "user", "content": "The fox"}], "max_new_tokens": 8, "temperature": 0}
    to.ask("POST", f"/runs/{run}/chat", f"{of}/chat", json=talk)
    to.frames("POST", f"/runs/{run}/chat/stream", f"{of}/chat/stream", json=talk)
    to.ask("GET", "/v1/models")
    to.ask("GET", f"/v1/models/{run}", "/v1/models/{name}")
    ours = {"model": run, "max_tokens": 8, "temperature": 0}
    to.ask("POST", "/v1/completions", json={**ours, "prompt": "The fox"})
    to.ask("POST", "/v1/chat/completions", json={**ours, "messages": talk["messages"]})


def of_jobs(to: Recorder, run: str) -> None:
    """What is done with a run that is there."""
    of = "/runs/{run_id}"

    def done(part: str, asked: dict[str, object]) -> str:
        made = to.ask("POST", f"/runs/{run}/{part}", f"{of}/{part}", json=asked)
        until(lambda: to.served.get(f"/jobs/{made['job_id']}")["state"] in ("succeeded", "failed"))
        ended = to.served.get(f"/jobs/{made['job_id']}")
        assert ended["state"] == "succeeded", ended["error"]
        return made["job_id"]

    evaluation = done("evaluate", {"split": "validation"})
    to.ask("GET", f"/runs/{run}/eval", f"{of}/eval")
    to.ask("GET", f"/runs/{run}/eval/{evaluation}", of + "/eval/{job_id}")
    done("exports", {"format": "onnx"})
    export = to.ask("GET", f"/runs/{run}/exports", f"{of}/exports")["exports"][0]["name"]
    done("deploy-checks", {"export": export, "requirements": {"max_latency_ms": 60_000, "load": LOAD}})
    to.ask("GET", f"/runs/{run}/deploy-checks", f"{of}/deploy-checks")
    done("promotions", {"export": export})
    to.ask("GET", f"/runs/{run}/promotions", f"{of}/promotions")
    to.ask("GET", f"/jobs/{done('verify', {})}", "/jobs/{job_id}")
    to.ask("GET", "/jobs", params={"limit": 1})
    to.ask("GET", f"/jobs/{evaluation}/events", "/jobs/{job_id}/events")
    to.frames("GET", f"/jobs/{evaluation}/events/stream", "/jobs/{job_id}/events/stream")
    until(lambda: to.served.get(f"/runs/{run}/artifacts")["artifacts"])
    to.ask("GET", f"/runs/{run}/artifacts", f"{of}/artifacts")
    to.ask("GET", "/artifacts", params={"limit": 1})


def of_tokenizers(to: Recorder) -> None:
    made = to.ask("POST", "/tokenizers/train", json={"method": "bpe", "vocab_size": 300, "corpus": ["story.txt"]})
    name = made["tokenizer_id"]
    for verb in ("cancel", "resume"):
        to.ask("POST", f"/jobs/{name}/{verb}", "/jobs/{job_id}/" + verb)
        until(lambda: to.served.get(f"/jobs/{name}")["state"] not in ("pausing", "cancelling"))
    until(lambda: to.served.get(f"/tokenizers/{name}")["status"] == "succeeded")
    to.ask("GET", f"/tokenizers/{name}", "/tokenizers/{tokenizer_id}")
    to.ask("GET", "/tokenizers", params={"limit": 1})


def of_tuning(to: Recorder, run: str) -> None:
    """A fine-tuning in OpenAI's format, and the merge of its adapter."""
    rows = [
        {"messages": [{"role": "user", "content": f"What is the {what}?"}, {"role": "assistant", "content": said}]}
        for what, said in ROWS
    ]
    upload = {"file": ("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())}
    file = to.ask("POST", "/v1/files", files=upload, data={"purpose": "fine-tune"})["id"]
    to.ask("GET", "/v1/files")
    to.ask("GET", f"/v1/files/{file}", "/v1/files/{file_id}")
    asked = {"model": "tiny", "training_file": file, "suffix": "facts"}
    of = "/v1/fine_tuning/jobs"
    job = to.ask("POST", of, json=asked)["id"]
    for verb in ("pause", "resume", "cancel", "resume"):
        to.ask("POST", f"{of}/{job}/{verb}", of + "/{job_id}/" + verb)
        to.served.until(job, lambda view: view["state"] not in ("pausing", "cancelling"))
    to.served.until(job, lambda view: view["state"] == "succeeded", 400)
    to.ask("GET", of)
    for part in ("", "/events", "/checkpoints"):
        to.ask("GET", f"{of}/{job}{part}", of + "/{job_id}" + part)
    to.ask("GET", f"/runs/{run}/diff/{job}", "/runs/{run_id}/diff/{other_id}")
    to.ask("POST", f"/runs/{job}/merge", "/runs/{run_id}/merge", json={})
    to.ask("DELETE", f"/v1/files/{file}", "/v1/files/{file_id}")


def of_the_service(to: Recorder, server: HttpServer) -> None:
    """Alerts, the audit log, keys and sessions."""
    to.ask("GET", "/healthz")
    to.ask("GET", "/readyz")
    to.ask("GET", "/me")
    until(lambda: to.served.get("/alerts")["alerts"])
    to.ask("GET", "/alerts")
    to.ask("POST", "/alerts/test", json={"channel": "team"})
    until(lambda: len(server.got) >= 2)
    until(lambda: to.served.get("/alerts/deliveries")["deliveries"][0]["state"] == "sent")
    to.ask("GET", "/alerts/deliveries", params={"limit": 1})
    to.ask("GET", "/audit", params={"limit": 2})
    with httpx.Client(headers={"origin": to.served.address}) as browser:
        entered = browser.get(to.served.login_link).raise_for_status()
        to.keep("GET /login", 200, entered.json())
        to.keep("POST /logout", 200, browser.post(f"{to.served.address}/logout").raise_for_status().json())


def of_refusals(to: Recorder, run: str) -> None:
    to.refused("GET", "/me", {"Authorization": "Bearer nobody"})
    to.refused("GET", "/me", {"Host": "elsewhere.example.org"})
    to.refused("GET", "/runs/no-such-run")
    to.refused("POST", f"/runs/{run}/resume")
    to.refused("POST", "/runs/train", json={"recipy": {}})
    for _ in range(40):
        if "429" in to.errors:
            break
        answer = to.served.client.get("/me", headers={"Authorization": "Bearer nobody"})
        if answer.status_code == 429:
            to.errors["429"] = shortened(answer.json())


def record(home: Path) -> None:
    """Ask everything of a service below `home`."""
    (home / "start.yaml").write_text(yaml.safe_dump(TUNING))
    server = HttpServer()
    os.environ["LOQUELA_CREDENTIAL_TEAM"] = "a secret of the examples"
    data = home / "my data"
    data.mkdir(mode=0o700)
    (data / "alerts.toml").write_text(ALERTS.format(url=server.url))
    served = Served(home, LOQUELA_FINE_TUNING_RECIPE=str(home / "start.yaml"))
    try:
        copied_base(served.data / "corpus" / "bases" / "tiny")
        lines = [f"The fox number {n} walked to the house and dreamt of the sea, {n * 7} times.\n" for n in range(900)]
        (served.data / "corpus" / "story.txt").write_text("".join(lines))
        recorder = Recorder(served)
        run = of_runs(recorder)
        of_models(recorder, run)
        of_jobs(recorder, run)
        of_tokenizers(recorder)
        of_tuning(recorder, run)
        of_the_service(recorder, server)
        of_refusals(recorder, run)
        recorder.write(ANSWERS)
    finally:
        served.stop()
        server.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="loquela-answers-") as folder:
        record(Path(folder))
    sys.stdout.write(f"wrote {ANSWERS}\n")
