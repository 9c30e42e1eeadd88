"""What the service answers while a run trains beside it, and what that costs: `python benchmarks/service.py`.

A data folder with 10 000 runs, one of them with a chart of a million points; `loquela serve` with one worker; a run
that trains on one thread. Then, one after another: requests one at a time for the state of a run, a page of the list,
a chart; readers of one event stream each, who are told of every event; and how fast the training steps while the
service works, while it is also asked 20 times a second (half of it states, two fifths lists, one tenth charts), and
while its processes stand still (SIGSTOP), in turns of a few seconds.

Prints a summary, and writes it with `--json FILE`. Bounded: about `--minutes` minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from sqlalchemy import insert

from loquela.jobs.database import Database, sqlite_url
from loquela.jobs.rollups import ROLLUP_STEPS
from loquela.jobs.schema import migrate
from loquela.jobs.tables import jobs, metric_points, metric_rollups

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from served import Served

RUNS, POINTS = 10_000, 1_000_000
BIG_RUN = "run-9999"
READERS = 50
TURN_SECONDS = 6.0
LOAD_PER_SECOND = 20
RECIPE = {
    "name": "beside",
    "data": {"sources": ["story.txt"], "document_bytes": 256, "validation_fraction": 0.1, "corpus_size_mb": 1},
    "tokenizer": {"method": "bpe", "vocab_size": 500},
    "model": {"num_layers": 2, "d_model": 128, "num_heads": 4, "dim_feedforward": 512, "max_sequence_length": 128},
    "train": {"epochs": 10_000, "batch_size": 8, "checkpoint_every_steps": 2000, "log_every_steps": 10},
    "compute": {"device": "cpu", "threads": 1, "linear_kernel": "torch", "compile": "off"},
}


def fill(data: Path) -> None:
    """10 000 finished runs, and a million points of the last one's loss with their extremes."""
    data.mkdir(parents=True)
    database = Database(sqlite_url(data / "service.db"))
    migrate(database)
    began = time.time()
    rows = [
        {
            "id": f"run-{n}", "kind": "run", "run_id": f"run-{n}", "spec": "{}", "spec_digest": "0" * 64,
            "state": "succeeded", "reason": "finished", "message": "It finished.", "attempt": 1,
            "created_at": began + n, "updated_at": began + n,
            "progress": json.dumps({"step": 1000, "loss": 2.5, "epoch": 3}),
        }
        for n in range(RUNS)
    ]  # fmt: skip
    chance = random.Random(1)
    with database.write() as connection:
        connection.execute(insert(jobs), rows)
    for start in range(0, POINTS, 100_000):
        points = [
            {"run_id": BIG_RUN, "key": "loss", "step": n, "at": began, "value": 3 + math.sin(n / 9e4) + chance.random()}
            for n in range(start, start + 100_000)
        ]
        with database.write() as connection:
            connection.execute(insert(metric_points), points)
            connection.execute(insert(metric_rollups), buckets(points))
    database.close()


def buckets(points: list[dict]) -> list[dict]:
    """The extremes of whole stretches; the last one of a part is left to the next, which begins there."""
    found = {}
    for point in points:
        found.setdefault(point["step"] // ROLLUP_STEPS, []).append((point["value"], point["step"]))
    made = []
    for bucket, values in found.items():
        if len(values) == ROLLUP_STEPS:
            low, high = min(values), max(values)
            made.append({"run_id": BIG_RUN, "key": "loss", "bucket": bucket, "points": len(values), "flags": 0,
                         "low": low[0], "low_step": low[1], "high": high[0], "high_step": high[1]})  # fmt: skip
    return made


def asked(client: httpx.Client, path: str, seconds: float) -> dict:
    """One request after the other."""
    times, until = [], time.monotonic() + seconds
    size = 0
    while time.monotonic() < until:
        began = time.monotonic()
        size = len(client.get(path).raise_for_status().content)
        times.append(time.monotonic() - began)
    return measured(times, seconds) | {"answer_bytes": size}


def measured(times: list[float], seconds: float) -> dict:
    ordered = sorted(times)
    return {
        "requests": len(times),
        "per_second": round(len(times) / seconds, 1),
        "p50_ms": round(statistics.median(ordered) * 1000, 2),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 2),
    }


