"""Chat templates and tokenizers of the shapes that published models have, in texts of our own, as base artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from loquela.artifacts.base import BaseIdentity, hash_files, write_base

CONTEXT = 256
TEXT = [
    "The river runs past the old mill and under the stone bridge.",
    "Where does the river run? It runs under the bridge.",
    "¿Dónde corre el río? Corre bajo el puente de piedra, niño.",
    'system user assistant tool You are a helpful assistant. 0123456789 {"answer": [1, 2.5, true]}\n\n\n',
]

# Words with the blank before them, and line ends with the blanks before those: no blank goes with what follows it.
WORDS = r" ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"


class Reference(Protocol):
    """The part of a tokenizer of transformers that rows are held against."""

    def apply_chat_template(
        self,
        conversation: Sequence[object],
        tools: Sequence[object] | None = None,
        *,
        add_generation_prompt: bool = False,
        return_dict: bool = True,
    ) -> Iterable[int]: ...

    def __call__(self, text: str) -> Mapping[str, list[int]]: ...


@cache
def reference(folder: Path) -> Reference:
    """What transformers makes of the tokenizer in `folder`."""
    from transformers import AutoTokenizer

    opened: Reference = AutoTokenizer.from_pretrained(folder)
    return opened


@dataclass(frozen=True)
class Shape:
    """`specials` are added tokens that are special, `words` ones that are not; `ends` are what the model stops at."""

    template: str | None
    specials: tuple[str, ...]
    bos: str | None
    eos: str
    ends: tuple[str, ...]
    words: tuple[str, ...] = ()
    metaspace: bool = False
    adds_bos: bool = False
    line_ends_together: bool = False


# BOS in the template, headers, contents without outer blanks, the day, tools beside the system prompt.
HEADERS = """{{- bos_token }}
{%- set head = '' %}{%- if messages[0].role == 'system' %}{%- set head = messages[0].content | trim %}
{%- set messages = messages[1:] %}{%- endif %}
{{- '<|header|>system<|/header|>\\n\\nDay: ' + strftime_now('%d %b %Y') + '\\n' }}
{%- if tools is not none %}{{- 'Functions:\\n' }}{%- for tool in tools %}{{- tool | tojson(indent=2) + '\\n' }}
{%- endfor %}{%- endif %}
{{- head + '<|turn_end|>' }}
{%- for message in messages %}
{{- '<|header|>' + message.role + '<|/header|>\\n\\n' }}
{%- if message.tool_calls %}{%- for call in message.tool_calls %}
{{- {'name': call.function.name, 'parameters': call.function.arguments} | tojson }}{%- endfor %}
{%- elif message.role == 'tool' %}{{- message.content | tojson }}
{%- else %}{{- message.content | trim }}{%- endif %}
{{- '<|turn_end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|header|>assistant<|/header|>\\n\\n' }}{%- endif %}
"""

# ChatML with a system prompt of its own where there is none.
DEFAULT_SYSTEM = """{%- if messages[0]['role'] != 'system' %}
{{- '<|im_start|>system\\nYou answer briefly.<|im_end|>\\n' }}
{%- endif %}
{%- if tools %}{{- '<|im_start|>system\\nTools:' }}{%- for tool in tools %}{{- '\\n' ~ (tool | tojson) }}{%- endfor %}
{{- '<|im_end|>\\n' }}{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content }}
{%- for call in message.tool_calls or [] %}{{- ('\\n' if message.content else '') }}
{{- '<call>' + (call.function | tojson) + '</call>' }}{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

# The last answer is written with an empty thought, earlier ones without.
THINKING = """{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' and loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{{- message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

# No token ends a user's turn, the system prompt stands in the first question, answers end in </s>.
BRACKETS = """{{- bos_token }}
{%- if messages[0].role == 'system' %}{%- set head = messages[0].content + '\\n\\n' %}{%- set turns = messages[1:] %}
{%- else %}{%- set head = '' %}{%- set turns = messages %}{%- endif %}
{%- for message in turns %}
{%- if message.role == 'user' %}{{- '[INST] ' + (head if loop.first else '') + message.content + ' [/INST]' }}
{%- elif message.role == 'assistant' %}{{- ' ' + message.content.strip() + eos_token }}
{%- else %}{{- raise_exception('only users and assistants speak here') }}{%- endif %}
{%- endfor %}"""

# Roles as single tokens, the end of text ends an answer, the last one without a line end.
ROLES = """{{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'assistant' %}{{- '<|assistant|>\\n' + message.content + eos_token }}
{%- if not loop.last %}{{- '\\n' }}{%- endif %}
{%- else %}{{- '<|' + message.role + '|>\\n' + message.content + '\\n' }}{%- endif %}
{%- if loop.last and add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}
{%- endfor %}"""

# What is learnt is said by the template itself.
TAGGED = """{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}{% generation %}{{- message.content + '<|im_end|>' }}{% endgeneration %}
{%- else %}{{- message.content + '<|im_end|>' }}{%- endif %}{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

CHATML_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
SHAPES = {
    "headers": Shape(HEADERS, ("<|begin|>", "<|end|>", "<|header|>", "<|/header|>", "<|turn_end|>"), "<|begin|>",
                     "<|turn_end|>", ("<|turn_end|>", "<|end|>"), adds_bos=True, line_ends_together=True),
    "default_system": Shape(DEFAULT_SYSTEM, CHATML_TOKENS, None, "<|im_end|>", ("<|im_end|>", "<|endoftext|>"),
                            words=("<call>", "</call>")),
    "thinking": Shape(THINKING, CHATML_TOKENS, None, "<|im_end|>", ("<|im_end|>",), words=("<think>", "</think>")),
    "brackets": Shape(BRACKETS, ("<unk>", "<s>", "</s>"), "<s>", "</s>", ("</s>",), metaspace=True, adds_bos=True),
    "roles": Shape(ROLES, ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>"), "<|endoftext|>",
                   "<|endoftext|>", ("<|endoftext|>",)),
    "tagged": Shape(TAGGED, CHATML_TOKENS, "<|endoftext|>", "<|im_end|>", ("<|im_end|>",)),
    "no_template": Shape(None, CHATML_TOKENS, None, "<|im_end|>", ("<|im_end|>",)),
    "fused": Shape(HEADERS, ("<|begin|>", "<|end|>", "<|header|>", "<|/header|>", "<|turn_end|>"), "<|begin|>",
                   "<|turn_end|>", ("<|turn_end|>",)),
    "bare": Shape(None, ("<|endoftext|>",), "<|endoftext|>", "<|endoftext|>", ("<|endoftext|>",)),
}  # fmt: skip


def write_base_shape(directory: Path, shape: Shape) -> Path:
    """A base artifact without weights in `directory`: what making rows needs."""
    directory.mkdir(parents=True, exist_ok=True)
    ids = _write_tokenizer(directory, shape)
    if shape.template is not None:
        (directory / "chat_template.jinja").write_text(shape.template)
    return seal(directory, [ids[end] for end in shape.ends], max(ids.values()) + 1)


def seal(directory: Path, ends: list[int], size: int, rows: int | None = None) -> Path:
    """Write base.json over the files that are there; the embedding has `rows`, by default a few to spare."""
    names = [path.name for path in directory.iterdir() if path.name != "base.json"]
    identity = BaseIdentity(
        source=directory.name,
        kind="folder",
        location=".",
        architecture="LlamaForCausalLM",
        model_type="llama",
        parameters=1,
        vocab_size=size + 8 if rows is None else rows,
        tokenizer_size=size,
        context=CONTEXT,
        tied=False,
        eos_ids=ends,
        files=hash_files(directory, names),
    )
    write_base(directory, identity.sealed())
    return directory


def _write_tokenizer(directory: Path, shape: Shape) -> dict[str, int]:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    specials = [AddedToken(token, special=True, normalized=False) for token in shape.specials]
    if shape.metaspace:
        tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))  # noqa: S106
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        tokenizer.decoder = decoders.Sequence(
            [decoders.Metaspace(prepend_scheme="first"), decoders.ByteFallback(), decoders.Fuse()]
        )
        alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = (
            pre_tokenizers.Sequence(
                [pre_tokenizers.Split(Regex(WORDS), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
            )
            if shape.line_ends_together
            else pre_tokenizers.ByteLevel(add_prefix_space=False)
        )
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = []
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=[*specials, *(AddedToken(byte, special=False) for byte in alphabet)],
        initial_alphabet=[] if shape.metaspace else pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT * 2, trainer)
    tokenizer.add_tokens([AddedToken(word, special=False, normalized=False) for word in shape.words])
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    if shape.adds_bos and shape.bos:
        frame = [(shape.bos, vocabulary[shape.bos])]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{shape.bos} $A", special_tokens=frame)
    tokenizer.save(str(directory / "tokenizer.json"))
    names = {"bos_token": shape.bos, "eos_token": shape.eos, "pad_token": shape.specials[0]}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **names}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return vocabulary
