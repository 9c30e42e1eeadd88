"""Where the service reads and writes: what is planted in its folder leads nowhere, what it keeps is nobody else's.

Every file that its Python processes open is written down by a hook of the interpreter, so that an answer that looks
harmless but was read from elsewhere is found out too.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import psutil
import pytest
from attack_target import PLANTED, Target

from loquela.runs.status import Phase, PipelineStatus
from loquela.service.app import OPENAI_ROUTERS, ROUTERS
from waiting import until

JSON = ("Content-Type", "application/json")
GOOD = json.dumps({"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}}).encode()
# O_NOFOLLOW: the kernel opens no link at the end, so that only the folder is resolved.
HOOK = """
import os, sys
_out = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

def _told(event, arguments):
    if event not in ("open", "os.listdir", "os.scandir") or not isinstance(arguments[0], (str, bytes)):
        return
    path = os.fsdecode(arguments[0])
    if event != "open" and path == os.getcwd():
        return  # Python looks for modules there
    flags = arguments[2] if event == "open" else 0
    if flags & os.O_NOFOLLOW:
        place = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    else:
        place = os.path.realpath(path)
    os.write(_out, place.encode() + b"\\n")

sys.addaudithook(_told)
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory):
    home = tmp_path_factory.mktemp("planted")
    watching = tmp_path_factory.mktemp("watching")
    (watching / "sitecustomize.py").write_text(HOOK)
    made = Target(home, PYTHONPATH=str(watching), OPENED=str(watching / "opened.txt"))
    made.opened = watching / "opened.txt"
    yield made
    assert made.served.stop() == 0


def opened_outside(target: Target) -> set[str]:
    """What was opened since the last time in the folder beside the data folder, or of the machine's own secrets."""
    places = set(target.opened.read_text().splitlines())
    assert places, "nothing is written down"
    os.truncate(target.opened, 0)
    inside, home = f"{target.data.resolve()}/", f"{target.home.resolve()}"
    beside = {each for each in places if f"{each}/".startswith(f"{home}/") and not f"{each}/".startswith(inside)}
    return beside | (places & {"/etc/passwd", "/etc/shadow"})


def queued(target: Target, body: bytes = GOOD) -> str:
    answer = target.ask("POST", "/runs/train", JSON, body=body)
    assert answer.status == 202, answer
    return json.loads(answer.body)["run_id"]


def paths(**known: str) -> list[tuple[str, str]]:
    """Every route of the program: (method, path) with these ids in it, and with x for all others."""
    found = []
    for router in (*ROUTERS, *OPENAI_ROUTERS):
        for route in router.routes:
            path = re.sub(r"{(\w+)}", lambda name: known.get(name[1], "x"), route.path)
            found += [(method, path) for method in sorted(route.methods)]
    return found


def plant(folder: Path, home: Path) -> None:
    """Links to what lies outside, in the place of everything that a run's folder may hold."""
    folder.mkdir(parents=True)
    for name in ("metrics.jsonl", "events.jsonl", "status.json", "manifest.json", "recipe.yaml", "pointer.json",
                 "run.json", "config.json", "progress.json", "ledger.json", "validation_results.json"):  # fmt: skip
        (folder / name).symlink_to(home / "secret.txt")
    for name in ("final", "checkpoints", "exports", "evaluations", "best", "tokenizer", "corpus", "deploy-checks"):
        (folder / name).symlink_to(home)
    (folder / "logs").mkdir()
    (folder / "logs" / "system.log").symlink_to(home / "secret.txt")


def finished(target: Target) -> str:
    """A run of the command line that says it is complete, once the service has found it."""
    folder = target.data / "runs" / "found"
    plant(folder, target.home)
    (folder / "status.json").unlink()
    PipelineStatus(run_id="found", current_phase=Phase.COMPLETE).save(folder)
    until(lambda: target.ask("GET", "/runs/found").status == 200)
    return "found"


