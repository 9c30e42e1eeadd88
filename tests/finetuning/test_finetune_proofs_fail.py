"""Each proof is made to fail by a fault planted in what training does, never in the proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bare_subject import CANARY, BareSubject, packed, section

from loquela.artifacts.proof import Proof
from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import DataError, ErrorCode, ProofError
from loquela.finetuning.proofs.accumulation import prove_accumulation
from loquela.finetuning.proofs.adapter_on import prove_adapter_on
from loquela.finetuning.proofs.after import prove_adapter_moved, prove_base_unchanged, prove_reload
from loquela.finetuning.proofs.answers import asked_of
from loquela.finetuning.proofs.around import ProofsAround
from loquela.finetuning.proofs.borrowed import trained_copy
from loquela.finetuning.proofs.canary import prove_canary
from loquela.finetuning.proofs.collated_labels import prove_collated_labels
from loquela.finetuning.proofs.finite_weights import prove_finite
from loquela.finetuning.proofs.isolation import prove_isolation
from loquela.finetuning.proofs.loss_as_defined import prove_loss
from loquela.finetuning.proofs.only_adapter import prove_only_adapter
from loquela.finetuning.proofs.rehearsal import prove_rehearsal
from loquela.finetuning.proofs.runner import Entry, run_proofs
from loquela.finetuning.proofs.settings import prove_settings
from loquela.finetuning.proofs.vocabulary import prove_vocabulary
from loquela.finetuning.verification import save_base_model_checksums
from loquela.monitoring.events import SilentBus

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
Tensors = Mapping[str, torch.Tensor]


def failed(proof: Proof, code: ErrorCode, says: str) -> None:
    assert not proof.passed
    assert proof.code is code
    assert says in proof.message
    assert proof.remedy


# ── sequences that see each other ─────────────────────────────────────────────────────────────────────


class PackedSubject(BareSubject):
    def __init__(self, directory: Path, shape: str = "llama") -> None:
        super().__init__(directory, shape=shape)
        self.training_rows = [packed(self.training_rows[:3]), packed(self.training_rows[3:])]


class WithoutPositions(PackedSubject):
    def batch(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        return {name: value for name, value in super().batch(rows).items() if name != "position_ids"}


class WithCache(PackedSubject):
    """transformers' own default: with a cache at hand, packed rows are taken for one text."""

    def forward(self, batch: Tensors) -> torch.Tensor:
        return self.model(**{name: value for name, value in batch.items() if name != "labels"}, use_cache=True).logits


class PositionsGoOn(PackedSubject):
    """Sequences are apart, yet the second starts at the position where the first ended: only the comparison with the
    sequence alone can tell, and only where positions are learnt (GPT-2)."""

    def logits(self, batch: Tensors) -> torch.Tensor:
        if "position_ids" not in batch:
            return super().logits(batch)
        sequences = batch["position_ids"].eq(0).cumsum(1)
        apart = sequences[:, None, :, None] == sequences[:, None, None, :]
        seen = apart & torch.ones(apart.shape[-2:]).tril().bool()
        return super().logits({"input_ids": batch["input_ids"], "attention_mask": seen})


def test_packed_rows_stay_apart(tmp_path: Path) -> None:
    proof = prove_isolation(PackedSubject(tmp_path))
    assert proof.passed
    assert proof.numbers["max_difference_beside_other_tokens"] == 0.0


@pytest.mark.parametrize("fault", [WithoutPositions, WithCache])
def test_sequences_that_see_each_other_are_found(tmp_path: Path, fault: type[PackedSubject]) -> None:
    failed(prove_isolation(fault(tmp_path)), ErrorCode.VALIDATION_FAILED, "see each other")


def test_packed_positions_that_go_on_are_found(tmp_path: Path) -> None:
    proof = prove_isolation(PositionsGoOn(tmp_path, shape="gpt2"))
    failed(proof, ErrorCode.VALIDATION_FAILED, "stand at other positions")
    assert proof.numbers["max_difference_beside_other_tokens"] == 0.0


# ── a loss that is scaled wrong ───────────────────────────────────────────────────────────────────────


class MeanOfMeans(BareSubject):
    def step_gradients(self, micro_batches: Sequence[Tensors]) -> float:
        self.model.train()
        self.model.zero_grad()
        total = 0.0
        for batch in micro_batches:
            loss = self.token_losses(batch) / self.learnt(batch) / len(micro_batches)
            loss.backward()
            total += loss.item()
        return total


