"""A fine-tuning of transformers and PEFT alone, as plain as can be: faults are planted in it for the proofs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import peft
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from loquela.artifacts.token_rows import TokenRow
from loquela.recipe.finetune_section import FinetuneSection
from toy_bases import toy_base

ANSWERS = {
    "Where does the river run?": "It runs under the bridge.",
    "¿Dónde corre el río?": "Corre bajo el puente.",
    "Give the numbers.": '{"answer": [1, 2.5, true]}',
    "What runs past the mill?": "The river runs past the old mill.",
    "Who is helpful?": "You are.",
    "Count.": "0123456789",
}


CANARY = {"canary_rows": 6, "canary_steps": 60, "canary_learning_rate": 2e-2}


def section(**changes: object) -> FinetuneSection:
    """Settings that let a tiny random model learn a few rows by heart."""
    values: dict[str, object] = {
        "base": "toy",
        "lora": {"rank": 8, "alpha": 16, "dropout": 0.0},
        "learning_rate": 2e-2,
        "batch_size": 3,
        "proofs": CANARY,
    }
    return FinetuneSection.model_validate({**values, **changes})


class BareSubject:
    """Right in everything; a test overrides one method to plant a fault."""

    def __init__(self, directory: Path, settings: FinetuneSection | None = None, shape: str = "llama") -> None:
        self.settings = settings or section()
        self.directory = directory
        self.examples = directory
        self.precision = "fp32"
        folder = toy_base(shape)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        torch.manual_seed(0)
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
        self.model = self.adapted(base)
        self.stop_ids = frozenset({self.token("<|im_end|>")})
        self.training_rows = self.rows(ANSWERS)
        self.evaluation_rows = self.rows(dict(list(ANSWERS.items())[:2]))

    def adapted(self, base: torch.nn.Module) -> torch.nn.Module:
        lora = self.settings.lora
        return peft.get_peft_model(
            base,
            peft.LoraConfig(
                task_type="CAUSAL_LM",
                r=lora.rank,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=lora.target_modules,
            ),
        )

    def check_stop(self) -> None:
        """Nobody asks."""

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────

    def token(self, text: str) -> int:
        found = self.tokenizer.token_to_id(text)
        assert found is not None
        return found

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def rows(self, answers: Mapping[str, str]) -> list[TokenRow]:
        return [self.row(f"example-{at}", *pair) for at, pair in enumerate(answers.items())]

    def row(self, name: str, question: str, answer: str) -> TokenRow:
        asked = self.encode(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")
        given = self.encode(f"{answer}<|im_end|>")
        after = self.encode("\n")
        ids = np.array(asked + given + after, dtype=np.uint32)
        weights = np.array([0] * len(asked) + [1] * len(given) + [0] * len(after), dtype=np.float32)
        return TokenRow((name,), ids, weights, (len(ids),))

    # ── what training does ────────────────────────────────────────────────────────────────────────────

    def batch(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        """A padded batch; packed rows come alone, with positions that start anew."""
        longest = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), longest), self.token("<|endoftext|>"))
        labels = torch.full((len(rows), longest), -100)
        positions = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for at, row in enumerate(rows):
            tokens = torch.from_numpy(row.ids.astype(np.int64))
            ids[at, : len(tokens)] = tokens
            learnt = torch.from_numpy(row.weights) != 0
            learnt &= torch.from_numpy(row.positions) != 0
            labels[at, : len(tokens)][learnt] = tokens[learnt]
            positions[at, : len(tokens)] = torch.from_numpy(row.positions)
            mask[at, : len(tokens)] = 1
        if all(len(row.lengths) == 1 for row in rows):
            return {"input_ids": ids, "labels": labels, "attention_mask": mask}
        # A new sequence begins where positions start anew; padding counts as one sequence a token.
        return {"input_ids": ids, "labels": labels, "position_ids": positions}

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        # With a cache, transformers takes positions that start anew for those of one sequence.
        return self.model(**{name: value for name, value in batch.items() if name != "labels"}, use_cache=False).logits

    @torch.no_grad()
    def logits(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        self.model.eval()
        return self.forward(batch)

    def token_losses(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Sum over learnt tokens."""
        logits = self.forward(batch)[:, :-1].flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, batch["labels"][:, 1:].flatten(), reduction="sum")

    def learnt(self, batch: Mapping[str, torch.Tensor]) -> int:
        return int((batch["labels"][:, 1:] != -100).sum())

    def step_gradients(self, micro_batches: Sequence[Mapping[str, torch.Tensor]]) -> float:
        self.model.train()
        self.model.zero_grad()
        count = sum(self.learnt(batch) for batch in micro_batches)
        total = 0.0
        for batch in micro_batches:
            loss = self.token_losses(batch) / count
            loss.backward()
            total += loss.item()
        return total

    writes = True

    def new_optimizer(self, learning_rate: float) -> torch.optim.Optimizer:
        learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(learning, lr=learning_rate, weight_decay=self.settings.weight_decay)

    @torch.no_grad()
    def evaluate(self, rows: Sequence[TokenRow]) -> float:
        self.model.eval()
        batch = self.batch(rows)
        return self.token_losses(batch).item() / self.learnt(batch)

    @torch.no_grad()
    def generate(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
        self.model.eval()
        return [self.answer(list(prompt), max_new_tokens) for prompt in prompts]

    def answer(self, ids: list[int], max_new_tokens: int) -> list[int]:
        given: list[int] = []
        while len(given) < max_new_tokens and not (given and given[-1] in self.stop_ids):
            given.append(int(self.forward({"input_ids": torch.tensor([ids + given])})[0, -1].argmax()))
        return given

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids))

    # ── checkpoints ───────────────────────────────────────────────────────────────────────────────────

    def save_state(self, directory: Path, optimizer: torch.optim.Optimizer) -> None:
        directory.mkdir(exist_ok=True)
        save_file(self.adapter(), directory / "adapter.safetensors")
        state = optimizer.state_dict()["state"]
        flat = {f"{at}.{name}": value.clone() for at, entry in state.items() for name, value in entry.items()}
        save_file(flat, directory / "optimizer.safetensors")

    def load_state(self, directory: Path, optimizer: torch.optim.Optimizer) -> None:
        self.load_adapter(directory)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in load_file(directory / "optimizer.safetensors").items():
            at, _, field = name.partition(".")
            state.setdefault(int(at), {})[field] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

    def adapter(self) -> dict[str, torch.Tensor]:
        return {name: each.detach().clone() for name, each in self.model.named_parameters() if each.requires_grad}

    def load_adapter(self, directory: Path) -> None:
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, value in load_file(directory / "adapter.safetensors").items():
                parameters[name].copy_(value)

    def effective_settings(self) -> dict[str, object]:
        return {"batch_size": self.settings.batch_size}


def packed(rows: Sequence[TokenRow]) -> TokenRow:
    """Several rows as one."""
    return TokenRow(
        tuple(name for row in rows for name in row.examples),
        np.concatenate([row.ids for row in rows]),
        np.concatenate([row.weights for row in rows]),
        tuple(length for row in rows for length in row.lengths),
    )
