"""A fresh process that opens a bundle, proves it and answers a load.

    python -m loquela.evaluation.deployment.load_process

One `LoadJob` on standard input; lines of `LoadMessage` on standard output, the last with what was measured or what
failed. It imports what serving the bundle needs and nothing else, so that its memory and its start are those of a
device that only runs the model. It ends by itself when the one that asked is gone.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import time
from typing import BinaryIO

import psutil

from loquela.artifacts.bundle import Bundle, open_bundle
from loquela.artifacts.normalization import normalize_text, read_normalization
from loquela.compute.memory import peak_memory_bytes
from loquela.core.carried_error import CarriedError
from loquela.core.errors import DataError, ErrorCode, LoquelaError, ProofError, RecipeError, ResourceError
from loquela.evaluation.deployment.arrivals import arrival_times
from loquela.evaluation.deployment.job import LoadJob, LoadMessage, LoadRun
from loquela.evaluation.deployment.serving import NotFinite, Server, token_gaps
from loquela.inference.runtimes.contract import UNLIMITED, Runtime
from loquela.inference.runtimes.registry import runtime_opener

MEBIBYTE = 2**20
GRACE_SECONDS = 5.0
WARM_UP_REQUESTS = 3
# Where nothing says how fast requests should come: as many as keep the bundle busy half of the time.
UTILISATION = 0.5
MOST_PER_SECOND = 10_000.0


def main() -> int:
    """Do the job on standard input; the exit code is 0 unless this process is ended."""
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not stand between the lines.
    os.dup2(2, 1)
    job = LoadJob.model_validate_json(sys.stdin.buffer.readline())
    limit_process(job)
    try:
        message = LoadMessage(run=measure(job, answers))
    except LoquelaError as error:
        message = LoadMessage(failure=CarriedError.of(error))
    except MemoryError:
        message = LoadMessage(failure=CarriedError.of(_out_of_memory(job)))
    _say(answers, message)
    return 0


def limit_process(job: LoadJob) -> None:
    """Let the kernel end this process where it takes more than it may."""
    memory, cpu = job.limits.memory_mb * MEBIBYTE, job.limits.cpu_seconds
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + math.ceil(GRACE_SECONDS)))
    signal.setitimer(signal.ITIMER_REAL, job.limits.wall_seconds + GRACE_SECONDS)


def measure(job: LoadJob, answers: BinaryIO) -> LoadRun:
    """Open, prove, warm up, load; raises what makes the bundle impossible to measure."""
    bundle = open_bundle(job.bundle)
    runtime = _open(bundle)
    try:
        prompts, cut = prompts_of(bundle, job, runtime)
        server = Server(runtime, bundle.facts.vocab_size)
        server.likeliest(runtime.start(prompts[0]))
        cold_start = time.time() - psutil.Process().create_time()
        loaded = psutil.Process().memory_info().rss / MEBIBYTE
        golden = server.golden(bundle.facts.golden)
        rate = _warm_up(server, prompts, job)
        load = job.load
        # Fewer requests where they would not all arrive in time at the rate that the bundle itself decided.
        count = min(load.requests, max(1, math.floor(rate * load.max_seconds)))
        arrivals = arrival_times(count, rate, load.arrivals, load.seed + job.repeat)
        served = server.serve(
            prompts, arrivals, load.new_tokens, load.max_seconds, lambda count: _say(answers, LoadMessage(served=count))
        )
        last = max((request.finished for request in served if request.finished is not None), default=0.0)
        return LoadRun(
            rate_per_second=rate,
            seconds=max(last, count / rate),
            busy_seconds=server.busy_seconds,
            requests=served,
            gaps=token_gaps(server.gaps),
            golden=golden,
            cold_start_seconds=cold_start,
            loaded_mb=loaded,
            rss_mb=psutil.Process().memory_info().rss / MEBIBYTE,
            peak_mb=peak_memory_bytes() / MEBIBYTE,
            cut_prompts=cut,
        )
    except NotFinite as error:
        raise ProofError(
            ErrorCode.INFERENCE_FAILED, f"{job.bundle}: {error}", "export the model again, and evaluate it first"
        ) from error
    finally:
        runtime.close()


def _open(bundle: Bundle) -> Runtime:
    facts = bundle.facts
    runtime = runtime_opener(facts.runtime)(bundle.directory, facts)
    if runtime.vocab_size < facts.vocab_size or runtime.context not in (facts.context, UNLIMITED):
        raise DataError(
            ErrorCode.COMPATIBILITY_ERROR,
            f"{bundle.directory}: bundle.json speaks of {facts.vocab_size} tokens and a context of {facts.context}, "
            f"the model has {runtime.vocab_size} and {runtime.context}",
            "export the model again; the bundle and its model do not belong together",
        )
    return runtime


def prompts_of(bundle: Bundle, job: LoadJob, runtime: Runtime) -> tuple[list[list[int]], int]:
    """The golden prompts and the recipe's own as ids, and how many had to be cut.

    Raises RecipeError(SEQUENCE_TOO_LONG) for one that leaves no room in the context, where it may not be cut.
    """
    prompts = [(f"golden prompt {index}", golden.prompt_ids) for index, golden in enumerate(bundle.facts.golden)]
    if job.load.prompts:
        # Only a bundle that is asked in words needs its tokenizer here.
        from loquela.tokenizers.load import load_tokenizer

        tokenizer, normalization = load_tokenizer(bundle.tokenizer), read_normalization(bundle.tokenizer)
        for index, text in enumerate(job.load.prompts):
            ids = tokenizer.encode(normalize_text(text, normalization))
            prompts.append((f"deploy.load.prompts[{index}]", ids or [max(0, bundle.facts.eos_id)]))
    room = runtime.context - job.load.new_tokens
    if room < 1:
        raise RecipeError(
            ErrorCode.SEQUENCE_TOO_LONG,
            f"deploy.load.new_tokens is {job.load.new_tokens}, the context of the model only {runtime.context} tokens",
            f"set deploy.load.new_tokens to {max(1, runtime.context - 1)} or less",
        )
    cut = 0
    for name, ids in prompts:
        if len(ids) > room:
            cut += 1
            if job.load.overlong_prompts == "refuse":
                raise RecipeError(
                    ErrorCode.SEQUENCE_TOO_LONG,
                    f"{name} has {len(ids)} tokens: with {job.load.new_tokens} new ones that is more than the context "
                    f"of {runtime.context}",
                    "shorten it, lower deploy.load.new_tokens, or set deploy.load.overlong_prompts: cut",
                )
    return [ids[-room:] for _, ids in prompts], cut


def _warm_up(server: Server, prompts: list[list[int]], job: LoadJob) -> float:
    """Answer a few requests that do not count; the rate of the load, in requests per second."""
    load = job.load
    server.serve(prompts, [0.0] * WARM_UP_REQUESTS, load.new_tokens, load.max_seconds)
    seconds = server.busy_seconds / WARM_UP_REQUESTS
    server.gaps.clear()
    server.busy_seconds = 0.0
    if job.rate_per_second is not None:
        return job.rate_per_second
    return min(UTILISATION / seconds, MOST_PER_SECOND)


def _out_of_memory(job: LoadJob) -> ResourceError:
    return ResourceError(
        ErrorCode.OOM,
        f"running {job.bundle} needs more than the {job.limits.memory_mb} MB of address space that it may take",
        "raise deploy.limits.memory_mb, or export a smaller model",
    )


def _say(answers: BinaryIO, message: LoadMessage) -> None:
    answers.write(message.model_dump_json(exclude_none=True).encode("utf-8") + b"\n")
    answers.flush()


if __name__ == "__main__":
    raise SystemExit(main())
