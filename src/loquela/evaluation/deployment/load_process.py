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
import traceback
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
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_tokenizer

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
    except Exception as error:  # libraries raise whatever a file leads them to
        message = LoadMessage(failure=CarriedError.of(_gave_up(job, error)))
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
        # Whoever serves the bundle needs its tokenizer: it belongs to the start and to the memory.
        tokenizer = load_tokenizer(bundle.tokenizer)
        prompts, cut = prompts_of(bundle, job, runtime.context, tokenizer)
        server = Server(runtime, tokenizer.vocab_size)
        first = runtime.start(prompts[0])
        _check_vocabulary(bundle, len(first), tokenizer.vocab_size)
        server.likeliest(first)
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
    try:
        runtime = runtime_opener(facts.runtime)(bundle.directory, facts)
    except (LoquelaError, MemoryError):
        raise
    except Exception as error:  # libraries raise whatever a file leads them to
        raise _unfit(bundle, f"its runtime {facts.runtime} cannot open it: {_first_line(error)}") from error
    if runtime.context not in (facts.context, UNLIMITED):
        runtime.close()
        raise _unfit(bundle, f"bundle.json speaks of a context of {facts.context}, the model has {runtime.context}")
    return runtime


def _check_vocabulary(bundle: Bundle, columns: int, tokens: int) -> None:
    if not tokens <= bundle.facts.vocab_size <= columns:
        said = bundle.facts.vocab_size
        raise _unfit(bundle, f"bundle.json speaks of {said} tokens, its tokenizer has {tokens} and its model {columns}")


def _unfit(bundle: Bundle, why: str) -> DataError:
    return DataError(
        ErrorCode.COMPATIBILITY_ERROR,
        f"the bundle {bundle.directory} cannot be run: {why}",
        "export the model again",
        details={"path": str(bundle.directory)},
    )


def _gave_up(job: LoadJob, error: Exception) -> ProofError:
    return ProofError(
        ErrorCode.INFERENCE_FAILED,
        f"the bundle {job.bundle} gave no measurement: {_first_line(error)}",
        "export the model again, and try the bundle by hand: loquela generate BUNDLE",
        details={"path": str(job.bundle), "traceback": "".join(traceback.format_exception(error))[-4000:]},
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:500]


def prompts_of(bundle: Bundle, job: LoadJob, context: int, tokenizer: TokenizerHandle) -> tuple[list[list[int]], int]:
    """What is asked under load: the golden prompts and the recipe's own, as ids, and how many of them were cut.

    Golden prompts were proven whole and may be cut. Raises RecipeError(SEQUENCE_TOO_LONG) for one of the recipe that
    leaves no room in the context, unless it may be cut, too.
    """
    golden = [prompt.prompt_ids for prompt in bundle.facts.golden]
    normalization = read_normalization(bundle.tokenizer)
    ours = [tokenizer.encode(normalize_text(text, normalization)) for text in job.load.prompts]
    room = context - job.load.new_tokens
    if room < 1:
        raise RecipeError(
            ErrorCode.SEQUENCE_TOO_LONG,
            f"deploy.load.new_tokens is {job.load.new_tokens}, the context of the model only {context} tokens",
            f"set deploy.load.new_tokens to {max(1, context - 1)} or less",
        )
    for index, ids in enumerate(ours):
        if len(ids) > room and job.load.overlong_prompts == "refuse":
            raise RecipeError(
                ErrorCode.SEQUENCE_TOO_LONG,
                f"deploy.load.prompts[{index}] has {len(ids)} tokens: with {job.load.new_tokens} new ones that is more "
                f"than the context of {context}",
                "shorten it, lower deploy.load.new_tokens, or set deploy.load.overlong_prompts: cut",
            )
    prompts = [ids or [max(0, bundle.facts.eos_id)] for ids in (*golden, *ours)]
    return [ids[-room:] for ids in prompts], sum(len(ids) > room for ids in prompts)


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
