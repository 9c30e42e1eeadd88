"""Models and templates of strangers as bases of a fine-tuning at the real service: nothing of theirs is run."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from attack_target import Target

from toy_bases import copied_base

ROWS = "".join(
    json.dumps({"messages": [{"role": "user", "content": f"Who is {n}?"}, {"role": "assistant", "content": f"{n}."}]})
    + "\n"
    for n in range(40)
)


def unpickled_writes(canary: Path) -> bytes:
    """A pickle that, when it is read, has a shell write the file."""
    return f"cos\nsystem\n(S'echo hatched > {canary}'\ntR.".encode()


def pickled(folder: Path, canary: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(unpickled_writes(canary))


def renamed(folder: Path, canary: Path) -> None:
    (folder / "model.safetensors").write_bytes(unpickled_writes(canary))


def torch_archive(folder: Path, canary: Path) -> None:
    saved = io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, saved)
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr("archive/data2.pkl", unpickled_writes(canary))
    (folder / "model.safetensors").write_bytes(saved.getvalue())


def header(text: str) -> Callable[[Path, Path], None]:
    def write(folder: Path, canary: Path) -> None:
        (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text.encode())

    return write


def huge_header(folder: Path, canary: Path) -> None:
    (folder / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")


def polyglot(folder: Path, canary: Path) -> None:
    """Tensors to one reader, a zip with a pickle to another, which looks from the end."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", unpickled_writes(canary))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + packed.getvalue())


def settings(name: str, **changes: object) -> Callable[[Path, Path], None]:
    def change(folder: Path, canary: Path) -> None:
        told = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(told | changes))

    return change


def code_beside(folder: Path, canary: Path) -> None:
    (folder / "modeling_own.py").write_text(f"open({str(canary)!r}, 'w').write('hatched')\n")
    settings("config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"}, trust_remote_code=True)(
        folder, canary
    )


def template(text: str) -> Callable[[Path, Path], None]:
    def write(folder: Path, canary: Path) -> None:
        (folder / "chat_template.jinja").write_text(text.replace("CANARY", str(canary)))

    return write


HOSTILE = {
    "pickle": pickled,
    "pickle-named-safetensors": renamed,
    "torch-archive-with-a-second-pickle": torch_archive,
    "safetensors-header-of-exabytes": huge_header,
    "safetensors-out-of-range": header('{"model.x":{"dtype":"F32","shape":[4],"data_offsets":[0,99999999]}}'),
    "safetensors-overlap": header(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}'
    ),
    "safetensors-one-name-twice": header(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    ),
    "safetensors-and-zip-at-once": polyglot,
    "code-of-its-own": code_beside,
    "internal-attention": settings("config.json", _attn_implementation_internal="evil/kernel"),
    "a-hidden-size-of-millions": settings("config.json", hidden_size=2**31, vocab_size=2**31),
    "template-that-reaches-out": template("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    "template-without-end": template("{% for a in range(10**9) %}{% for b in range(10**9) %}x{% endfor %}{% endfor %}"),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory):
    made = Target(tmp_path_factory.mktemp("models"), LOQUELA_WORKERS="1")
    yield made
    made.served.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_base_is_refused_and_carries_nothing_out(target: Target, name: str) -> None:
    canary = target.home / "canary.txt"
    folder = target.corpus / "bases" / name
    copied_base(folder)
    HOSTILE[name](folder, canary)
    (target.corpus / "rows.jsonl").write_text(ROWS)
    before = target.outside()
    recipe = {"name": "tuned", "examples": {"sources": ["rows.jsonl"]}, "finetune": {"base": f"bases/{name}"}}
    queued = target.served.client.post("/runs/train", json={"recipe": recipe, "until": "finetune"})
    assert queued.status_code == 202, queued.text
    run = queued.json()["run_id"]
    view = target.served.until(run, lambda view: view["state"] in ("failed", "succeeded"), timeout=200)
    assert view["state"] == "failed" and view["error"]["code"] not in ("INTERNAL", "OOM"), view
    assert view["error"]["remedy"] and "Traceback" not in json.dumps(view)
    assert not canary.exists() and target.outside() == before
    target.is_well()


def test_a_pickle_uploaded_as_rows_is_only_text(target: Target) -> None:
    canary = target.home / "canary.txt"
    sent = target.served.client.post(
        "/v1/files", files={"file": ("rows.jsonl", unpickled_writes(canary))}, data={"purpose": "fine-tune"}
    ).raise_for_status()
    made = target.served.client.get(f"/v1/files/{sent.json()['id']}/content")
    assert made.headers["content-disposition"].startswith("attachment") and not canary.exists()
