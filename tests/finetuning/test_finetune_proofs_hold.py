"""Every proof holds for a training without faults, leaves it bit for bit as it was, and is written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from bare_subject import CANARY, BareSubject, packed, section

from loquela.finetuning.proofs.runner import run_proofs
from loquela.finetuning.proofs.table import before_training
from loquela.finetuning.verification import compute_model_state_checksum
from loquela.monitoring.events import Event, EventBus

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.mark.parametrize(("shape", "steps"), [("llama", 60), ("gpt2", 150), ("smollm", 60)])
def test_all_proofs_hold_and_change_nothing(tmp_path: Path, shape: str, steps: int) -> None:
    subject = BareSubject(tmp_path, section(proofs={**CANARY, "canary_steps": steps}), shape=shape)
    subject.training_rows.append(packed(subject.training_rows[:2]))
    weights, base = subject.adapter(), compute_model_state_checksum(subject.model)
    random = torch.get_rng_state()
    seen: list[Event] = []
    bus = EventBus()
    bus.subscribe(seen.append)
    proofs = run_proofs(subject, before_training(subject.settings), bus, "before")
    assert [proof.name for proof in proofs if not proof.passed] == []
    assert {proof.name for proof in proofs} >= {"canary", "rehearsal", "packing_isolation", "accumulation_invariance"}
    assert all(torch.equal(value, weights[name]) for name, value in subject.adapter().items())
    assert compute_model_state_checksum(subject.model) == base
    assert torch.equal(torch.get_rng_state(), random)
    written = json.loads((tmp_path / "preflight.json").read_text())
    assert [entry["name"] for entry in written] == [proof.name for proof in proofs]
    finished = [event.data for event in seen if event.name == "finetune.proof.finished.v1"]
    assert [entry["name"] for entry in finished] == [proof.name for proof in proofs]
    assert not list(tmp_path.glob("rehearsal-*"))


def test_proofs_are_added_to_the_prerequisites(tmp_path: Path) -> None:
    (tmp_path / "preflight.json").write_text('[{"name": "disk_space", "passed": true, "message": "room"}]')
    settings = section(proofs={"canary_rows": 0, "rehearsal": False})
    run_proofs(BareSubject(tmp_path, settings), before_training(settings), EventBus(), "before")
    names = [entry["name"] for entry in json.loads((tmp_path / "preflight.json").read_text())]
    assert names[0] == "disk_space"
    assert "canary" not in names
    assert "adapter_on" in names
