"""The work itself, side by side: losses, answers, general questions, tasks; streamed, then brought together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import Tensor

from loquela.artifacts.base import BaseIdentity
from loquela.core.atomic import write_json, write_text
from loquela.core.digests import digest_json
from loquela.evaluation.tuned.answers import answer_batch, left_to_do, stop_tokens
from loquela.evaluation.tuned.contracts import SIDES, ComparisonReport, RowScores, Side
from loquela.evaluation.tuned.forgetting import KINDS, GeneralQuestions, forgetting_reports
from loquela.evaluation.tuned.gates import METRICS_NAME
from loquela.evaluation.tuned.harness import harness_reports, run_task
from loquela.evaluation.tuned.harness_model import HarnessModel
from loquela.evaluation.tuned.held_out import HeldOut, HeldOutRow, held_out
from loquela.evaluation.tuned.losses import row_losses
from loquela.evaluation.tuned.metric_contract import SchemaCheck
from loquela.evaluation.tuned.preflight import wanted_metrics
from loquela.evaluation.tuned.records import ROWS_NAME, Records
from loquela.evaluation.tuned.report import SHOWN_ROWS, notes_for, report_markdown
from loquela.evaluation.tuned.schema_file import read_schema
from loquela.evaluation.tuned.scoring import Comparer, score_rows
from loquela.evaluation.tuned.sides import LoadPlan, Sides
from loquela.models.pretrained.causal import CausalModel
from loquela.monitoring.events import Bus
from loquela.recipe.tuned_section import TunedSection
from loquela.tokenizers.contract import ABSENT
from loquela.tokenizers.of_base import load_base_tokenizer

REPORT_NAME = "report.md"
PROBE_TOKENS = 64
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Inputs:
    """What is compared on what. `adapter_digest` and `examples_digest` tell these apart from others."""

    sides: Sides
    examples: Path
    adapter_digest: str
    examples_digest: str


@dataclass(frozen=True)
class Surroundings:
    """`between` is called after every token and batch and may end the work by what it raises."""

    bus: Bus
    between: Callable[[], None]


class Comparison:
    """One comparison in `directory`; `run` does what is not done yet."""

    def __init__(
        self, inputs: Inputs, section: TunedSection, directory: Path, around: Surroundings, *, seed: int
    ) -> None:
        self.sides = inputs.sides
        self.section = section
        self.directory = directory
        self.around = around
        self.seed = seed
        self.inputs = inputs
        self.tokenizer = load_base_tokenizer(inputs.sides.base)
        self.schema: SchemaCheck | None = None if section.json_schema is None else read_schema(section.json_schema)
        self.held: HeldOut = held_out(
            inputs.examples, self.decode, context=self.identity.context, most=section.rows, seed=seed
        )
        self.stop_ids = stop_tokens(self.held.rows, self.identity.eos_ids, self.decode)
        self.pad_id = max(self.tokenizer.pad_id, 0)
        self.records = Records(directory, self._belongs_to(inputs))

    @property
    def identity(self) -> BaseIdentity:
        """Of the base."""
        return self.sides.base.identity

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids` without control tokens; rows of the embedding that are no token say nothing."""
        return self.tokenizer.decode([token for token in ids if token < self.tokenizer.vocab_size])

    def run(self) -> ComparisonReport:
        """Measure what is missing and write the report; errors as of the parts."""
        for side in SIDES:
            with self.sides.side(side, self._probe()) as model:
                self._losses(model, side)
                self._answers(model, side)
                self._forgetting(model, side)
                self._harness(model, side)
        return self._report()

    # ── measuring ─────────────────────────────────────────────────────────────────────────────────────

    def _losses(self, model: CausalModel, side: Side) -> None:
        done = {loss.example for loss in self.records.losses.lines if loss.side == side}
        left = sorted(
            (row for row in self.held.rows if row.example.id not in done),
            key=lambda row: (len(row.ids), row.example.id),
        )

        batches = row_losses(model, left, side, batch_size=self.section.batch_size, pad_id=self.pad_id)
        for found in batches:
            self.records.losses.add(found)
            self._progress(side, "losses", len(done) + len(found), len(self.held.rows))
            done.update(loss.example for loss in found)
            self.around.between()

    def _answers(self, model: CausalModel, side: Side) -> None:
        done = {answer.example for answer in self.records.answers.lines if answer.side == side}
        for batch in left_to_do(self.held.rows, self.section.batch_size, done):
            found = answer_batch(
                model,
                batch,
                side,
                self.decode,
                max_new_tokens=self.section.max_new_tokens,
                stop_ids=self.stop_ids,
                pad_id=self.pad_id,
                between=self.around.between,
            )
            self.records.answers.add(found)
            done.update(answer.example for answer in found)
            self._progress(side, "answers", len(done), len(self.held.asked))

    def _forgetting(self, model: CausalModel, side: Side) -> None:
        done = {score.kind for score in self.records.forgetting.lines if score.side == side}
        kinds = [kind for kind in KINDS if kind not in done] if self.section.forgetting else []
        asked = GeneralQuestions(
            model,
            self.tokenizer.encode,
            begin_id=self._begin_id(),
            pad_id=self.pad_id,
            batch_size=self.section.batch_size,
            between=self.around.between,
        )
        for number, score in enumerate(asked.scores(side, kinds), start=len(done) + 1):
            self.records.forgetting.add([score])
            self._progress(side, "general questions", number, len(KINDS))

    def _harness(self, model: CausalModel, side: Side) -> None:
        done = {score.task for score in self.records.harness.lines if score.side == side}
        asked = HarnessModel(
            model,
            self.tokenizer.encode,
            self.decode,
            begin_id=self._begin_id(),
            pad_id=self.pad_id,
            stop_ids=sorted(self.stop_ids),
            batch_size=self.section.batch_size,
            between=self.around.between,
        )
        for number, task in enumerate(self.section.harness, start=1):
            if task not in done:
                self.records.harness.add(run_task(asked, side, task, rows=self.section.harness_rows, seed=self.seed))
            self._progress(side, "tasks", number, len(self.section.harness))

    # ── bringing together ─────────────────────────────────────────────────────────────────────────────

    def _report(self) -> ComparisonReport:
        metrics = wanted_metrics(self.section)
        scores = list(score_rows(self.held, self.records.answers.lines, metrics, self.schema))
        units = {row.example.id: row.unit for row in self.held.rows}
        comparer = Comparer(units, samples=self.section.bootstrap_samples, seed=self.seed)
        report = ComparisonReport(
            seed=self.seed,
            split=self.held.split,
            rows_total=self.held.total,
            rows=len(self.held.rows),
            left_out=self.held.left_out,
            base=self.identity.source,
            base_digest=self.identity.digest,
            adapter_digest=self.inputs.adapter_digest,
            method="adapter" if self.sides.is_adapter else "full",
            base_equals_plain=self.sides.base_equals_plain,
            metrics=[
                *comparer.losses(self.records.losses.lines),
                *(comparer.metric(name, scores) for name in metrics),
            ],
            forgetting=forgetting_reports(self.records.forgetting.lines),
            harness=harness_reports(self.records.harness.lines),
        )
        report.notes = notes_for(report.metrics, report)
        self._write(report, scores)
        return report

    def _write(self, report: ComparisonReport, scores: list[RowScores]) -> None:
        write_json(self.directory / METRICS_NAME, report.model_dump(mode="json"))
        write_text(self.directory / ROWS_NAME, "".join(row.model_dump_json() + "\n" for row in scores))
        write_text(self.directory / REPORT_NAME, report_markdown(report, scores[:SHOWN_ROWS]))

    # ── small parts ───────────────────────────────────────────────────────────────────────────────────

    def _belongs_to(self, inputs: Inputs) -> dict[str, JsonValue]:
        """Everything that decides what the streamed lines say."""
        plan: LoadPlan = self.sides.plan
        quantization = plan.quantization
        return {
            "format_version": FORMAT_VERSION,
            "base": self.identity.digest,
            "adapter": inputs.adapter_digest,
            "examples": inputs.examples_digest,
            "rows": digest_json([row.example.id for row in self.held.rows]),
            "seed": self.seed,
            "dtype": plan.dtype,
            "device": plan.device,
            "quantization": None if quantization is None else f"{quantization.kind} {quantization.compute}",
            "max_new_tokens": self.section.max_new_tokens,
            "batch_size": self.section.batch_size,
            "harness_rows": self.section.harness_rows,
        }

    def _probe(self) -> Tensor:
        row: HeldOutRow = self.held.rows[0]
        return torch.from_numpy(row.ids[:PROBE_TOKENS].copy())[None]

    def _begin_id(self) -> int:
        """What stands before a text without a beginning: the tokenizer's own token for it, else the end of a text."""
        return self.identity.eos_ids[0] if self.tokenizer.bos_id == ABSENT else self.tokenizer.bos_id

    def _progress(self, side: Side, what: str, done: int, total: int) -> None:
        self.around.bus.publish(
            "evaluation.comparison_progress.v1",
            {"side": side, "what": what, "done": done, "total": total},
            component="evaluation",
        )