class NotDivided(BareSubject):
    def step_gradients(self, micro_batches: Sequence[Tensors]) -> float:
        self.model.train()
        self.model.zero_grad()
        losses = [self.token_losses(batch) / self.learnt(batch) for batch in micro_batches]
        for loss in losses:
            loss.backward()
        return float(sum(loss.item() for loss in losses))


def test_accumulation_holds_with_dropout(tmp_path: Path) -> None:
    proof = prove_accumulation(BareSubject(tmp_path, section(lora={"rank": 4, "alpha": 8, "dropout": 0.3})))
    assert proof.passed, proof.message


@pytest.mark.parametrize("fault", [MeanOfMeans, NotDivided])
def test_a_loss_scaled_by_micro_batch_is_found(tmp_path: Path, fault: type[BareSubject]) -> None:
    failed(prove_accumulation(fault(tmp_path)), ErrorCode.BACKWARD_FAILED, "micro-batches of one row differ")


def test_rows_that_are_alike_do_not_hide_a_mean_of_means(tmp_path: Path) -> None:
    subject = MeanOfMeans(tmp_path)
    subject.training_rows = [subject.row(f"example-{at}", "Count.", "0123456789") for at in range(4)]
    failed(prove_accumulation(subject), ErrorCode.BACKWARD_FAILED, "micro-batches of one row differ")


class MaskDropped(BareSubject):
    """A fused kernel that forgets which tokens are learnt."""

    def token_losses(self, batch: Tensors) -> torch.Tensor:
        return super().token_losses({**batch, "labels": batch["input_ids"]})


class ShiftedTwice(BareSubject):
    def token_losses(self, batch: Tensors) -> torch.Tensor:
        return super().token_losses({**batch, "labels": torch.roll(batch["labels"], -1, dims=1)})


class WeightsForgotten(BareSubject):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.training_rows = [replace(row, weights=row.weights * at) for at, row in enumerate(self.training_rows, 1)]


def test_the_loss_is_what_its_definition_says(tmp_path: Path) -> None:
    for subject in (BareSubject(tmp_path), PackedSubject(tmp_path)):
        proof = prove_loss(subject)
        assert proof.passed, proof.message
        assert proof.numbers["relative_difference"] < 1e-5


@pytest.mark.parametrize("fault", [MaskDropped, ShiftedTwice, WeightsForgotten])
def test_a_loss_of_other_tokens_is_found(tmp_path: Path, fault: type[BareSubject]) -> None:
    failed(prove_loss(fault(tmp_path)), ErrorCode.BACKWARD_FAILED, "their learnt tokens have")


# ── an adapter that is not on ─────────────────────────────────────────────────────────────────────────


class AdapterOff(BareSubject):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.model.base_model.disable_adapter_layers()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("lora_" in name)

    def step_gradients(self, micro_batches: Sequence[Tensors]) -> float:
        self.model.zero_grad()
        with torch.no_grad():
            return sum(self.token_losses(batch).item() for batch in micro_batches)


class OptimizerOfACopy(BareSubject):
    def new_optimizer(self, learning_rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(trained_copy(self.model).values(), lr=learning_rate)


class LearningRateZero(BareSubject):
    def new_optimizer(self, learning_rate: float) -> torch.optim.Optimizer:
        return super().new_optimizer(0.0)


class BaseLearns(BareSubject):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.model.get_parameter("base_model.model.model.norm.weight").requires_grad_(True)


class HalfCutOff(BareSubject):
    """The second half of the layers is computed without gradients, as quantised kernels without a backward do."""

    def step_gradients(self, micro_batches: Sequence[Tensors]) -> float:
        loss = super().step_gradients(micro_batches)
        for name, parameter in self.model.named_parameters():
            if "layers.0." in name:
                parameter.grad = None
        return loss


def test_the_adapter_is_on(tmp_path: Path) -> None:
    proof = prove_adapter_on(BareSubject(tmp_path))
    assert proof.passed
    assert proof.numbers["base_tensors_with_gradient"] == 0


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (AdapterOff, "moves none"),
        (OptimizerOfACopy, "moves none"),
        (LearningRateZero, "moves none"),
        (HalfCutOff, "get no gradient"),
    ],
)
def test_an_adapter_that_does_not_learn_is_found(tmp_path: Path, fault: type[BareSubject], says: str) -> None:
    failed(prove_adapter_on(fault(tmp_path)), ErrorCode.UPDATE_FAILED, says)


def test_a_base_that_learns_is_found(tmp_path: Path) -> None:
    assert prove_only_adapter(BareSubject(tmp_path)).passed
    failed(prove_only_adapter(BaseLearns(tmp_path)), ErrorCode.INVALID_STATE, "model.norm.weight")


