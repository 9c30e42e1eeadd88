"""llama.cpp's own server loop, in this process, greedily; tokens per second as it measures them itself."""

import os
import sys
from pathlib import Path

import xllamacpp
from inference_clock import NEW_TOKENS, PROMPT, REPEATS, Clock

clock = Clock()
params = xllamacpp.CommonParams()
params.model.path = str(next(Path(sys.argv[1]).glob("*.gguf")))
params.n_ctx = 256
params.n_parallel = 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = len(os.sched_getaffinity(0))
params.warmup = False
server = xllamacpp.Server(params)
request = {"prompt": PROMPT, "temperature": 0, "top_k": 1, "ignore_eos": True, "cache_prompt": False}
server.handle_completions({**request, "n_predict": 1})
clock.first()
milliseconds, tokens = 0.0, 0
for repeat in range(REPEATS + 1):
    clock.begin()
    answer = server.handle_completions({**request, "n_predict": NEW_TOKENS + 1})
    clock.rest()
    if repeat == 0:
        clock.warmed_up()
    else:
        milliseconds += answer["timings"]["predicted_ms"]
        tokens += answer["timings"]["predicted_n"] - 1
clock.seconds = [milliseconds / 1000 / tokens] * tokens
# It tells the mean only; its seconds of the processor have the prompt in them.
clock.report(p50_ms=None, p95_ms=None)
