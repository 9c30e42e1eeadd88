"""Kills processes of a running service at random moments and proves what is left: `python benchmarks/crash.py`.

Trainer, worker and API of `loquela serve`, and in the second half PostgreSQL and Valkey too, are killed with SIGKILL
while runs are trained: one at a time, two, or all at once as when the power fails. What must hold:

    no run is trained by two processes at once; no acknowledged row is lost; no step is kept twice;
    less work is lost than one checkpoint interval; the final weights are bit by bit those of an undisturbed run.

Prints a summary, and writes it with `--json FILE`. Bounded: at most `--kills` kills and `--minutes` minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from crash_service import OWN_PARTS, Service, Witness
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
# How often one part dies alone, two together, all at once.
AT_ONCE = (1, 1, 1, 2, 2, 9)
PATIENCE_SECONDS = 180
MOST_LOOKED_AT = 500


@dataclass
class Tally:
    kills: dict[str, int] = field(default_factory=dict)
    recovery_seconds: list[float] = field(default_factory=list)
    slowest: list[tuple[float, list[str]]] = field(default_factory=list)
    lost_steps: list[int] = field(default_factory=list)
    rows_acknowledged: int = 0
    rows_lost: int = 0
    runs: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def kills_total(self) -> int:
        return sum(self.kills.values())


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


def over(view: dict) -> bool:
    return view["state"] in ("succeeded", "failed")


def gone_on(before: dict, *, again: bool):
    """Whether new steps were made since, by a trainer that was started after the kill where one of ours was hit."""
    return lambda view: (
        over(view) or (step_of(view) > step_of(before) and (view["attempt"] > before["attempt"] or not again))
    )


def holders_of(data: Path, run: str) -> int:
    """How many processes of this machine have the run's lock open and held now."""
    lock = data / "runs" / run / "run.lock"
    if not lock.exists():
        return 0
    inode = lock.stat().st_ino
    held = [line for line in Path("/proc/locks").read_text().splitlines() if f":{inode} " in line and "->" not in line]
    return len(held)


def disturb(service: Service, run: str, chance: random.Random, tally: Tally, kills: int, until: float) -> bool:
    """Kill something until the run has ended or enough was killed; false when it came to a stop."""
    while time.monotonic() < until:
        view = service.get(f"/runs/{run}")
        if view["state"] == "succeeded" or tally.kills_total >= kills:
            return True
        if view["state"] == "failed":
            tally.faults.append(f"{run} failed: {view['reason']} {view['message']} {view['error']}")
            return False
        time.sleep(chance.uniform(0.0, 2.5))
        before = service.get(f"/runs/{run}")
        parts = chance.sample(service.parts, min(chance.choice(AT_ONCE), len(service.parts)))
        killed_at = time.monotonic()
        hit = service.kill(parts, chance)
        if not hit:
            continue
        for part in hit:
            tally.kills[part] = tally.kills.get(part, 0) + 1
        if holders_of(service.data, run) > 1:
            tally.faults.append(f"{run} was held by several processes at once")
        again = any(part in OWN_PARTS for part in hit)
        back = wait_for(service, run, gone_on(before, again=again), PATIENCE_SECONDS)
        if back is None:
            tally.faults.append(f"{run} did not go on within {PATIENCE_SECONDS} s after {hit} at {step_of(before)}")
            return False
        if not over(back):
            tally.recovery_seconds.append(time.monotonic() - killed_at)
            tally.slowest = sorted([*tally.slowest, (tally.recovery_seconds[-1], sorted(hit))], reverse=True)[:3]
    return True


