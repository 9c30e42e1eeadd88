"""A real service that is attacked, with things beside it that must not come out or change."""

from __future__ import annotations

import os
from pathlib import Path

from wire import Answer, send, written

from served import Served

PLANTED = "planted-secret-a81f"
# So that an attack is what is measured, not the limits that hold it back; these have tests of their own.
WITHOUT_LIMITS = {
    "LOQUELA_WORKERS": "0",
    "LOQUELA_READS_PER_MINUTE": "0",
    "LOQUELA_WRITES_PER_MINUTE": "0",
    "LOQUELA_FAILURES_PER_MINUTE": "0",
    "LOQUELA_MAX_BODY_BYTES": "200000",
    "LOQUELA_MAX_UPLOAD_BYTES": "300000",
}


class Target:
    """A service under attack."""

    def __init__(self, home: Path, **more: str) -> None:
        self.home = home
        (home / "secret.txt").write_text(PLANTED)
        before = more.pop("before", "")
        self.served = Served(home, before=before, **{**WITHOUT_LIMITS, **more})
        self.address, self.key, self.data = self.served.address, self.served.key, self.served.data
        self.corpus = self.data / "corpus"
        (self.corpus / "story.txt").write_text("The fox walked to the house.\n" * 50)
        (self.corpus / "link.txt").symlink_to(home / "secret.txt")
        (self.corpus / "out").symlink_to(home)

    @property
    def owner(self) -> tuple[str, str]:
        return ("Authorization", f"Bearer {self.key}")

    def ask(
        self, method: str, path: str, *headers: tuple[str, str], body: bytes = b"", host: str | None = ""
    ) -> Answer:
        """With the owner's key, unless another is in `headers`."""
        names = {name.lower() for name, _ in headers}
        given = headers if names & {"authorization", "x-api-key", "cookie"} else (self.owner, *headers)
        return send(self.address, written(self.address, method, path, given, body, host=host))

    def anybody(self, method: str, path: str, *headers: tuple[str, str], body: bytes = b"") -> Answer:
        """Without a key."""
        return send(self.address, written(self.address, method, path, headers, body))

    def runs(self) -> int:
        return len(self.served.get("/runs?limit=200")["runs"])

    def outside(self) -> list[str]:
        """Everything beside the data folder."""
        found = []
        for folder, names, files in os.walk(self.home):
            if Path(folder) == self.home:
                names.remove(self.data.name)
            found += [os.path.join(folder, name) for name in files]
        return sorted(found)

    def gives_nothing_away(self, answer: Answer) -> None:
        """No secret, no place, no inside, no word of permission to other pages, no way elsewhere."""
        for word in (PLANTED, str(self.home), "Traceback", 'File "', ".py", "site-packages", "sqlalchemy"):
            assert word not in answer.text, (word, answer)
        for name in ("location", "access-control-allow-origin", "access-control-allow-credentials"):
            assert name not in answer.headers, answer.headers
        assert answer.headers.get("server", "uvicorn") == "uvicorn"

    def is_well(self) -> None:
        """It lives, and answers others."""
        assert self.served.process.poll() is None
        assert self.ask("GET", "/me").status == 200
