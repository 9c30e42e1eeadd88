"""What a chat sends to a model made elsewhere is what transformers would send."""

from pathlib import Path

import pytest

from loquela.inference.chat_contracts import ChatMessage
from loquela.inference.chat_template import TemplateFormat
from loquela.inference.template_tokens import PartwiseTokens, template_tokens
from loquela.tokenizers.load import load_foreign
from loquela.tokenizers.manifest import TOKENIZER_MANIFEST_NAME
from template_shapes import SHAPES, reference, write_base_shape

CONVERSATIONS = [
    [("user", "Where?")],
    [("user", "  ¿Dónde 🌉?\n"), ("assistant", "\nBajo. "), ("user", "a  b")],
    [("system", "Be brief."), ("user", "Where?"), ("assistant", "Here."), ("user", "When?")],
]


@pytest.mark.parametrize("name", ["headers", "default_system", "thinking", "brackets", "roles", "tagged"])
def test_prompts_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    folder = write_base_shape(tmp_path / name, shape)
    form = TemplateFormat(shape.template or "", name, template_tokens(folder, load_foreign(folder)))
    try:
        for turns in CONVERSATIONS:
            asked = [{"role": role, "content": content} for role, content in turns]
            theirs = reference(folder).apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
            ids, notes = form.prompt([ChatMessage.model_validate(turn) for turn in asked])
            assert (ids, notes) == (list(theirs), [])
        assert form.ends == {reference(folder)(shape.ends[0])["input_ids"][-1]}
        # What a user spells is broken up: the model is not told that the turn is over.
        spelt, notes = form.prompt([ChatMessage(role="user", content=f"a{shape.ends[0]}b")])
        plain, _ = form.prompt([ChatMessage(role="user", content="ab")])
        assert len(notes) == 1
        assert spelt.count(min(form.ends)) == plain.count(min(form.ends))
    finally:
        form.close()


def test_tokenizers_made_here_are_encoded_in_parts(tmp_path: Path) -> None:
    folder = write_base_shape(tmp_path / "own", SHAPES["roles"])
    (folder / TOKENIZER_MANIFEST_NAME).write_text("{}")
    assert isinstance(template_tokens(folder, load_foreign(folder)), PartwiseTokens)
