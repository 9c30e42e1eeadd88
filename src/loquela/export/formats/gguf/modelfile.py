"""Ollama's Modelfile: the weights, the context, how a conversation is written, where an answer ends."""

from __future__ import annotations

from loquela.export.formats.gguf.turns import Turns

MODELFILE_NAME = "Modelfile"
RAW = "{{ .Prompt }}"
NO_CHAT = "# The model has no chat template: prompts are continued as they are."
TOO_MUCH = (
    "# The model's chat template does more than put fixed texts around turns, which is what Ollama can be told:\n"
    "# prompts are continued as they are. llama.cpp reads the template itself, from inside the gguf file."
)


def modelfile(model_file: str, context: int, turns: Turns | None, *, has_template: bool, stops: list[str]) -> str:
    """The whole file; `turns` None: prompts go to the model as they are, with a line that says why."""
    template = None if turns is None else ollama_template(turns)
    lines = [f"FROM ./{model_file}"]
    if template is None:
        lines += [TOO_MUCH if has_template else NO_CHAT]
    lines += [f'TEMPLATE """{template or RAW}"""', f"PARAMETER num_ctx {context}"]
    lines += [f"PARAMETER stop {_quoted(stop)}" for stop in stops if _quotable(stop)]
    return "\n".join(lines) + "\n"


def ollama_template(turns: Turns) -> str | None:
    """`turns` as a template of Go's text/template; None when a text of it cannot stand in one."""
    parts = [turns.head, *turns.system, *turns.user, *turns.assistant, turns.answer]
    if not all(_templatable(part) for part in parts):
        return None
    system = f"{{{{ if .System }}}}{turns.system[0]}{{{{ .System }}}}{turns.system[1]}"
    head = f"{{{{ else }}}}{turns.head}{{{{ end }}}}" if turns.head else "{{ end }}"
    user = f'{{{{ if eq .Role "user" }}}}{turns.user[0]}{{{{ .Content }}}}{turns.user[1]}'
    assistant = f'{{{{ else if eq .Role "assistant" }}}}{turns.assistant[0]}{{{{ .Content }}}}{turns.assistant[1]}'
    return f"{system}{head}{{{{ range .Messages }}}}{user}{assistant}{{{{ end }}}}{{{{ end }}}}{turns.answer}"


def stop_texts(turns: Turns | None, end_of_text: str) -> list[str]:
    """What ends an answer: the first line of what stands behind one, and the end-of-text token."""
    behind = "" if turns is None else turns.assistant[1].strip()
    found = [behind.splitlines()[0]] if behind else []
    return list(dict.fromkeys([*found, *([end_of_text] if end_of_text else [])]))


def _templatable(part: str) -> bool:
    """Whether a text can stand between actions of a template: nothing in it begins one, or ends the quotes."""
    return '"""' not in part and "{{" not in part and not part.endswith("{") and _kept(part)


def _quotable(stop: str) -> bool:
    return '"' not in stop and _kept(stop)


def _kept(text: str) -> bool:
    """Whether Ollama keeps all of it: its parser drops what Go does not print (joiners, wide spaces, controls)."""
    return all(character.isprintable() or character in "\t\r\n" for character in text)


def _quoted(stop: str) -> str:
    return f'"{stop}"'
