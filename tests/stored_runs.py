"""Small run folders as `loquela run` leaves them, without training anything."""

from __future__ import annotations

import uuid
from pathlib import Path

from loquela.artifacts.manifest import write_manifest
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.records import NewJob
from loquela.jobs.states import JobState, Reason
from loquela.jobs.submissions import Submissions
from loquela.recipe.schema import Recipe
from loquela.runs.manifest import StageRecord, TrainingRunManifest
from loquela.runs.seal import write_seal
from loquela.runs.status import Phase, PipelineStatus

TOKENIZER_KEY = "0123456789abcdef"


def make_run(
    data: Path, run_id: str = "tiny-1", *, phase: Phase = Phase.COMPLETE, weights: bytes = b"w" * 5000
) -> Path:
    """A run with weights, checkpoints, tokenizer, report, an export and its records."""
    run = data / "runs" / run_id
    for name in ("final", "best", "tokenizer", "eval", "exports/onnx-int8"):
        (run / name).mkdir(parents=True)
    for name in ("final", "best"):
        (run / name / "model.safetensors").write_bytes(weights)
    (run / "tokenizer" / "tokenizer.json").write_bytes(b"{}")
    (run / "eval" / "metrics.json").write_bytes(b'{"loss": 1}')
    (run / "exports" / "onnx-int8" / "bundle.json").write_bytes(b"{}")
    for name in ("final", "best", "tokenizer", "eval", "exports/onnx-int8"):
        write_manifest(run / name, name.partition("/")[0])
    checkpoint = run / "checkpoints" / "00000007"
    checkpoint.mkdir(parents=True)
    (checkpoint / "optimizer.safetensors").write_bytes(b"o" * 9000)
    (run / "logs").mkdir()
    (run / "logs" / "system.log").write_bytes(b"it trained\n")
    (run / "metrics.jsonl").write_bytes(b'{"step": 1}\n')
    recipe = Recipe.model_validate({"name": "tiny", "data": {"sources": ["builtin:stories"]}})
    record = StageRecord(
        stage="tokenizer", key=TOKENIZER_KEY, digest="d", directory="elsewhere", reused=False, seconds=0.0
    )
    status = PipelineStatus(run_id=run_id, current_phase=phase)
    TrainingRunManifest(
        run_id=run_id, pipeline_id=uuid.uuid4(), recipe=recipe, seed=1, versions={}, hardware={},
        stages={"tokenizer": record},
    ).save(run)  # fmt: skip
    status.save(run)
    write_seal(run)
    return run


def everything(root: Path) -> dict[str, bytes]:
    """Every file that belongs to the run itself."""
    own = ("run.lock", "pointer.json", "pointer.lock")
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in own
    }


def ended_job(database, clock, run_id: str, kind: str = "run", job_id: str | None = None, *, state=JobState.SUCCEEDED):
    """A job on a run, from its request to its end."""
    Submissions(database, clock).submit(NewJob(id=job_id or run_id, kind=kind, run_id=run_id, spec={}))
    claims = Claims(database, clock)
    job = claims.claim(Holder("w", "h", "b"), (kind,))
    assert job is not None
    return claims.end(claims.started(job, pid=1), Ended(state, Reason.FINISHED))