def fan_out(served: Served, run: str, seconds: float) -> dict:
    """Readers of a stream each: how long after it was written down every one of them has an event."""
    late, lock, stop, listening = [], threading.Lock(), threading.Event(), threading.Barrier(READERS + 1)

    def read() -> None:
        headers = dict(served.client.headers) | {"Last-Event-ID": last}
        with httpx.stream("GET", f"{served.address}/runs/{run}/events/stream", headers=headers, timeout=30) as answer:
            listening.wait()
            for line in answer.iter_lines():
                if stop.is_set():
                    return
                if line.startswith("data: {"):
                    came, told = time.time(), json.loads(line[6:])
                    with lock:
                        late.append(came - told["at"])

    last = str(served.get(f"/runs/{run}/events?after=latest")["last_seq"])
    readers = [threading.Thread(target=read, daemon=True) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    listening.wait()
    with lock:
        late.clear()
    time.sleep(seconds)
    stop.set()
    for reader in readers:
        reader.join(timeout=30)
    return {"readers": READERS} | measured(late, seconds)


@contextmanager
def standing_still(processes: list[psutil.Process]):
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@contextmanager
def under_load(served: Served, run: str):
    """Steady requests of three kinds, whether the last one was answered or not."""
    stop = threading.Event()
    paths = (f"/runs/{run}", "/runs?limit=50", f"/runs/{BIG_RUN}/metrics?name=loss")

    def ask(offset: float) -> None:
        with httpx.Client(base_url=served.address, headers=served.client.headers, timeout=30) as client:
            stop.wait(offset)
            while not stop.is_set():
                began = time.monotonic()
                client.get(chance.choices(paths, (5, 4, 1))[0])
                stop.wait(max(0.0, 4 / LOAD_PER_SECOND - (time.monotonic() - began)))

    chance = random.Random(2)
    askers = [threading.Thread(target=ask, args=(n / LOAD_PER_SECOND,)) for n in range(4)]
    for asker in askers:
        asker.start()
    try:
        yield
    finally:
        stop.set()
        for asker in askers:
            asker.join()


def steps_written(folder: Path) -> tuple[int, float]:
    """The newest step in the run's own file, and when."""
    with (folder / "metrics.jsonl").open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4096))
        lines = [line for line in stream.read().split(b"\n")[:-1] if b'"loss"' in line]
    return json.loads(lines[-1])["step"], time.monotonic()


def speed(folder: Path, seconds: float) -> float:
    """Steps a second over a turn, between two moments at which a step was just written."""
    first = next_step(folder)
    time.sleep(seconds)
    last = next_step(folder)
    return (last[0] - first[0]) / (last[1] - first[1])


def next_step(folder: Path) -> tuple[int, float]:
    before = steps_written(folder)[0]
    while True:
        now = steps_written(folder)
        if now[0] != before:
            return now
        time.sleep(0.002)


def slowed(served: Served, run: str, turns: int) -> dict:
    """The training's speed with the service working, asked, and standing still; in turns, compared within each."""
    folder = served.data / "runs" / run
    server = psutil.Process(served.process.pid)
    ours = [server, *server.children()]
    found: dict[str, list[float]] = {"still": [], "idle": [], "asked": []}
    for _ in range(turns):
        with standing_still(ours):
            found["still"].append(speed(folder, TURN_SECONDS))
        time.sleep(1.0)
        found["idle"].append(speed(folder, TURN_SECONDS))
        with under_load(served, run):
            found["asked"].append(speed(folder, TURN_SECONDS))

    def percent(name: str) -> dict:
        each = [100 * (1 - with_it / without) for with_it, without in zip(found[name], found["still"], strict=True)]
        return {"percent": round(statistics.median(each), 2), "of_each_turn": [round(one, 2) for one in each]}

    return {
        "turns": turns,
        "steps_per_second_without": round(statistics.median(found["still"]), 2),
        "slowed_by_supervising": percent("idle"),
        f"slowed_when_asked_{LOAD_PER_SECOND}_times_a_second": percent("asked"),
    }


def bench(home: Path, minutes: float) -> dict:
    fill(home / "my data")
    unlimited = {f"LOQUELA_{kind}_PER_MINUTE": "0" for kind in ("READS", "WRITES")}
    served = Served(home, LOQUELA_MAX_STREAMS_PER_KEY="200", LOQUELA_MAX_STREAMS="200",
                    LOQUELA_BEAT_SECONDS="2.0", LOQUELA_ARCHIVE_RUNS="false", **unlimited)  # fmt: skip
    seconds = minutes * 60
    try:
        lines = [f"The fox number {n} walked to the house and dreamt of the sea, {n * 7} times.\n" for n in range(4000)]
        (served.data / "corpus" / "story.txt").write_text("".join(lines))
        run = served.client.post("/runs/train", json={"recipe": RECIPE}).raise_for_status().json()["run_id"]
        served.until(run, lambda view: view["progress"].get("step", 0) >= 100, 180)
        answers = {
            "status": asked(served.client, f"/runs/{run}", seconds / 12),
            f"list of {RUNS} runs, 50 a page": asked(served.client, "/runs?limit=50", seconds / 12),
            "list, a page in the middle": asked(served.client, f"/runs?limit=50&before={RUNS // 2}", seconds / 12),
            f"chart of {POINTS} points": asked(served.client, f"/runs/{BIG_RUN}/metrics?name=loss", seconds / 12),
        }
        streams = fan_out(served, run, seconds / 12)
        training = slowed(served, run, max(3, int(seconds * 0.55 / (3 * TURN_SECONDS))))
        memory = psutil.Process(served.process.pid).memory_info().rss
        served.client.post(f"/runs/{run}/cancel")
        served.until(run, lambda view: view["state"] == "cancelled", 60)
    finally:
        served.stop()
    return {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                    "load_average": round(os.getloadavg()[0], 2)},
        "answers_beside_a_training": answers,
        "event_streams": streams,
        "training": training,
        "api_rss_mb": round(memory / 1e6, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loquela-service-") as home:
        found = bench(Path(home), chosen.minutes)
    text = json.dumps(found, indent=2)
    print(text)
    if chosen.json is not None:
        chosen.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
