"""The service of the crash bench: `loquela serve` alone, or with PostgreSQL and Valkey; every part can be killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgresql_server import PASSWORD, PostgresqlServer
from redis_server import RedisServer

OWN_PARTS = ("trainer", "worker", "api")
SERVERS = ("postgresql", "redis")


class Service:
    """`loquela serve`, started again whenever it was killed."""

    def __init__(self, home: Path, *, servers: bool) -> None:
        self.home, self.data = home, home / "data"
        self.postgresql = PostgresqlServer() if servers else None
        self.redis = RedisServer() if servers else None
        self.parts = OWN_PARTS + (SERVERS if servers else ())
        self.client = httpx.Client(timeout=30)
        self.port = 0
        self.start()

    def environment(self) -> dict[str, str]:
        found = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "LOQUELA_BEAT_SECONDS": "0.3",
            "LOQUELA_LEASE_SECONDS": "10",
            "LOQUELA_READS_PER_MINUTE": "0",
            "LOQUELA_WRITES_PER_MINUTE": "0",
        }
        if self.postgresql is not None and self.redis is not None:
            found["LOQUELA_DATABASE_URL"] = f"postgresql://owner:{PASSWORD}@127.0.0.1:{self.postgresql.port}/books"
            found["LOQUELA_REDIS_URL"] = self.redis.url
        return found

    def start(self) -> None:
        # What it says goes into a file: a full pipe would stop it.
        with (self.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "loquela", "serve", "--data", str(self.data), "--port", str(self.port)],
                cwd=self.home, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment(),
            )  # fmt: skip
        line = self.process.stdout.readline()
        while "listens on" not in line:
            if not line:
                raise SystemExit(f"the service did not start: {(self.home / 'serve.log').read_text()[-2000:]}")
            line = self.process.stdout.readline()
        self.address = line.split()[3].rstrip(",")
        self.port = int(self.address.rpartition(":")[2])
        key = (self.data / "keys" / "owner.key").read_text().strip()
        self.client.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str) -> dict:
        """Asks until the service is there again."""
        while True:
            with suppress(httpx.HTTPError):
                return self.client.get(self.address + path).raise_for_status().json()
            time.sleep(0.1)

    def submit(self, recipe: dict) -> str:
        """A run, asked for until it is acknowledged, and only once made."""
        body, key = {"recipe": recipe, "until": "train"}, {"Idempotency-Key": os.urandom(8).hex()}
        while True:
            with suppress(httpx.HTTPError):
                asked = self.client.post(self.address + "/runs/train", json=body, headers=key)
                return asked.raise_for_status().json()["run_id"]
            time.sleep(0.2)

    def find(self, part: str) -> psutil.Process | None:
        """The process of one of the service's own parts, if there is one now."""
        try:
            server = psutil.Process(self.process.pid)
            if part == "api":
                return server
            workers = server.children()
            if part == "worker" or not workers:
                return workers[0] if workers else None
            trainers = workers[0].children()
            return trainers[0] if trainers else None
        except psutil.NoSuchProcess:
            return None

    def kill(self, parts: list[str], chance: random.Random) -> list[str]:
        """SIGKILL to all of them at once; what does not come back by itself is started again. Returns what was hit."""
        found = {part: self.find(part) for part in parts if part in OWN_PARTS}
        hit = []
        for part, process in found.items():
            if process is not None:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
                    hit.append(part)
        for part in parts:
            if part in SERVERS:
                self.server(part).kill()
                hit.append(part)
        if any(part in SERVERS for part in hit):
            time.sleep(chance.uniform(0.0, 3.0))
        for part in hit:
            if part in SERVERS:
                self.server(part).start()
        if "api" in hit:
            self.process.wait()
            self.process.stdout.close()
            self.start()
        return hit

    def server(self, part: str) -> PostgresqlServer | RedisServer | None:
        return self.postgresql if part == "postgresql" else self.redis

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=60)
        self.process.kill()
        self.process.stdout.close()
        self.client.close()
        for server in (self.redis, self.postgresql):
            if server is not None:
                server.close()


class Witness:
    """Uploads small files all the while, and afterwards asks for every one that was acknowledged."""

    def __init__(self, service: Service, every_seconds: float = 0.5) -> None:
        self._service = service
        self._every = every_seconds
        self._stop = threading.Event()
        self.acknowledged: dict[str, str] = {}
        self._thread = threading.Thread(target=self._upload, daemon=True)
        self._thread.start()

    def _upload(self) -> None:
        number = 0
        with httpx.Client(timeout=10, headers=dict(self._service.client.headers)) as client:
            while not self._stop.wait(self._every):
                number += 1
                text = f"row {number}"
                with suppress(httpx.HTTPError):
                    answer = client.post(self._service.address + "/v1/files", files={"file": ("row.txt", text)},
                                         data={"purpose": "user_data"})  # fmt: skip
                    if answer.is_success:
                        self.acknowledged[answer.json()["id"]] = text

    def lost(self) -> list[str]:
        """The acknowledged uploads that are not there, or not what they were."""
        self._stop.set()
        self._thread.join()
        lost = []
        for file, text in self.acknowledged.items():
            answer = self._service.client.get(f"{self._service.address}/v1/files/{file}/content")
            if answer.text != text:
                lost.append(file)
        return lost