@pytest.mark.parametrize("make", [queued, finished], ids=["queued", "finished"])
def test_links_that_somebody_planted_are_not_followed(target, make) -> None:
    run = make(target)
    if run != "found":
        plant(target.data / "runs" / run, target.home)
    (target.data / "jobs").mkdir(exist_ok=True)
    (target.data / "jobs" / run).symlink_to(target.home)
    (target.home / "request.json").write_text(PLANTED)
    for method, path in paths(run_id=run, job_id=run, kind="run", id=run):
        if path in ("/login", "/logout") or path.endswith("stream"):
            continue
        answer = target.ask(method, path, JSON, body=b"{}" if method == "POST" else b"")
        assert answer.status < 500, (method, path, answer)
        assert PLANTED not in answer.text, (method, path)
    assert opened_outside(target) == set()


def test_a_planted_run_is_not_taken_for_one_of_the_command_line(target) -> None:
    (target.home / "elsewhere").mkdir(exist_ok=True)
    for name in ("status.json", "manifest.json"):
        (target.home / "elsewhere" / name).write_text(json.dumps({"run_id": "elsewhere", "message": PLANTED}))
    (target.data / "runs" / "elsewhere").symlink_to(target.home / "elsewhere")
    answer = target.ask("GET", "/runs/elsewhere")
    assert answer.status == 404 and PLANTED not in target.ask("GET", "/runs?limit=200").text
    assert opened_outside(target) == set()


def test_an_upload_that_became_a_link_is_gone(target) -> None:
    made = target.served.client.post("/v1/files", files={"file": ("a.txt", b"mine")}, data={"purpose": "user_data"})
    file_id = made.json()["id"]
    (content,) = [path for path in (target.data / "files").rglob("content*") if path.read_bytes() == b"mine"]
    content.unlink()
    content.symlink_to(target.home / "secret.txt")
    answer = target.ask("GET", f"/v1/files/{file_id}/content")
    assert (answer.status, PLANTED in answer.text) == (404, False), answer
    assert answer.error["message"] == f"the content of '{file_id}' was taken away"
    assert opened_outside(target) == set()


def test_a_picture_that_is_a_program_is_a_file_to_keep(target) -> None:
    script = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    for name in ("evil.svg", "evil.html", "evil.xhtml", 'a".html', "a\r\nContent-Type: text/html"):
        made = target.served.client.post("/v1/files", files={"file": (name, script)}, data={"purpose": "user_data"})
        answer = target.ask("GET", f"/v1/files/{made.json()['id']}/content")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
        assert answer.headers["content-disposition"].startswith("attachment; ")
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_thousands_of_ranges_are_answered_with_one_whole(target) -> None:
    content = bytes(range(256)) * 400
    made = target.served.client.post("/v1/files", files={"file": ("a.bin", content)}, data={"purpose": "user_data"})
    place = f"/v1/files/{made.json()['id']}/content"
    for ranges in (["0-0"] * 5000, [f"{2 * n}-{2 * n}" for n in range(5000)], ["0-"] * 5000):
        answer = target.ask("GET", place, ("Range", "bytes=" + ",".join(ranges)))
        assert (answer.status, len(answer.body)) == (200, len(content))
    assert target.ask("GET", place, ("Range", "bytes=1-2")).body == b"\1\2"


def test_no_other_method_of_any_route_is_open(target) -> None:
    """All that the program answers to, whether it is described or not."""
    described = target.served.get("/openapi.json")["paths"]
    known = paths()
    hidden = {path for _, path in known} - {re.sub(r"{\w+}", "x", path) for path in described}
    assert hidden <= {"/openapi.json"}
    for path in {path for _, path in known} - {"/healthz", "/readyz", "/login"}:
        own = {method for method, each in known if each == path}
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"):
            answer = target.anybody(method, path)
            expected = {401} if method in own else {401, 405}
            assert answer.status in expected, (method, path, answer.status)
            target.gives_nothing_away(answer)


def test_what_is_kept_is_for_its_owner_alone(target) -> None:
    for place in (target.data, target.data / "keys", target.data / "service.db", target.data / "logs"):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0, place


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="there is no /proc")
def test_a_crash_writes_no_memory_to_disk_and_no_key_is_in_a_command_line(target) -> None:
    ours = psutil.Process(target.served.process.pid)
    for process in (ours, *ours.children(recursive=True)):
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        assert "Umask:\t0077" in Path(f"/proc/{process.pid}/status").read_text()
        assert target.key not in " ".join(process.cmdline())


def test_after_all_of_it_it_is_well(target) -> None:
    target.is_well()
