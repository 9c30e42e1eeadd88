"""Is a run on disk still what it was? What `loquela verify` proves, for one run."""

from __future__ import annotations

from loquela.core.errors import ErrorCode, ProofError
from loquela.jobs.records import JSON_OBJECT, JsonObject
from loquela.runs.verify import verify_run
from loquela.worker.folders import JobRequest, keep_result
from loquela.worker.performers.on_run import begun_run, stopped_at_once


def perform(request: JobRequest) -> JsonObject:
    """All proofs of the run; where one fails, ProofError(VALIDATION_FAILED) with the report kept as the result."""
    with stopped_at_once():
        report = verify_run(begun_run(request))
    result = JSON_OBJECT.validate_python(report.model_dump(mode="json"))
    failed = [proof.name for proof in report.proofs if not proof.passed]
    if failed:
        keep_result(request, result)
        raise ProofError(
            ErrorCode.VALIDATION_FAILED,
            f"{len(failed)} of {len(report.proofs)} proofs of run {request.run_id} fail: {', '.join(failed)}",
            "the job's result says of each what mends it",
        )
    return result
