"""Where a text begins and ends for a model made elsewhere, by the files beside it."""

from __future__ import annotations

from pathlib import Path

from loquela.models.pretrained.folder_files import CONFIG_NAME, GENERATION_NAME, optional_json
from loquela.tokenizers.contract import JSON_NAME
from loquela.tokenizers.manifest import TOKENIZER_MANIFEST_NAME
from loquela.tokenizers.template_text import open_template_tokenizer


def stop_ids(folder: Path) -> frozenset[int]:
    """Tokens that end a text by config.json and generation_config.json, besides the tokenizer's own end of text."""
    found: set[int] = set()
    for name in (CONFIG_NAME, GENERATION_NAME):
        said = optional_json(folder / name).get("eos_token_id")
        found |= {number for number in (said if isinstance(said, list) else [said]) if isinstance(number, int)}
    return frozenset(found)


def beginning_id(place: Path) -> int | None:
    """The one token that the tokenizer in `place` puts in front of every text; None where it puts none, or is ours."""
    if (place / TOKENIZER_MANIFEST_NAME).is_file() or not (place / JSON_NAME).is_file():
        return None
    tokenizer = open_template_tokenizer(place)
    framed, plain = tokenizer.encode_plain("a"), tokenizer.encode("a")
    before = framed[: next((at for at in range(len(framed)) if framed[at : at + len(plain)] == plain), 0)]
    return before[0] if len(before) == 1 else None
