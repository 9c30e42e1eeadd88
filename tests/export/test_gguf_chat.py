"""Chat templates: inside the file for llama.cpp, as a Modelfile for Ollama."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf_models import exported
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ollama_files import read_modelfile, write_conversation

from toy_run import make_tokenizer

pytest.importorskip("gguf", reason="the package gguf is not installed")

from loquela.core.errors import RecipeError
from loquela.data.examples.templates import alpaca, chatml
from loquela.export.formats.gguf.modelfile import modelfile, ollama_template, stop_texts
from loquela.export.formats.gguf.turns import Turns, find_turns

NAMES = {"bos_token": "<bos>", "eos_token": "<eos>"}
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content"
    " + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def test_chatml_becomes_the_texts_around_turns():
    turns = find_turns(chatml.JINJA, "chatml", NAMES)
    assert turns == Turns(
        head="",
        system=("<|im_start|>system\n", "<|im_end|>\n"),
        user=("<|im_start|>user\n", "<|im_end|>\n"),
        assistant=("<|im_start|>assistant\n", "<|im_end|>\n"),
        answer="<|im_start|>assistant\n",
    )
    assert ollama_template(turns) == (
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
        '{{ range .Messages }}{{ if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n'
        '{{ else if eq .Role "assistant" }}<|im_start|>assistant\n{{ .Content }}<|im_end|>\n{{ end }}{{ end }}'
        "<|im_start|>assistant\n"
    )
    assert stop_texts(turns, "<eos>") == ["<|im_end|>", "<eos>"]


def test_what_stands_before_a_conversation_without_a_system_message_is_kept():
    turns = find_turns(alpaca.JINJA, "alpaca", NAMES)
    assert turns is not None
    assert (turns.head, turns.system) == (alpaca.WITHOUT_INPUT, ("", ""))
    assert f"{{{{ else }}}}{alpaca.WITHOUT_INPUT}{{{{ end }}}}" in (ollama_template(turns) or "")
    assert stop_texts(turns, "<eos>") == ["<eos>"]


def test_a_beginning_of_text_token_stands_once():
    turns = find_turns(LLAMA3, "llama3", NAMES)
    assert turns is not None
    assert turns.text(["user=x"]).count("<bos>") == turns.text(["system=s", "user=x"]).count("<bos>") == 1


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ loop.index ~ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
        "{% for m in messages %}{{ m.role ~ m.content | trim ~ '\n' }}{% endfor %}{{ messages | length }}",
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[-1].content }}",
    ],
)
def test_a_template_that_does_more_is_not_made_into_less(template):
    assert find_turns(template, "t", NAMES) is None
    text = modelfile("model.gguf", 64, None, has_template=True, stops=["<eos>"])
    assert "does more than put fixed texts around turns" in text
    assert 'TEMPLATE """{{ .Prompt }}"""' in text


def test_a_broken_template_is_an_error():
    with pytest.raises(RecipeError, match="broken.jinja"):
        find_turns("{% for m in messages %}", "broken.jinja", NAMES)


def test_texts_that_go_templates_cannot_hold_are_not_put_into_one():
    turns = Turns(head="{{ x }}", system=("", ""), user=("", ""), assistant=("", ""), answer="")
    assert ollama_template(turns) is None


PROBES = (["user=a b"], ["system=Be kind.", "user=x\ny"], ["user=1", "assistant=2", "user=3"], ["system=s", "user=1"])


@pytest.mark.parametrize("template", [chatml.JINJA, alpaca.JINJA, LLAMA3], ids=["chatml", "alpaca", "llama3"])
def test_the_modelfile_says_in_ollamas_language_what_the_template_writes(template):
    turns = find_turns(template, "t", NAMES)
    stops = stop_texts(turns, "<eos>")
    commands = read_modelfile(modelfile("model.gguf", 64, turns, has_template=True, stops=stops))
    assert [name for name, _ in commands] == ["from", "template", "num_ctx", *["stop"] * len(stops)]
    assert (commands[0][1], commands[2][1]) == ("./model.gguf", "64")
    assert [value for name, value in commands if name == "stop"] == stops
    for probe in PROBES:
        assert write_conversation(commands[1][1], probe) == turns.text(probe)


TEXTS = st.text(st.sampled_from('ab<|>"{}#\\\n\t\r \u00a0\u200dé▁｜'), max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    texts=st.tuples(*[TEXTS] * 8),
    stops=st.lists(TEXTS.filter(lambda text: text.split("\n")[0] == text != ""), max_size=3),
)
@example(texts=("", "", "", "{", "", "", "", '"'), stops=['"'])
@example(texts=('""', "", "", "", "", "", "", '""'), stops=["\u200d"])
def test_any_texts_around_turns_are_read_back_or_are_not_written(texts, stops):
    head, answer = texts[0], texts[7]
    turns = Turns(head=head, system=texts[1:3], user=texts[3:5], assistant=texts[5:7], answer=answer)
    commands = read_modelfile(modelfile("m.gguf", 8, turns, has_template=True, stops=stops))
    written = commands[1][1]
    assert all(value in stops for name, value in commands if name == "stop")
    if ollama_template(turns) is None:
        assert written == "{{ .Prompt }}"
        return
    for probe in PROBES:
        assert write_conversation(written, probe) == turns.text(probe)


def test_a_model_without_a_template_continues_prompts(tmp_path):
    make_tokenizer(tmp_path / "tokenizer", "bpe", 300)
    _, file, _ = exported(tmp_path, tmp_path / "tokenizer", 300)
    assert (file.parent / "Modelfile").read_text() == (
        "FROM ./model.gguf\n"
        "# The model has no chat template: prompts are continued as they are.\n"
        'TEMPLATE """{{ .Prompt }}"""\n'
        "PARAMETER num_ctx 64\n"
        'PARAMETER stop "<eos>"\n'
    )


@pytest.mark.parametrize("template", [chatml.JINJA, alpaca.JINJA], ids=["chatml", "alpaca"])
def test_llama_cpp_s_own_chat_reads_the_template_of_the_file(tmp_path, template):
    """Its prompt has as many tokens as ours, control texts cut as the tokenizer that has no tokens for them does."""
    server = pytest.importorskip("xllamacpp", reason="the package xllamacpp is not installed")
    handle = make_tokenizer(tmp_path / "tokenizer", "bpe", 300)
    (tmp_path / "tokenizer" / "chat_template.jinja").write_text(template)
    _, file, _ = exported(tmp_path, tmp_path / "tokenizer", 300, max_sequence_length=256)
    answer = _answer(server, file)
    turns = find_turns(template, "template", NAMES)
    assert turns is not None
    assert answer["usage"]["prompt_tokens"] == len(handle.encode(turns.text(["user=the old fox"])))
    assert answer["usage"]["completion_tokens"] == 3


def _answer(server, file: Path):
    params = server.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.use_jinja, params.warmup = 256, 1, True, False
    params.verbosity = -1
    request = {"messages": [{"role": "user", "content": "the old fox"}], "max_tokens": 3, "ignore_eos": True}
    return server.Server(params).handle_chat_completions(request)
