"""llama.cpp's own server loop, in this process, greedily; tokens per second as it measures them itself."""

import sys
from pathlib import Path

import xllamacpp
from inference_clock import NEW_TOKENS, PROMPT, REPEATS, Clock

clock = Clock()
params = xllamacpp.CommonParams()
params.model.path = str(next(Path(sys.argv[1]).glob("*.gguf")))
params.n_ctx = 256
params.n_parallel = 1
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.warmup = False
server = xllamacpp.Server(params)
request = {"prompt": PROMPT, "temperature": 0, "top_k": 1, "ignore_eos": True, "cache_prompt": False}
server.handle_completions({**request, "n_predict": 1})
clock.first()
milliseconds, tokens = 0.0, 0
for repeat in range(REPEATS + 1):
    answer = server.handle_completions({**request, "n_predict": NEW_TOKENS + 1})
    if repeat:  # the first is the warm-up
        milliseconds += answer["timings"]["predicted_ms"]
        tokens += answer["timings"]["predicted_n"] - 1
clock.seconds = [milliseconds / 1000 / tokens] * tokens
# It tells the mean only.
clock.report(p50_ms=None, p95_ms=None)
