"""One export: check, prune, write, run it, measure it, publish it whole or not at all.

model ─ prune ─▶ exporter ─▶ files ─ runtime ─▶ logits ─ parity ─▶ bundle, or a report of what is wrong
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loquela.artifacts.bundle import (
    BUNDLE_KIND,
    REPORT_NAME,
    TOKENIZER_FOLDER,
    Bundle,
    BundleFacts,
    GoldenPrompt,
    open_bundle,
    write_facts,
)
from loquela.artifacts.folders import heal_folder, remove_abandoned, whole_folder
from loquela.artifacts.manifest import write_manifest
from loquela.core.atomic import write_error, write_json, write_text
from loquela.core.errors import ErrorCode, ProofError, RecipeError
from loquela.core.versions import package_versions
from loquela.export.card import model_card
from loquela.export.contract import Exporter, TokenizerFacts, Written
from loquela.export.contracts import ExportReport, PruningCost
from loquela.export.opening import OpenedModel, opened
from loquela.export.parity.held_out import HeldOut, held_out_text, longest_window
from loquela.export.parity.judge import failures
from loquela.export.parity.logits import compare, continuations, mean_loss
from loquela.export.parity.own_text import own_text
from loquela.export.parity.tokens import compare_tokens
from loquela.export.pruning import prune
from loquela.export.registry import EXPORTERS
from loquela.export.source import ModelSource
from loquela.export.tokenizer_files import copy_tokenizer
from loquela.inference.runtimes.contract import Runtime
from loquela.inference.runtimes.registry import runtime_opener
from loquela.inference.runtimes.torch_model import TorchRuntime
from loquela.inference.text_edges import beginning_id, stop_ids
from loquela.models.contract import LanguageModel
from loquela.models.folder import save_model
from loquela.monitoring.events import Bus, trace
from loquela.recipe.export_section import ExportSection, ExportTarget
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_tokenizer

COMPONENT = "ModelExporter"
LIBRARIES = ("torch", "onnx", "onnxruntime", "gguf", "xllamacpp", "transformers")
FAILED_SUFFIX = ".failed.json"


@dataclass
class Export:
    """One export of `source` to the folder `place`.

    `held_out` is what it is measured on, shards or examples of a run; None: text that the model writes.
    """

    source: ModelSource
    target: ExportTarget
    place: Path
    section: ExportSection
    held_out: Path | None
    bus: Bus
    _tokenizer: TokenizerHandle = field(init=False)
    _opened: OpenedModel = field(init=False)
    _held_out: HeldOut = field(init=False)

    def run(self) -> Bundle:
        """Make the bundle at `place`, replacing what is there.

        Raises RecipeError(UNSUPPORTED_FORMAT) for a combination that cannot be, ProofError (EXPORT_FAILED, or
        OPTIMIZATION_ERROR where weights were changed) when a limit does not hold: then nothing is published and the
        report is kept beside `place`; DataError and ResourceError as loading, the runtime and the file system.
        """
        trace(self.bus, COMPONENT, "export_start", format=self.target.format, source=str(self.source.model))
        exporter = EXPORTERS.get(self.target.format)
        failed = self.place.with_name(self.place.name + FAILED_SUFFIX)
        with (
            self._open(exporter),
            self._place() as folder,
            self._pruned() as (model_folder, pruning),
        ):
            written = exporter.write(model_folder, self.source.tokenizer, folder, self.target.quantize)
            self._trace_optimization(written, pruning)
            report = self._finish(folder, exporter, written, pruning)
            if not report.passed:
                write_json(failed, report.model_dump(mode="json"))
                raise self._too_far(report, failed)
        failed.unlink(missing_ok=True)
        bundle = open_bundle(self.place)
        size = sum(record.size_bytes for record in bundle.manifest.files)
        trace(self.bus, COMPONENT, "export_complete", path=str(self.place), bytes=size)
        return bundle

    @property
    def _model(self) -> LanguageModel:
        return self._opened.model

    @contextmanager
    def _open(self, exporter: Exporter) -> Iterator[None]:
        with opened(self.source.model) as self._opened:
            config = self._model.config
            self._tokenizer = load_tokenizer(self.source.tokenizer)
            exporter.check(config, tokenizer_facts(self._tokenizer), self.target.quantize)
            window = longest_window(config.max_sequence_length, config.vocab_size)
            self._held_out = self._text(window)
            yield

    def _text(self, window: int) -> HeldOut:
        """Held-out text of the run; where there is none, text that the model writes."""
        tokenizer, tokens = self._tokenizer, self.section.held_out_tokens
        kept = held_out_text(self.held_out, tokenizer, window, tokens)
        if kept is not None:
            return kept
        first = beginning_id(self.source.tokenizer)
        return own_text(self._model, tokenizer, max(tokenizer.eos_id, 0) if first is None else first, window, tokens)

    @contextmanager
    def _place(self) -> Iterator[Path]:
        _check_place(self.place)
        heal_folder(self.place)
        remove_abandoned(self.place)
        with whole_folder(self.place) as folder:
            yield folder

    @contextmanager
    def _pruned(self) -> Iterator[tuple[Path, PruningCost | None]]:
        """The folder to export: the source's own, or a pruned copy for as long as it is needed."""
        if not self.target.prune:
            yield self._opened.folder, None
            return
        before = mean_loss(TorchRuntime(self._model), self._held_out, self._tokenizer.vocab_size)
        zeros = prune(self._model, self.target.prune)
        after = mean_loss(TorchRuntime(self._model), self._held_out, self._tokenizer.vocab_size)
        with tempfile.TemporaryDirectory(prefix="loquela-pruned-") as name:
            tokenizer = self._tokenizer
            save_model(
                self._model, Path(name), bos_id=tokenizer.bos_id, eos_id=tokenizer.eos_id, pad_id=tokenizer.pad_id
            )
            yield Path(name), PruningCost(share=self.target.prune, zeros=zeros, loss_before=before, loss_after=after)

    def _trace_optimization(self, written: Written, pruning: PruningCost | None) -> None:
        trace(
            self.bus,
            COMPONENT,
            "optimization_applied",
            quantization=self.target.quantize,
            scheme=written.scheme,
            zeros=pruning.zeros if pruning else 0,
        )

    def _finish(self, folder: Path, exporter: Exporter, written: Written, pruning: PruningCost | None) -> ExportReport:
        """Everything of the bundle but its place: tokenizer, facts, measurements, card, manifest."""
        model_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        copy_tokenizer(self.source.tokenizer, folder / TOKENIZER_FOLDER)
        facts = self._facts(exporter, written)
        runtime = runtime_opener(exporter.runtime)(folder, facts)
        try:
            report = self._measure(runtime, folder, written, pruning, model_bytes)
        finally:
            runtime.close()
        facts.golden = [
            GoldenPrompt(prompt_ids=each.prompt_ids, continuation_ids=each.exported_ids)
            for each in report.continuations
        ]
        write_facts(folder, facts)
        write_json(folder / REPORT_NAME, report.model_dump(mode="json"))
        if not (folder / "README.md").exists():
            write_text(folder / "README.md", model_card(report, facts, self.place.name))
        write_manifest(
            folder,
            BUNDLE_KIND,
            settings={"target": self.target.model_dump(mode="json")},
            parents={self.source.role: self.source.digest},
            facts=facts.model_dump(mode="json", exclude={"golden"}),
        )
        return report

    def _facts(self, exporter: Exporter, written: Written) -> BundleFacts:
        config = self._model.config
        return BundleFacts(
            format=self.target.format,
            quantization=self.target.quantize,
            scheme=written.scheme,
            pruning=self.target.prune,
            family=config.family,
            parameters=sum(parameter.numel() for parameter in self._model.parameters()),
            context=config.max_sequence_length,
            vocab_size=config.vocab_size,
            eos_id=self._tokenizer.eos_id,
            stop_ids=sorted(stop_ids(self._opened.folder) - {self._tokenizer.eos_id}),
            beginning_id=beginning_id(self.source.tokenizer),
            model_file=written.model_file,
            runtime=exporter.runtime,
        )

    def _measure(
        self, runtime: Runtime, folder: Path, written: Written, pruning: PruningCost | None, model_bytes: int
    ) -> ExportReport:
        # What pruning costs is measured by itself.
        reference = self._opened.reference if pruning is None else TorchRuntime(self._model)
        vocabulary = self._tokenizer.vocab_size
        logits = compare(reference, runtime, self._held_out, vocabulary)
        tokens = compare_tokens(self._tokenizer, runtime, load_tokenizer(folder / TOKENIZER_FOLDER))
        limits = self.section.limits_of(self.target.quantize)
        weights = self._opened.folder.glob("*.safetensors")
        return ExportReport(
            format=self.target.format,
            quantization=self.target.quantize,
            scheme=written.scheme,
            source=self.source.name,
            checkpoint_digest=self.source.digest,
            family=self._model.config.family,
            parameters=sum(parameter.numel() for parameter in self._model.parameters()),
            reference_bytes=sum(path.stat().st_size for path in weights),
            model_bytes=model_bytes,
            logits=logits,
            continuations=continuations(
                reference, runtime, self._held_out, self.section.continuation_tokens, vocabulary
            ),
            tokenizer=tokens,
            pruning=pruning,
            limits=limits,
            failures=failures(logits, tokens, pruning, limits, self.section.max_pruning_loss_increase),
            libraries=package_versions(LIBRARIES),
        )

    def _too_far(self, report: ExportReport, kept: Path) -> ProofError:
        changed = self.target.quantize != "none" or self.target.prune > 0
        return ProofError(
            ErrorCode.OPTIMIZATION_ERROR if changed else ErrorCode.EXPORT_FAILED,
            f"the export {self.place.name} is too far from its model: {'; '.join(report.failures)}; nothing is "
            f"published, the report is {kept}",
            "export with less quantisation or pruning, or raise the limits under export in the recipe (or by --set)",
            details={"report": str(kept), "failures": [*report.failures]},
        )


def tokenizer_facts(tokenizer: TokenizerHandle) -> TokenizerFacts:
    """What is known of a tokenizer that is there."""
    return TokenizerFacts(tokenizer.method, "")


def _check_place(place: Path) -> None:
    """A folder that is no export is never replaced."""
    if place.exists() and not (place.is_dir() and ((place / "bundle.json").is_file() or not any(place.iterdir()))):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{place} exists and is no export: it would be replaced",
            "choose another folder with --output, or remove that one",
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, place) from error
