"""The tiny base as others publish theirs: weights, tokenizer and a chat template in one folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from loquela.core.atomic import atomic_path, write_json, write_text

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")
SETTINGS = "tokenizer_config.json"
TEMPLATE_NAME = "chat_template.jinja"
# The end of an answer is the tokenizer's own end token; a line end before it keeps the answer's tokens apart.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{{ message['content'] }}{{ eos_token }}
{%- else -%}
Question: {{ message['content'] }}{{ '\\nAnswer:\\n' }}
{%- endif -%}
{%- endfor -%}
"""


def publish_base(run_directory: Path, folder: Path) -> None:
    """Make `folder` of what the run `run_directory` trained; a folder with the same files stays as it is."""
    final = run_directory / "final"
    for name in MODEL_FILES:
        if not _same(final / name, folder / name):
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(final / name, temporary)
    settings = json.loads((final / SETTINGS).read_text(encoding="utf-8"))
    # A chat template writes the end token as text, which has to become that token again.
    settings.pop("split_special_tokens", None)
    write_json(folder / SETTINGS, settings)
    write_text(folder / TEMPLATE_NAME, CHAT_TEMPLATE)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()
