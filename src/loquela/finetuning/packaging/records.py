"""Records of a fine-tuning beside its artifacts: every step, the summary, the results.

metrics_history.jsonl    one line for each logged step and each evaluation, as training wrote them
training_summary.json    the numbers of the run in one place
training_results.json    the summary, the evaluation, the merge, every proof, and the digest of the package
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.final_artifact import ArtifactMetadata
from loquela.core.atomic import atomic_path, write_json

STEPS_NAME = "metrics.jsonl"
HISTORY_NAME = "metrics_history.jsonl"
SUMMARY_NAME = "training_summary.json"
RESULTS_NAME = "training_results.json"


def write_run_records(run: Path, metadata: ArtifactMetadata, digest: str) -> None:
    """Write the three into the run's folder; `digest` is that of the package. ResourceError as the file system."""
    if (run / STEPS_NAME).is_file():
        with atomic_path(run / HISTORY_NAME) as temporary:
            shutil.copyfile(run / STEPS_NAME, temporary)
    summary = training_summary(metadata)
    write_json(run / SUMMARY_NAME, summary)
    whole = metadata.model_dump(mode="json")
    results: dict[str, JsonValue] = {
        "summary": summary,
        "evaluation": whole["evaluation"],
        "merge": whole["merge"],
        "proofs": whole["proofs"],
        "base_unchanged": metadata.base.unchanged,
        "chain": whole["chain"],
        "final_artifact": digest,
    }
    write_json(run / RESULTS_NAME, results)


def training_summary(metadata: ArtifactMetadata) -> dict[str, JsonValue]:
    """Facts of the training, with what it was and what it learnt from."""
    data: JsonValue = metadata.data.model_dump(mode="json")
    return {
        "name": metadata.name,
        "run_id": metadata.run_id,
        "task": metadata.task,
        "method": metadata.method,
        "base": metadata.base.source,
        "base_digest": metadata.base.digest,
        "data": data,
        **metadata.training,
    }