def examine(service: Service, run: str, straight: str, tally: Tally) -> None:
    """What the run's own files and the service's rows say, against each other and against the undisturbed run."""
    folder = service.data / "runs" / run
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()
             if "loss" in json.loads(line)]  # fmt: skip
    if steps != list(range(1, len(steps) + 1)):
        tally.faults.append(f"{run} kept a step twice, or lost one")
    told = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    last = 0
    for event in told:
        if event["name"] == "training_orchestrator.resumed.v1":
            tally.lost_steps.append(max(0, last - event["data"]["step"]))
        elif event["name"] == "trainer.metrics.progress.v1":
            last = event["data"]["step"]
    seen, after = [], 0
    while True:
        page = service.get(f"/runs/{run}/events?after={after}&limit={MOST_LOOKED_AT}")
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


def bench(home: Path, tally: Tally, *, servers: bool, kills: int, until: float, seed: int) -> None:
    """One half: runs are made and disturbed until `kills` in all."""
    home.mkdir()
    chance, service = random.Random(seed), Service(home, servers=servers)
    lines = [f"The fox number {n} walked to the house and dreamt of the sea, {n * 7} times.\n" for n in range(200)]
    (service.data / "corpus" / "story.txt").write_text("".join(lines))
    try:
        straight_run = service.submit(RECIPE)
        if wait_for(service, straight_run, over, PATIENCE_SECONDS)["state"] != "succeeded":
            raise SystemExit("the undisturbed run did not succeed")
        straight = weights_digest(service.data, straight_run)
        witness = Witness(service)
        while tally.kills_total < kills and time.monotonic() < until and not tally.faults:
            run = service.submit(RECIPE)
            tally.runs += 1
            if not disturb(service, run, chance, tally, kills, until):
                break
            ended = wait_for(service, run, over, PATIENCE_SECONDS)
            if ended is None or ended["state"] != "succeeded":
                tally.faults.append(f"{run} did not succeed: {ended}")
                break
            examine(service, run, straight, tally)
            say(tally)
        tally.rows_lost += len(witness.lost())
        tally.rows_acknowledged += len(witness.acknowledged)
    finally:
        service.stop()


def say(tally: Tally) -> None:
    sys.stderr.write(f"{tally.kills_total} kills, {tally.runs} runs, {len(tally.faults)} faults\n")


def summary(tally: Tally, seconds: float, seed: int) -> dict:
    recovery = sorted(tally.recovery_seconds)
    return {
        "kills": tally.kills_total,
        "kills_of": tally.kills,
        "runs": tally.runs,
        "checkpoint_interval_steps": CHECKPOINT_EVERY,
        "lost_steps_max": max(tally.lost_steps, default=0),
        "rows_acknowledged": tally.rows_acknowledged,
        "rows_lost": tally.rows_lost,
        "recovery_seconds_p50": round(statistics.median(recovery), 2) if recovery else None,
        "recovery_seconds_p99": round(recovery[min(len(recovery) - 1, int(len(recovery) * 0.99))], 2)
        if recovery
        else None,
        "slowest": [{"seconds": round(took, 1), "after": parts} for took, parts in tally.slowest],
        "load_average": psutil.getloadavg()[0],
        "faults": tally.faults,
        "seconds": round(seconds, 1),
        "seed": seed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="without PostgreSQL and Valkey")
    parser.add_argument("--servers", action="store_true", help="only with PostgreSQL and Valkey")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    halves = [False] * (not chosen.servers) + [True] * (not chosen.alone)
    tally, began = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="loquela-crash-") as home:
        for number, servers in enumerate(halves, 1):
            share = number / len(halves)
            bench(
                Path(home) / f"half {number}", tally, servers=servers, kills=int(chosen.kills * share),
                until=began + chosen.minutes * 60 * share, seed=chosen.seed + number,
            )  # fmt: skip
    found = summary(tally, time.monotonic() - began, chosen.seed)
    text = json.dumps(found, indent=2)
    print(text)
    if chosen.json is not None:
        chosen.json.write_text(text + "\n")
    sys.exit(1 if tally.faults or tally.rows_lost or found["lost_steps_max"] > CHECKPOINT_EVERY else 0)


if __name__ == "__main__":
    main()