def test_the_full_method_needs_every_parameter(tmp_path: Path) -> None:
    failed(prove_only_adapter(BareSubject(tmp_path, section(method="full"))), ErrorCode.INVALID_STATE, "do not learn")


# ── settings that do not hold ─────────────────────────────────────────────────────────────────────────


class HalfTheRank(BareSubject):
    def adapted(self, base: torch.nn.Module) -> torch.nn.Module:
        lora = self.settings.lora
        self.settings = section(lora={"rank": lora.rank // 2, "alpha": lora.alpha, "dropout": 0.0})
        adapted = super().adapted(base)
        self.settings = section()
        return adapted


class OtherBatchSize(BareSubject):
    def effective_settings(self) -> dict[str, object]:
        return {"batch_size": 1, "padding_free": False}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (HalfTheRank, "finetune.lora.rank is 8 and 4 holds"),
        (AdapterOff, "updates on holds"),
        (OptimizerOfACopy, "0 of 28 trained tensors"),
        (LearningRateZero, "finetune.learning_rate is 0.02 and 0.0 holds"),
        (OtherBatchSize, "finetune.batch_size is 3 and 1 holds"),
    ],
)
def test_a_setting_that_does_not_hold_is_named(tmp_path: Path, fault: type[BareSubject], says: str) -> None:
    failed(prove_settings(fault(tmp_path)), ErrorCode.INVALID_STATE, says)


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"method": "qlora"}, "quantization.type"), ({"lora": {"rank": 8, "alpha": 16, "dora": True}}, "lora.dora")],
)
def test_an_option_that_is_silently_off_is_named(tmp_path: Path, changes: dict[str, object], key: str) -> None:
    subject = BareSubject(tmp_path)
    subject.settings = section(**changes)
    assert key in prove_settings(subject).numbers["wrong"]


# ── labels ────────────────────────────────────────────────────────────────────────────────────────────


