"""The names under which columns and keys are known in the wild, and which of them make up a format."""

from __future__ import annotations

from dataclasses import dataclass

from loquela.recipe.examples_section import ExampleFormat

# Role → names it goes by, the usual one first. Names are compared in lower case.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation", "chat", "dialog", "dialogue"),
    "prompt": ("prompt", "question", "query", "problem"),
    "completion": ("completion", "answer", "response", "solution"),
    "instruction": ("instruction",),
    "input": ("input", "context"),
    "output": ("output", "response"),
    "instances": ("instances",),
    "text": ("text",),
    "chosen": ("chosen", "chosen_response", "preferred", "accepted", "response_chosen", "better"),
    "rejected": ("rejected", "rejected_response", "dispreferred", "non_preferred", "response_rejected", "worse"),
    "label": ("label", "kto_tag", "desirable", "is_desirable"),
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
    "history": ("history",),
}

# Keys of a turn.
ROLE_KEYS = ("role", "from", "speaker")
CONTENT_KEYS = ("content", "value", "text")
TRAINED_KEYS = ("trained", "train", "training")
WEIGHT_KEYS = ("weight", "loss_weight")

# What files call the speakers.
ROLE_NAMES: dict[str, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
CALL_ROLES = ("function_call", "tool_call")


@dataclass(frozen=True)
class Shape:
    """One way to write a format down: the roles it needs and those it may have."""

    format: ExampleFormat
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


SHAPES = (
    Shape("alpaca", ("instruction", "output"), ("input", "system", "history")),
    Shape("alpaca", ("instruction", "instances")),
    Shape("messages", ("messages",), ("system", "tools")),
    Shape("prompt_completion", ("prompt", "completion"), ("system", "history", "tools")),
    Shape("text", ("text",)),
    Shape("preference", ("messages", "chosen", "rejected"), ("system", "tools")),
    Shape("preference", ("prompt", "chosen", "rejected"), ("system", "history", "tools")),
    Shape("preference", ("instruction", "chosen", "rejected"), ("input", "system", "history")),
    Shape("preference", ("chosen", "rejected"), ("system", "tools")),
    Shape("feedback", ("messages", "label"), ("system", "tools")),
    Shape("feedback", ("prompt", "completion", "label"), ("system", "history", "tools")),
    Shape("feedback", ("instruction", "output", "label"), ("input", "system", "history")),
)
