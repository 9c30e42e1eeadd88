"""One merge: write every candidate, ask the adapter on its base, ask the candidates, publish the best or nothing.

    base files + updates ─▶ candidate ─ load again ─▶ answers ─┐
    dequantised + updates ─▶ candidate ─ load again ─▶ answers ─┼─▶ report ─▶ merged model, or a refusal
    base + adapter (quantised as it was trained) ─▶ answers ────┘

One model is in memory at a time; the matrices are merged one by one, file by file.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import JsonValue

from loquela.artifacts.adapter import AdapterFolder
from loquela.artifacts.base import Base
from loquela.artifacts.folders import heal_folder, remove_abandoned, whole_folder
from loquela.artifacts.manifest import Manifest, write_manifest
from loquela.artifacts.merge_report import KIND, REPORT_NAME, MergeCandidate, MergeReport
from loquela.artifacts.passport import BASE_FACT
from loquela.core.atomic import write_json, write_text
from loquela.core.errors import DataError, ErrorCode, ProofError
from loquela.core.versions import package_versions
from loquela.finetuning.merging.card import merged_card
from loquela.finetuning.merging.dequantized import dequantized
from loquela.finetuning.merging.judging import best, failures
from loquela.finetuning.merging.outputs import GREEDY_TOKENS, Recorded, compare
from loquela.finetuning.merging.prompts import Prompts
from loquela.finetuning.merging.rewriting import SUFFIX, Replaced, Rewritten, copy_others, rewrite, unnamed
from loquela.finetuning.merging.updates import Update, read_updates
from loquela.finetuning.merging.whole import merge_whole
from loquela.models.pretrained.adapters import attach_saved
from loquela.models.pretrained.causal import CausalModel
from loquela.models.pretrained.load import DtypeName, QuantizationPlan, load_base_model
from loquela.models.pretrained.open import open_base
from loquela.models.pretrained.safetensors_headers import read_headers
from loquela.monitoring.events import Bus, trace
from loquela.recipe.finetune_section import MergeBase, MergeOptions

COMPONENT = "AdapterMerger"
FAILED_SUFFIX = ".failed.json"
CANDIDATES, ANSWERS = "candidates", "answers"
FP32_BYTES = 4
# A network needs some room beside its weights.
ROOM = 1.3
LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "safetensors")


@dataclass
class Merge:
    """One merge of `adapter` and `base` to the folder `place`.

    `quantization` is how the base was stored while the adapter learnt, None where it was not quantised; `parents` go
    into the manifest, role → digest.
    """

    base: Base
    adapter: AdapterFolder
    place: Path
    prompts: Prompts
    options: MergeOptions
    quantization: QuantizationPlan | None
    parents: dict[str, str]
    bus: Bus
    device: str = "cpu"
    _updates: list[Update] = field(init=False)

    def run(self) -> Manifest:
        """Make the merged model at `place`, replacing what is there.

        Raises DataError(COMPATIBILITY_ERROR) for another base than the adapter's, ProofError
        (PERFORMANCE_BELOW_THRESHOLD) when no candidate is within the limits: then nothing is published and the
        report is kept beside `place`; else as loading and the file system.
        """
        self._check_base()
        self._updates = read_updates(self.adapter.directory)
        heal_folder(self.place)
        remove_abandoned(self.place)
        trace(self.bus, COMPONENT, "merge_start", base=self.base.identity.source, adapter=str(self.adapter.directory))
        failed = self.place.with_name(self.place.name + FAILED_SUFFIX)
        with whole_folder(self.place) as folder:
            report = self._measured(folder)
            if report.chosen is None:
                write_json(failed, report.model_dump(mode="json"))
                raise self._refusal(report, failed)
            manifest = self._finish(folder, report, report.chosen)
        failed.unlink(missing_ok=True)
        trace(self.bus, COMPONENT, "merge_complete", path=str(self.place), base=report.chosen, digest=manifest.digest)
        return manifest

    @property
    def settings(self) -> dict[str, JsonValue]:
        """What of the recipe decides the outcome, as the manifest keeps it."""
        return {"finetune.merge": self.options.model_dump(mode="json")}

    def _check_base(self) -> None:
        wanted, found = self.adapter.base, self.base.identity
        if wanted.digest != found.digest:
            differing = sorted(
                name
                for name in wanted.files.keys() | found.files.keys()
                if wanted.files.get(name) != found.files.get(name)
            )
            raise DataError(
                ErrorCode.COMPATIBILITY_ERROR,
                f"the adapter in {self.adapter.directory} was trained on {wanted.source} ({wanted.digest[:12]}), not "
                f"on {found.source} ({found.digest[:12]}); other: {', '.join(differing) or 'the shape'}",
                "give the base that it was trained on with --base",
                details={"wanted": wanted.digest, "found": found.digest},
            )

    def _measured(self, folder: Path) -> MergeReport:
        """All candidates below `folder`, compared."""
        written = self._write_candidates(folder / CANDIDATES)
        answers = folder / ANSWERS
        answers.mkdir()
        recorded = Recorded(answers, self._reference(), self.prompts, self.base.identity.eos_ids)
        gc.collect()
        candidates = [
            self._candidate(folder / CANDIDATES / name, name, rewritten, recorded)
            for name, rewritten in written.items()
        ]
        shutil.rmtree(answers)
        taken = best(candidates)
        return MergeReport(
            passed=not taken.failures,
            chosen=None if taken.failures else taken.base,
            reference=self._reference_in_words(),
            prompts=self.prompts.origin,
            prompts_compared=len(recorded.prompts),
            positions_compared=recorded.positions,
            greedy_tokens=GREEDY_TOKENS,
            arithmetic=self._arithmetic(),
            candidates=candidates,
            limits=self.options,
            base_source=self.base.identity.without_place().source,
            base_digest=self.base.identity.digest,
            adapter_digest=self.adapter.digest,
            libraries=package_versions(LIBRARIES),
        )

    def _write_candidates(self, folder: Path) -> dict[MergeBase, Rewritten]:
        if self.quantization is None:
            return {"full": self._write(folder / "full", {})}
        written: dict[MergeBase, Rewritten] = {}
        for name in self.options.bases:
            replaced = self._dequantized() if name == "dequantized" else {}
            written[name] = self._write(folder / name, replaced)
            gc.collect()
        return written

    def _dequantized(self) -> Replaced:
        model = load_base_model(self.base, dtype=self._arithmetic(), quantization=self.quantization, device=self.device)
        return dequantized(model.network, self._tensors())

    def _write(self, folder: Path, replaced: Replaced) -> Rewritten:
        folder.mkdir(parents=True)
        copy_others(self.base.folder, self.base.identity.files, folder)
        self.adapter.copy_tokenizer(folder)
        if unnamed(self._updates, set(self._tensors())):
            return merge_whole(self.base, self.adapter.directory, folder, replaced)
        return rewrite(self.base.folder, self._weight_files(), self._updates, folder, replaced)

    def _tensors(self) -> list[str]:
        return [name for file in self._weight_files() for name in read_headers(self.base.folder / file)]

    def _weight_files(self) -> list[str]:
        return [name for name in self.base.identity.files if name.endswith(SUFFIX)]

    def _reference(self) -> CausalModel:
        model = load_base_model(self.base, dtype=self._arithmetic(), quantization=self.quantization, device=self.device)
        return attach_saved(model, self.adapter.directory)

    def _candidate(self, folder: Path, name: MergeBase, rewritten: Rewritten, recorded: Recorded) -> MergeCandidate:
        model = load_base_model(open_base(folder), dtype=self._arithmetic(), device=self.device)
        likeness = compare(recorded, model)
        trace(
            self.bus,
            COMPONENT,
            "candidate_measured",
            base=name,
            mean_kl=likeness.mean_kl,
            top1_agreement=likeness.top1_agreement,
        )
        return MergeCandidate(
            base=name,
            number_format=rewritten.number_formats,
            tensors=rewritten.tensors,
            changed_tensors=rewritten.changed,
            size_bytes=rewritten.size_bytes,
            mean_kl=likeness.mean_kl,
            max_kl=likeness.max_kl,
            top1_agreement=likeness.top1_agreement,
            greedy_match=likeness.greedy_match,
            greedy_tokens_equal=likeness.greedy_tokens_equal,
            max_logit_difference=likeness.max_logit_difference,
            failures=failures(likeness, self.options),
        )

    def _arithmetic(self) -> DtypeName:
        """fp32, so that nothing but the merge differs; bf16 where that would not fit into memory."""
        needed = self.base.identity.parameters * FP32_BYTES * ROOM
        return "fp32" if self.device != "cpu" or needed < psutil.virtual_memory().available else "bf16"

    def _reference_in_words(self) -> str:
        if self.quantization is None:
            return f"the adapter on its base, both in {self._arithmetic()}"
        return f"the adapter on its base quantised to {self.quantization.kind}, as it was trained"

    def _finish(self, folder: Path, report: MergeReport, chosen: MergeBase) -> Manifest:
        for path in sorted((folder / CANDIDATES / chosen).iterdir()):
            path.rename(folder / path.name)
        shutil.rmtree(folder / CANDIDATES)
        write_json(folder / REPORT_NAME, report.model_dump(mode="json"))
        identity = self.base.identity.without_place()
        write_text(folder / "README.md", merged_card(report, identity, self.place.name))
        base: JsonValue = identity.model_dump(mode="json")
        return write_manifest(
            folder,
            KIND,
            settings=self.settings,
            parents=self.parents,
            facts={BASE_FACT: base, **_numbers(report)},
        )

    def _refusal(self, report: MergeReport, kept: Path) -> ProofError:
        said = [f"on the {each.base} base: {'; '.join(each.failures)}" for each in report.candidates]
        return ProofError(
            ErrorCode.PERFORMANCE_BELOW_THRESHOLD,
            f"the merged model is too far from the adapter on its base: {', '.join(said)}; nothing is published, the "
            f"report is {kept}",
            "use the adapter on its base without merging (finetune.merge.enabled: false), or raise the limits under "
            "finetune.merge in the recipe",
            details={"report": str(kept), "failures": list(said)},
        )


def _numbers(report: MergeReport) -> dict[str, JsonValue]:
    taken = report.taken
    if taken is None:
        return {}
    numbers: Sequence[str] = ("mean_kl", "top1_agreement", "greedy_match", "max_logit_difference")
    return {"chosen": taken.base, **{name: getattr(taken, name) for name in numbers}}
