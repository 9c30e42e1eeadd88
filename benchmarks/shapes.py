"""The models that training speed is measured on. No library is imported here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A GPT-2-shaped model and its batch; `batch_size` rows of `context` tokens make one optimizer step."""

    name: str
    layers: int
    d_model: int
    heads: int
    feed_forward: int
    vocab_size: int
    context: int
    batch_size: int
    warmup_steps: int
    measured_steps: int

    @property
    def step_tokens(self) -> int:
        """Tokens of one optimizer step."""
        return self.batch_size * self.context


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("seed", 2, 128, 4, 256, 8000, 128, 32, warmup_steps=10, measured_steps=40),
        Shape("char", 6, 384, 6, 1536, 65, 256, 16, warmup_steps=2, measured_steps=8),
        Shape("gpt2", 12, 768, 12, 3072, 50257, 512, 4, warmup_steps=1, measured_steps=3),
    )
}
