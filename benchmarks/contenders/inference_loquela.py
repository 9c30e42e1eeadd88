"""Loquela's engine on a run or a bundle, whatever runtime that names."""

import sys
import time
from pathlib import Path

from inference_clock import NEW_TOKENS, PROMPT, REPEATS, Clock

from loquela.inference.contracts import GenerateRequest
from loquela.inference.decoding import Decoding
from loquela.inference.open import open_engine
from loquela.inference.sampling import likeliest

clock = Clock()
engine = open_engine(Path(sys.argv[1]))
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)
likeliest(engine.runtime.start(PROMPT))
clock.first()
for repeat in range(REPEATS + 1):
    decoding = Decoding(engine.runtime, PROMPT)
    token = likeliest(decoding.start())
    clock.begin()
    for _ in range(NEW_TOKENS):
        token = likeliest(decoding.advance(token))
        clock.token()
    if repeat == 0:  # warm-up
        clock.seconds.clear()
began, steps = time.perf_counter(), 0
for seed in range(REPEATS):
    request = GenerateRequest(prompt_text="ba", max_new_tokens=NEW_TOKENS, stop_on_eos=False, top_k=50, seed=seed)
    steps += engine.generate(request).steps[0]
clock.report(sampled_text_tokens_per_second=steps / (time.perf_counter() - began))
