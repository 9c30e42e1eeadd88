"""`generate` of transformers on the same folder, greedily, every token taken from its streamer."""

import os
import sys
from pathlib import Path

import torch
from inference_clock import NEW_TOKENS, PROMPT, REPEATS, Clock
from transformers import AutoModelForCausalLM
from transformers.generation.streamers import BaseStreamer

torch.set_num_threads(len(os.sched_getaffinity(0)))
clock = Clock()


class Ticks(BaseStreamer):
    """Counts tokens; the prompt comes first, then the token that reading it gave."""

    def __init__(self) -> None:
        self.put_already = 0

    def put(self, value: torch.Tensor) -> None:
        self.put_already += 1
        if self.put_already == 2:
            clock.begin()
        elif self.put_already > 2:
            clock.token()

    def end(self) -> None:
        clock.rest()


model = AutoModelForCausalLM.from_pretrained(Path(sys.argv[1]) / "final")
model.eval()
prompt = torch.tensor([PROMPT])
settings = {"attention_mask": torch.ones_like(prompt), "do_sample": False, "pad_token_id": 0}
model.generate(prompt, max_new_tokens=1, **settings)
clock.first()
for repeat in range(REPEATS + 1):
    model.generate(prompt, max_new_tokens=NEW_TOKENS + 1, min_new_tokens=NEW_TOKENS + 1, streamer=Ticks(), **settings)
    if repeat == 0:
        clock.warmed_up()
clock.report()
