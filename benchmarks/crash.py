"""Kills processes of a running service at random moments and proves what is left: `python benchmarks/crash.py`.

API, worker and trainer of `loquela serve` are killed with SIGKILL while runs are trained. What must hold:

    no run is trained by two processes at once; no acknowledged row is lost; no step is kept twice;
    less work is lost than one checkpoint interval; the final weights are bit by bit those of an undisturbed run.

Prints a summary, and writes it with `--json FILE`. Bounded: at most `--kills` kills and `--minutes` minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from safetensors.numpy import load_file

CHECKPOINT_EVERY = 20
RECIPE = {
    "name": "crash",
    "data": {"sources": ["story.txt"], "document_bytes": 256, "validation_fraction": 0.1, "corpus_size_mb": 1},
    "tokenizer": {"method": "bpe", "vocab_size": 300},
    "model": {"num_layers": 2, "d_model": 64, "num_heads": 2, "dim_feedforward": 128, "max_sequence_length": 64},
    "train": {
        "epochs": 100, "batch_size": 16, "checkpoint_every_steps": CHECKPOINT_EVERY, "learning_rate": 0.003,
        "log_every_steps": 1,
    },
    "evaluate": {"prompts": ["the fox"], "sample_tokens": 4, "metrics": ["perplexity"]},
    "compute": {"device": "cpu", "threads": 1, "linear_kernel": "torch", "compile": "off"},
}  # fmt: skip
TARGETS = ("trainer", "trainer", "worker", "api")


@dataclass
class Tally:
    kills: dict[str, int] = field(default_factory=dict)
    recovery_seconds: list[float] = field(default_factory=list)
    lost_steps: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Service:
    """`loquela serve`, started again whenever it was killed."""

    def __init__(self, home: Path) -> None:
        self.home, self.data = home, home / "data"
        self.client = httpx.Client(timeout=10)
        self.start()

    def start(self) -> None:
        # Its output goes nowhere: a full pipe would stop it.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loquela", "serve", "--data", str(self.data), "--port", "0"],
            cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "LOQUELA_BEAT_SECONDS": "0.3",
                 "LOQUELA_LEASE_SECONDS": "10"},
        )  # fmt: skip
        line = self.process.stdout.readline()
        while "listens on" not in line:
            line = self.process.stdout.readline()
        self.address = line.split()[3].rstrip(",")
        key = (self.data / "keys" / "owner.key").read_text().strip()
        self.client.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str) -> dict:
        """Asks until the service is there again."""
        while True:
            try:
                return self.client.get(self.address + path).raise_for_status().json()
            except httpx.HTTPError:
                time.sleep(0.1)

    def submit(self, recipe: dict) -> str:
        return self.client.post(self.address + "/runs/train", json={"recipe": recipe, "until": "train"}).json()[
            "run_id"
        ]

    def find(self, what: str) -> psutil.Process | None:
        """The process of that part, if there is one now."""
        try:
            server = psutil.Process(self.process.pid)
            if what == "api":
                return server
            workers = server.children()
            if what == "worker" or not workers:
                return workers[0] if workers else None
            trainers = workers[0].children()
            return trainers[0] if trainers else None
        except psutil.NoSuchProcess:
            return None

    def kill(self, what: str) -> bool:
        process = self.find(what)
        if process is None:
            return False
        process.kill()
        if what == "api":
            self.process.wait()
            self.process.stdout.close()
            self.start()
        return True

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)
        self.process.stdout.close()
        self.client.close()


def weights_digest(data: Path, run: str) -> str:
    tensors = load_file(data / "runs" / run / "final" / "model.safetensors")
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].tobytes())
    return digest.hexdigest()


def wait_for(service: Service, run: str, fits, seconds: float) -> dict | None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        view = service.get(f"/runs/{run}")
        if fits(view):
            return view
        time.sleep(0.05)
    return None


def step_of(view: dict) -> int:
    return view["progress"].get("step") or 0


def further_than(step: int):
    return lambda view: view["state"] == "succeeded" or step_of(view) > step


def trainers_of(data: Path, run: str) -> int:
    """How many processes of this machine work on the run now."""
    count = 0
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "loquela.worker.child" in line and str(data / "jobs" / run) in line:
            count += 1
    return count


def disturb(service: Service, run: str, chance: random.Random, tally: Tally, kills: int, until: float) -> bool:
    """Kill something until the run has ended or enough was killed; false when it came to a stop."""
    while time.monotonic() < until:
        view = service.get(f"/runs/{run}")
        if view["state"] == "succeeded" or sum(tally.kills.values()) >= kills:
            return True
        if view["state"] == "failed":
            tally.faults.append(f"{run} failed: {view['reason']} {view['message']}")
            return False
        time.sleep(chance.uniform(0.0, 2.5))
        what = chance.choice(TARGETS)
        before = step_of(service.get(f"/runs/{run}"))
        if not service.kill(what):
            continue
        killed_at = time.monotonic()
        tally.kills[what] = tally.kills.get(what, 0) + 1
        back = wait_for(service, run, further_than(before), seconds=120)
        if back is None:
            tally.faults.append(f"{run} did not go on within 120 s after the {what} was killed at step {before}")
            return False
        tally.recovery_seconds.append(time.monotonic() - killed_at)
        running = trainers_of(service.data, run)
        if running > 1:
            tally.faults.append(f"{run} was trained by {running} processes at once")
    return True


def examine(service: Service, run: str, straight: str, tally: Tally) -> None:
    """What the run's own files and the service's rows say, against each other and against the undisturbed run."""
    folder = service.data / "runs" / run
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()
             if "loss" in json.loads(line)]  # fmt: skip
    if steps != sorted(set(steps)):
        tally.faults.append(f"{run} kept a step twice")
    told = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    last = 0
    for event in told:
        if event["name"] == "training_orchestrator.resumed.v1":
            tally.lost_steps.append(max(0, last - event["data"]["step"]))
        elif event["name"] == "trainer.metrics.progress.v1":
            last = event["data"]["step"]
    seen, after = [], 0
    while True:
        page = service.get(f"/runs/{run}/events?after={after}&limit=500")
        if not page["events"]:
            break
        seen += [event["id"] for event in page["events"]]
        after = page["last_seq"]
    frequent = (".step_complete.v1", ".batch_loaded.v1", ".gradient_computed.v1", ".metrics_received.v1")
    wanted = {event["id"] for event in told if not event["name"].endswith(frequent)}
    if len(seen) != len(set(seen)) or wanted - set(seen):
        tally.faults.append(f"{run}: {len(wanted - set(seen))} events lost, {len(seen) - len(set(seen))} doubled")
    if weights_digest(service.data, run) != straight:
        tally.faults.append(f"{run} ended with other weights")


def bench(home: Path, kills: int, minutes: float, seed: int) -> dict:
    chance, tally = random.Random(seed), Tally()
    service = Service(home)
    lines = [f"The fox number {n} walked to the house and dreamt of the sea, {n * 7} times.\n" for n in range(200)]
    (service.data / "corpus" / "story.txt").write_text("".join(lines))
    began = time.monotonic()
    until = began + minutes * 60
    runs = 0
    try:
        straight_run = service.submit(RECIPE)
        done = wait_for(service, straight_run, lambda view: view["state"] == "succeeded", 180)
        if done is None:
            raise SystemExit("the undisturbed run did not end")
        straight = weights_digest(service.data, straight_run)
        while sum(tally.kills.values()) < kills and time.monotonic() < until and not tally.faults:
            run = service.submit(RECIPE)
            runs += 1
            if not disturb(service, run, chance, tally, kills, until):
                break
            if wait_for(service, run, lambda view: view["state"] == "succeeded", 180) is None:
                tally.faults.append(f"{run} did not end")
                break
            examine(service, run, straight, tally)
    finally:
        service.stop()
    return summary(tally, runs, time.monotonic() - began, seed)


def summary(tally: Tally, runs: int, seconds: float, seed: int) -> dict:
    recovery = sorted(tally.recovery_seconds)
    return {
        "kills": sum(tally.kills.values()),
        "kills_of": tally.kills,
        "runs": runs,
        "checkpoint_interval_steps": CHECKPOINT_EVERY,
        "lost_steps_max": max(tally.lost_steps, default=0),
        "recovery_seconds_p50": round(statistics.median(recovery), 2) if recovery else None,
        "recovery_seconds_p99": round(recovery[min(len(recovery) - 1, int(len(recovery) * 0.99))], 2)
        if recovery
        else None,
        "faults": tally.faults,
        "seconds": round(seconds, 1),
        "seed": seed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loquela-crash-") as home:
        found = bench(Path(home), chosen.kills, chosen.minutes, chosen.seed)
    text = json.dumps(found, indent=2)
    print(text)
    if chosen.json is not None:
        chosen.json.write_text(text + "\n")
    sys.exit(1 if found["faults"] or found["lost_steps_max"] > CHECKPOINT_EVERY else 0)


if __name__ == "__main__":
    main()
