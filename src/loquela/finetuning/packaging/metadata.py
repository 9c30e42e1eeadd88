"""metadata.json of a final artifact: every part of it read from what the run left, none from memory."""

from __future__ import annotations

import platform
from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from loquela.artifacts.base import base_location, read_base
from loquela.artifacts.examples_ledger import ExamplesLedger
from loquela.artifacts.final_artifact import (
    ArtifactMetadata,
    BaseRecord,
    ChainLink,
    DataChange,
    DataRecord,
    EvaluationRow,
    Interval,
    MergeRecord,
    ProofRecord,
)
from loquela.artifacts.manifest import corrupt
from loquela.artifacts.merge_report import read_merge_report
from loquela.core.digests import digest_file
from loquela.core.errors import ErrorCode, ProofError
from loquela.core.model import BoundaryModel
from loquela.core.versions import package_versions
from loquela.finetuning.packaging.sources import EVALUATION_SOURCE, PackageSources

LIBRARIES = (
    "loquela",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "bitsandbytes",
    "tokenizers",
    "safetensors",
    "numpy",
)
# The step whose every change is told.
OVERLONG = "overlong"
# From documents to the merged model; what a run has not is left out.
ORDER = ("documents", "qa", "examples", "base", "adapter", "comparison", "merged")


class _EvaluatedMetric(BoundaryModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    rows: int
    base: Interval
    adapter: Interval
    difference: Interval
    verdict: str


class _Evaluation(BoundaryModel):
    """What is taken from the comparison's report."""

    model_config = ConfigDict(extra="ignore")

    metrics: list[_EvaluatedMetric] = Field(default_factory=list)


def create_artifact_metadata(sources: PackageSources) -> ArtifactMetadata:
    """Everything that is known of the run's adapter; the base's files are hashed once more for it.

    Raises DataError(CORRUPTION) for a record that cannot be read, ProofError(DATA_CHANGED) for a base that is not what
    it was.
    """
    proofs = sources.proofs()
    metadata = ArtifactMetadata(
        name=sources.name,
        run_id=sources.run.name,
        task=sources.section.task,
        method=sources.section.method,
        base=_base_record(sources.folders["base"]),
        data=_data_record(sources, sources.ledger()),
        training=sources.manifests["adapter"].facts,
        effective_settings=sources.effective_settings(),
        proofs=[ProofRecord(name=each.name, passed=each.passed, message=each.message) for each in proofs],
        evaluation=_evaluation(sources),
        merge=_merge_record(sources),
        chain=_chain(sources),
        versions={"python": platform.python_version(), **package_versions(LIBRARIES)},
        hardware=sources.run_facts("hardware"),
        git=sources.run_facts("git"),
    )
    return ArtifactMetadata.model_validate(sources.places.value(metadata.model_dump(mode="json")))


def _base_record(folder: Path) -> BaseRecord:
    identity = read_base(folder)
    place = base_location(folder, identity)
    before = {name: record.sha256 for name, record in identity.files.items()}
    after = {name: digest_file(place / name) for name in before if (place / name).is_file()}
    changed = sorted(name for name in before if before[name] != after.get(name))
    if changed:
        raise ProofError(
            ErrorCode.DATA_CHANGED,
            f"the base {identity.source} in {place} is not what it was before the training: {', '.join(changed)}",
            "put the old files back, then run the same command again with --resume auto",
            details={"files": list(changed)},
        )
    return BaseRecord(
        source=identity.without_place().source,
        revision=identity.revision,
        architecture=identity.architecture,
        parameters=identity.parameters,
        digest=identity.digest,
        files_before=before,
        files_after=after,
        unchanged=before == after,
    )


def _data_record(sources: PackageSources, ledger: ExamplesLedger | None) -> DataRecord:
    manifest = sources.manifests["examples"]
    template = manifest.facts.get("template")
    return DataRecord(
        digest=manifest.digest,
        splits=ledger.splits if ledger is not None else {},
        changes=[] if ledger is None else _changes(ledger),
        template=template if isinstance(template, str) else None,
    )


def _changes(ledger: ExamplesLedger) -> list[DataChange]:
    """Whatever lost something, and all that became of rows that were too long."""
    return [
        DataChange(
            step=arrow.arrow,
            reason=change.reason,
            examples=change.touched,
            left_out=max(0, -change.items),
            tokens=change.tokens,
            trained_tokens=change.learnt_tokens,
        )
        for arrow in ledger.arrows
        for change in arrow.changes
        if arrow.arrow == OVERLONG or min(change.items, change.tokens, change.learnt_tokens) < 0
    ]


def _evaluation(sources: PackageSources) -> list[EvaluationRow]:
    try:
        found = _Evaluation.model_validate(sources.evaluation())
    except ValidationError as error:
        raise corrupt(sources.folders["comparison"], f"{EVALUATION_SOURCE} cannot be read as a comparison") from error
    return [EvaluationRow.model_validate(metric.model_dump()) for metric in found.metrics]


def _merge_record(sources: PackageSources) -> MergeRecord | None:
    if "merged" not in sources.folders:
        return None
    taken = read_merge_report(sources.folders["merged"]).taken
    if taken is None:
        raise corrupt(sources.folders["merged"], "its report says that no candidate was taken")
    return MergeRecord(
        digest=sources.manifests["merged"].digest,
        base=taken.base,
        mean_kl=taken.mean_kl,
        top1_agreement=taken.top1_agreement,
        greedy_match=taken.greedy_match,
    )


def _chain(sources: PackageSources) -> list[ChainLink]:
    """Every artifact with its parents; of the documents only the digest is known where the questions came from them."""
    links = {
        role: ChainLink(role=role, digest=manifest.digest, parents=manifest.parents)
        for role, manifest in sources.manifests.items()
    }
    documents = [manifest.parents["corpus"] for manifest in sources.manifests.values() if "corpus" in manifest.parents]
    if documents:
        links["documents"] = ChainLink(role="documents", digest=documents[0])
    return [links[role] for role in ORDER if role in links]
