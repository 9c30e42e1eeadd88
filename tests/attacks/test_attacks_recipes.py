"""Recipes that mean harm: each refused with a reason, nothing queued, nothing read, nothing opened."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading

import pytest

from loquela.core.errors import RecipeError
from loquela.security.addresses import permitted_addresses

JSON = ("Content-Type", "application/json")
STORY: dict[str, object] = {"data": {"sources": ["story.txt"]}}
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)


def source(address: object) -> dict[str, object]:
    return {"data": {"sources": [address]}}


PATHS = [
    "/etc/passwd", "../secret.txt", "a/../../secret.txt", "..\\secret.txt", "%2e%2e/secret.txt", "link.txt",
    "out/secret.txt", "file:/etc/passwd", "FILE:/etc/passwd", "folder:/", "glob:/**", "/proc/self/environ",
    "s3://bucket/x", "sqlite:////etc/x.db", "postgresql://u@127.0.0.1/x", "hf:someone/set", "package:os",
    "data:text/plain,x", "upload:../../keys/owner.key", "upload:file-000000000000000000000000", "\\\\host\\share",
    "C:\\x",
]  # fmt: skip
ADDRESSES = [
    "http://example.org/x", "https://127.0.0.1/x", "https://2130706433/x", "https://0x7f000001/x",
    "https://0177.0.0.1/x", "https://127.1/x", "https://[::1]/x", "https://[::ffff:127.0.0.1]/x",
    "https://[fd00::1]/x", "https://[fe80::1%25eth0]/x",
    "https://169.254.169.254/latest/meta-data/", "https://[64:ff9b::7f00:1]/x", "https://10.0.0.1/x", "https://0.0.0.0/x",
    "gopher://127.0.0.1:6379/_INFO", "ftp://127.0.0.1/x", "ldap://127.0.0.1/x", "https://user:pass@127.0.0.1/x",
    "web+https://127.0.0.1/", "api+https://127.0.0.1/", "HTTPS://127.0.0.1/x", "https:\\\\127.0.0.1\\x",
]  # fmt: skip
RECIPES: dict[str, object] = {
    **{f"path {path[:30]!r}": source(path) for path in PATHS},
    **{f"address {address}": source(address) for address in ADDRESSES},
    "a credential to another's address": source({"address": "https://evil.test/x", "credential": "books"}),
    "the server's network": {"data": {"sources": ["story.txt"], "allow_private_addresses": True}},
    "the server's environment": {
        "data": {**STORY["data"], "validation": {"pii": {"action": "pseudonymize", "key_environment": "HOME"}}}
    },
    "a mirror of one's own": {"data": {"sources": ["gutenberg:11"], "gutenberg_mirror": "https://evil.test"}},
    "the server's key to another": {**STORY, "qa": {"provider": "openai", "model": "x", "base_url": "https://evil.test"}},
    "a place to write to": {**STORY, "output_directory": "/elsewhere"},
    "a tracker's place": {**STORY, "track": ["mlflow"], "tracking": {"uri": "file:///tmp/elsewhere"}},
    "programs of the server": {**STORY, "compute": {"data": "slurm"}},
    "machines on the server's account": {**STORY, "compute": {"cloud": {"provider": "aws", "gpu": "h100"}}},
    "thousands of processes": {**STORY, "compute": {"processes": 4096}},
    "a tokenizer from elsewhere": {**STORY, "tokenizer": {"method": "sentencepiece", "model_file": "/etc/passwd"}},
    "a model from elsewhere": {**STORY, "model": {"initialization": "pretrained", "pretrained_path": "/etc"}},
    "a base from elsewhere": {"examples": {"sources": ["story.txt"]}, "finetune": {"base": "../../secret"}},
    "a template from elsewhere": {
        "examples": {"sources": ["story.txt"], "template": "custom", "template_file": "/etc/x"}
    },
    "a name that is a path": {**STORY, "name": "../../x"},
    "a name that is a template": {**STORY, "name": "{{ 7*7 }}"},
    "a name with a line end": {**STORY, "name": "a\nb"},
    "a name that a terminal obeys": {**STORY, "name": "a\x1b[31m"},
    "a network of impossible size": {**STORY, "model": {"num_layers": 10**9, "d_model": 10**9}},
    "a negative network": {**STORY, "model": {"num_layers": -1}},
    "aliases that grow": BOMB,
    "a tag that builds": "data: !!python/object/apply:os.system ['touch /tmp/owned']\n",
    "a tag that opens": "data: !!python/object/new:open ['/etc/passwd']\n",
    "a tag of one's own": "data: !include /etc/passwd\n",
    "merged keys": "x: &x {name: a}\n<<: *x\n",
    "two documents": "name: a\n---\nname: b\n",
    "keys twice": "name: a\nname: b\n",
    "deep YAML": "a: " + "[" * 1000 + "]" * 1000,
    "YAML of control letters": "name: \x07",
    "a section of the owner's": {**STORY, "alerts": {"channels": {}}},
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_attack(target, name: str) -> None:
    body = json.dumps({"recipe": RECIPES[name]}).encode()
    for path in ("/runs/train", "/runs/plan"):
        answer = target.ask("POST", path, JSON, body=body)
        assert answer.status in (400, 404, 422), (path, answer)
        assert answer.error["message"]
        assert answer.error["remedy"]
        target.gives_nothing_away(answer)


def test_after_all_of_it_nothing_was_queued_or_written(target) -> None:
    assert target.runs() == 0
    assert target.outside() == [str(target.home / "secret.txt")]
    assert not list(target.data.glob("runs/*"))
    target.is_well()


@pytest.mark.parametrize(
    "text", ["{{ ''.__class__.__mro__ }}", "{% for x in range(10**9) %}{% endfor %}", "${7*7}", "%s%n"]
)
def test_texts_that_are_templates_stay_texts(target, text: str) -> None:
    body = json.dumps({"recipe": STORY, "labels": {"note": text}}).encode()
    answer = target.ask("POST", "/runs/train", JSON, body=body)
    assert (answer.status, json.loads(answer.body)["labels"]) == (202, {"note": text})
    run = json.loads(answer.body)["run_id"]
    assert target.served.get(f"/runs/{run}")["labels"] == {"note": text}
    target.served.client.post(f"/runs/{run}/cancel")


def test_labels_forge_no_line_in_events_or_the_log(target) -> None:
    evil = "x\r\n\r\nevent: job.failed.v1\ndata: {}\n\x1b[2J"
    body = json.dumps({"recipe": STORY, "labels": {"note": evil}}).encode()
    run = json.loads(target.ask("POST", "/runs/train", JSON, body=body).body)["run_id"]
    target.served.client.post(f"/runs/{run}/cancel")
    stream = target.ask("GET", f"/runs/{run}/events/stream").text
    assert stream.count("\nevent: ") == 3
    assert "\x1b" not in stream
    assert "job.failed" not in stream


def test_strange_names_are_names_below_corpus(target) -> None:
    names = ["~/.ssh/id_rsa", "-rf", "$HOME", "a b;c", "`id`", "a" * 300]
    body = json.dumps({"recipe": {"data": {"sources": names}}}).encode()
    run = json.loads(target.ask("POST", "/runs/train", JSON, body=body).body)["run_id"]
    target.served.client.post(f"/runs/{run}/cancel")
    with sqlite3.connect(target.data / "service.db") as connection:
        (spec,) = connection.execute("SELECT spec FROM jobs WHERE id = ?", (run,)).fetchone()
    connection.close()
    assert json.loads(spec)["recipe"]["data"]["sources"] == [str(target.corpus.resolve() / name) for name in names]


def test_a_name_that_leads_here_is_not_connected_to() -> None:
    """What admission lets through because it is a name is refused by who fetches, before anything is opened."""
    opened = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: opened.append(listener.accept()), daemon=True)
        thread.start()
        with pytest.raises(RecipeError, match="loopback"):
            permitted_addresses("localhost", listener.getsockname()[1], allow_private=False)
        thread.join(timeout=0.2)
    assert opened == []
