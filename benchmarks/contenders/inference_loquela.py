"""Loquela's engine on a run or a bundle, whatever runtime that names."""

import os
import sys
from pathlib import Path

from inference_clock import NEW_TOKENS, PROMPT, REPEATS, Clock

from loquela.inference.decoding import Decoding
from loquela.inference.open import open_engine
from loquela.inference.sampling import likeliest

clock = Clock()
engine = open_engine(Path(sys.argv[1]))
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(len(os.sched_getaffinity(0)))
likeliest(engine.runtime.start(PROMPT))
clock.first()
for repeat in range(REPEATS + 1):
    decoding = Decoding(engine.runtime, PROMPT)
    token = likeliest(decoding.start())
    clock.begin()
    for _ in range(NEW_TOKENS):
        token = likeliest(decoding.advance(token))
        clock.token()
    clock.rest()
    if repeat == 0:
        clock.warmed_up()
clock.report()
