"""The whole service as a program."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx


class Served:
    """`loquela serve` on a free port, with the key that it made."""

    def __init__(
        self,
        home: Path,
        *,
        trust: ssl.SSLContext | None = None,
        before: str = "",
        arguments: tuple[str, ...] = (),
        as_json: bool = True,
        **environment: str,
    ) -> None:
        """`trust`: whom to believe over https; `before`: Python that the program carries out first.

        `as_json`: whether it announces itself to a program, which alone is told `login_link` outside of a terminal.
        """
        arguments = (*arguments, "--json") if as_json else arguments
        self.data = home / "my data"
        program = ["-c", f"{before}\nfrom loquela.cli.main import main\nmain()"] if before else ["-m", "loquela"]
        self.process = subprocess.Popen(
            [sys.executable, *program, "serve", "--data", str(self.data), "--port", "0", *arguments],
            cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "LOQUELA_BEAT_SECONDS": "0.3",
                 **environment},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(1 if as_json else 3)]
        assert ("address" if as_json else "listens on") in self.said[0], self.said
        announced = json.loads(self.said[0]) if as_json else {"address": self.said[0].split()[3].rstrip(",")}
        self.address: str = announced["address"]
        self.login_link: str = announced.get("login_link", "")
        self.new_key: str | None = announced.get("new_key")
        self.key = (self.data / "keys" / "owner.key").read_text().strip()
        self.client = httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=120,
            verify=trust if trust is not None else True,
        )

    def get(self, path: str) -> dict:
        return self.client.get(path).raise_for_status().json()

    def until(self, run: str, fits, timeout: float = 200) -> dict:
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            view = self.get(f"/runs/{run}")
            if fits(view):
                return view
            time.sleep(0.1)
        raise AssertionError(json.dumps(view))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        self.client.close()
        self.process.stdout.close()
        return code