class Shifted(BareSubject):
    def batch(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        batch = super().batch(rows)
        return {**batch, "labels": torch.roll(batch["labels"], -1, dims=1)}


class PaddingLearnt(BareSubject):
    def batch(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        batch = super().batch(rows)
        return {**batch, "labels": batch["labels"].where(batch["attention_mask"] == 1, batch["input_ids"])}


class PromptLearnt(BareSubject):
    def batch(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        batch = super().batch(rows)
        return {**batch, "labels": batch["input_ids"].where(batch["attention_mask"] == 1, torch.tensor(-100))}


class StopMasked(BareSubject):
    """pad = eos, and every token that equals the padding is masked."""

    def batch(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        batch = super().batch(rows)
        return {**batch, "labels": batch["labels"].masked_fill(batch["input_ids"] == self.token("<|im_end|>"), -100)}


class Truncated(BareSubject):
    def batch(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        return {name: value[:, :24] for name, value in super().batch(rows).items()}


class BeginDoubled(BareSubject):
    def batch(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        begin = np.array([self.token("<|endoftext|>")] * 2, dtype=np.uint32)
        none = np.zeros(2, dtype=np.float32)
        doubled = [
            replace(row, ids=np.r_[begin, row.ids], weights=np.r_[none, row.weights], lengths=(len(row.ids) + 2,))
            for row in rows
        ]
        return super().batch(doubled)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Shifted, "labels are wrong"),
        (PaddingLearnt, "tokens of padding are learnt"),
        (PromptLearnt, "is learnt and should not be"),
        (StopMasked, "is not learnt and should be"),
        (Truncated, "does not hold its rows' tokens in order"),
        (BeginDoubled, "6 tokens that no row holds"),
    ],
)
def test_labels_that_are_not_as_written_are_found(tmp_path: Path, fault: type[BareSubject], says: str) -> None:
    failed(prove_collated_labels(fault(tmp_path)), ErrorCode.CORRUPT_BATCH, says)


def test_labels_of_packed_rows_hold(tmp_path: Path) -> None:
    proof = prove_collated_labels(PackedSubject(tmp_path))
    assert proof.passed, proof.message
    assert proof.numbers["learnt_tokens"] == proof.numbers["learnt_tokens_of_rows"]


# ── vocabulary ────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_without_an_embedding_is_found(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path)
    assert prove_vocabulary(subject).passed
    row = subject.training_rows[0]
    subject.training_rows[0] = replace(row, ids=np.where(np.arange(len(row.ids)) == 3, np.uint32(512), row.ids))
    failed(prove_vocabulary(subject), ErrorCode.SHAPE_MISMATCH, "is 512; the embeddings have 512 rows")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "name", ["model.norm.weight", "model.layers.0.mlp.up_proj.base_layer.weight", "lm_head.weight"]
)
def test_a_value_that_is_no_number_is_named(tmp_path: Path, name: str, value: float) -> None:
    subject = BareSubject(tmp_path)
    assert prove_finite(subject).passed
    with torch.no_grad():
        subject.model.get_parameter(f"base_model.model.{name}").view(-1)[3] = value
    failed(prove_finite(subject), ErrorCode.NAN_DETECTED, f"no numbers: {name.replace('.base_layer', '')}")


# ── the canary ────────────────────────────────────────────────────────────────────────────────────────


class OtherTemplate(BareSubject):
    """What answers is asked with another template than what was trained."""

    def generate(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
        other = [self.encode("### Question: " + self.decode(prompt) + "\n### Answer: ") for prompt in prompts]
        return super().generate(other, max_new_tokens)


def test_a_stop_token_that_is_not_learnt_is_found(tmp_path: Path) -> None:
    failed(prove_canary(StopMasked(tmp_path)), ErrorCode.MODEL_TRAIN_FAILED, "end in a stop token")


def test_another_template_at_serving_is_found(tmp_path: Path) -> None:
    proof = prove_canary(OtherTemplate(tmp_path))
    failed(proof, ErrorCode.MODEL_TRAIN_FAILED, "of the canary's answers")


def test_a_canary_that_learns_nothing_is_found(tmp_path: Path) -> None:
    failed(prove_canary(LearningRateZero(tmp_path)), ErrorCode.MODEL_TRAIN_FAILED, "learns nothing")


class KnowsAlready(BareSubject):
    """A base that gives the answers before it is trained."""

    def step_gradients(self, micro_batches: Sequence[Tensors]) -> float:
        super().step_gradients(micro_batches)
        return 1e-3

    def generate(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
        asked = [each for row in self.training_rows if (each := asked_of(row)) is not None]
        return [next(each.answer for each in asked if each.prompt == list(prompt)) for prompt in prompts]


def test_rows_that_are_known_by_heart_take_no_more_steps(tmp_path: Path) -> None:
    proof = prove_canary(KnowsAlready(tmp_path))
    assert proof.passed, proof.message
    assert proof.numbers["steps"] == 1


def test_rows_without_answers_are_found(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path)
    subject.training_rows = [replace(row, weights=row.weights * 0) for row in subject.training_rows]
    failed(prove_canary(subject), ErrorCode.MODEL_TRAIN_FAILED, "no training row has a prompt")


# ── the rehearsal ─────────────────────────────────────────────────────────────────────────────────────


class OptimizerLost(BareSubject):
    def load_state(self, directory: Path, optimizer: torch.optim.Optimizer) -> None:
        self.load_adapter(directory)


class HalfPrecisionCheckpoint(BareSubject):
    def load_state(self, directory: Path, optimizer: torch.optim.Optimizer) -> None:
        super().load_state(directory, optimizer)
        with torch.no_grad():
            for parameter in self.model.parameters():
                if parameter.requires_grad:
                    parameter.copy_(parameter.bfloat16().float())


@pytest.mark.parametrize("fault", [OptimizerLost, HalfPrecisionCheckpoint])
def test_a_checkpoint_that_loses_something_is_found(tmp_path: Path, fault: type[BareSubject]) -> None:
    failed(prove_rehearsal(fault(tmp_path)), ErrorCode.CHECKPOINT_FAILED, "after a save and a reload differs")


def test_a_disk_that_is_too_small_is_found(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path)
    subject.settings = subject.settings.model_copy(update={"keep_checkpoints": 10**12})
    failed(prove_rehearsal(subject), ErrorCode.DISK_FULL, "are free")


# ── after the training ────────────────────────────────────────────────────────────────────────────────


def test_a_changed_base_is_named(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path)
    save_base_model_checksums(subject.model, tmp_path)
    assert prove_base_unchanged(subject).passed
    with torch.no_grad():
        subject.model.get_parameter("base_model.model.model.layers.1.mlp.up_proj.base_layer.weight")[0, 0] += 1e-3
    proof = prove_base_unchanged(subject)
    failed(proof, ErrorCode.CORRUPTION, "model.layers.1.mlp.up_proj.weight")
    assert proof.numbers["changed"] == ["model.layers.1.mlp.up_proj.weight"]


def test_an_adapter_that_did_not_move_or_broke_is_found(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path)
    prove = prove_adapter_moved(trained_copy(subject.model))
    failed(prove(subject), ErrorCode.UPDATE_FAILED, "0 of 28 trained tensors moved")
    with torch.no_grad():
        for parameter in subject.model.parameters():
            if parameter.requires_grad:
                parameter.add_(1e-3)
    assert prove(subject).passed
    with torch.no_grad():
        next(parameter for parameter in subject.model.parameters() if parameter.requires_grad)[0, 0] = float("nan")
    failed(prove(subject), ErrorCode.NAN_DETECTED, "no numbers")


def test_a_saved_adapter_that_is_another_is_found(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path)
    with torch.no_grad():
        for parameter in subject.model.parameters():
            if parameter.requires_grad:
                parameter.add_(1e-2)
    folder = tmp_path / "adapter"
    subject.save_state(folder, subject.new_optimizer(1e-3))
    assert prove_reload(subject.load_adapter, folder)(subject).passed
    with torch.no_grad():
        for parameter in subject.model.parameters():
            if parameter.requires_grad:
                parameter.add_(1e-2)
    failed(prove_reload(subject.load_adapter, folder)(subject), ErrorCode.CHECKPOINT_FAILED, "adapter/ read back")


# ── around a training ─────────────────────────────────────────────────────────────────────────────────


def trained(subject: BareSubject, steps: int = 2) -> Path:
    optimizer = subject.new_optimizer(1e-2)
    for _ in range(steps):
        subject.step_gradients([subject.batch(subject.training_rows)])
        optimizer.step()
    subject.save_state(subject.directory / "adapter", optimizer)
    return subject.directory / "adapter"


def test_before_and_after_hold_around_a_training(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path, section(proofs={"canary_rows": 0, "rehearsal": False}))
    around = ProofsAround(subject, SilentBus())
    around.before(resumed=False)
    proofs = around.after(trained(subject), subject.load_adapter)
    assert [proof.name for proof in proofs] == ["adapter_moved", "base_unchanged", "adapter_reloads"]
    around.before(resumed=True)


def test_a_training_that_changes_the_base_or_nothing_stops(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path, section(proofs={"canary_rows": 0, "rehearsal": False}))
    around = ProofsAround(subject, SilentBus())
    around.before(resumed=False)
    folder = trained(subject, steps=0)
    with torch.no_grad():
        subject.model.get_parameter("base_model.model.model.norm.weight").add_(1e-3)
    with pytest.raises(ProofError, match=r"not handed on: adapter_moved: 0 of 28 .*base_unchanged: 1 tensors.*norm"):
        around.after(folder, subject.load_adapter)


def test_a_base_that_changed_since_the_run_began_is_refused(tmp_path: Path) -> None:
    subject = BareSubject(tmp_path)
    save_base_model_checksums(subject.model, tmp_path)
    with torch.no_grad():
        subject.model.get_parameter("base_model.model.model.norm.weight").add_(1e-3)
    with pytest.raises(DataError, match=r"run was begun on: 1 tensors differ, model\.norm") as caught:
        ProofsAround(subject, SilentBus()).before(resumed=True)
    assert caught.value.code is ErrorCode.DATA_CHANGED


# ── the runner ────────────────────────────────────────────────────────────────────────────────────────


def test_every_cheap_proof_that_failed_is_listed_and_no_dear_one_runs(tmp_path: Path) -> None:
    subject = BaseLearns(tmp_path)
    subject.training_rows = [replace(row, ids=row.ids + np.uint32(500)) for row in subject.training_rows]
    dear: list[str] = []

    def prove(_: object) -> Proof:
        dear.append("ran")
        return Proof(name="dear", passed=True, message="")

    entries = [
        Entry("dear", prove, dear=True),
        Entry("only_adapter_trainable", prove_only_adapter),
        Entry("vocabulary", prove_vocabulary),
    ]
    with pytest.raises(
        ProofError, match=r"(?s)not begun: only_adapter_trainable: .*norm.*; vocabulary: .*rows"
    ) as caught:
        run_proofs(subject, entries, SilentBus(), "before")
    assert caught.value.code is ErrorCode.INVALID_STATE
    assert caught.value.remedy
    assert len(caught.value.details["failed"]) == 2
    assert not dear


def test_dear_proofs_stop_at_the_first_that_fails(tmp_path: Path) -> None:
    subject = LearningRateZero(tmp_path, section(proofs=CANARY))
    entries = [Entry("adapter_on", prove_adapter_on, dear=True), Entry("canary", prove_canary, dear=True)]
    with pytest.raises(ProofError, match="adapter_on: a step moves none") as caught:
        run_proofs(subject, entries, SilentBus(), "before")
    assert len(caught.value.details["failed"]) == 1
