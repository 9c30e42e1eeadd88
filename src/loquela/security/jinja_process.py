"""The process that renders Jinja templates: it has no way out, little memory, and whoever started it ends it.

Lines of JSON in, lines of JSON out. The first line is {"source", "memory_bytes", "seconds", "lenient", "date"},
answered by {"ok": true} or {"error": …, "line": …}; every further one is {"requests": [{"messages", "tools",
"add_generation_prompt"}, …]}, answered by {"texts": […]} or {"error": …}. Learnt parts stand between two marks that no
text can hold. `lenient` prints names that are not there as nothing, as transformers does; `date` is the day that the
template takes for today.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
from collections.abc import Callable
from datetime import datetime

from jinja2 import TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.environment import Template
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

# Second halves of surrogate pairs: no text has one without its first half, and two of them never make a pair.
OPENING, CLOSING = "\udc01", "\udc02"
GRACE_SECONDS = 5.0
LONGEST_OUTPUT = 10_000_000


class StrictlyPrinted(Undefined):
    """A name that is not there is false when it is asked for, and an error where it would be printed as nothing."""

    __str__ = __iter__ = __len__ = Undefined._fail_with_undefined_error


class GenerationTag(Extension):
    """{% generation %} … {% endgeneration %}: the part that the assistant writes, as transformers has it."""

    tags = {"generation"}  # noqa: RUF012 (how the library declares it)

    def parse(self, parser: Parser) -> nodes.Node:
        """The tag as a call of `_marked` around its body."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Callable[[], str]) -> str:
        return OPENING + caller() + CLOSING


def environment(*, lenient: bool = False, today: datetime | None = None) -> ImmutableSandboxedEnvironment:
    """Jinja as chat templates expect it, without files, imports or anything that can be changed."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=Undefined if lenient else StrictlyPrinted,
        extensions=[GenerationTag, "jinja2.ext.loopcontrols"],
        autoescape=False,
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _raise
    made.globals["strftime_now"] = lambda pattern: (today or datetime.now()).strftime(pattern)
    return made


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # The arguments, in the order that chat templates of transformers may rely on.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise TemplateError(message)


def serve() -> None:
    """Answer every line until there are no more."""
    first = json.loads(sys.stdin.readline())
    resource.setrlimit(resource.RLIMIT_AS, (first["memory_bytes"], first["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    today = datetime.fromisoformat(first["date"]) if first["date"] else None
    try:
        template = environment(lenient=first["lenient"], today=today).from_string(first["source"])
    except TemplateSyntaxError as error:
        return _answer({"error": str(error.message), "line": error.lineno})
    except RecursionError:
        return _answer({"error": "it is nested too deeply", "line": 1})
    except MemoryError:
        return _answer({"error": "it needs more memory than it may have", "line": 1})
    _answer({"ok": True})
    for line in sys.stdin:
        # Should the one that asked be gone, the kernel ends what never ends.
        signal.setitimer(signal.ITIMER_REAL, first["seconds"] + GRACE_SECONDS)
        _answer(_all_rendered(template, json.loads(line)["requests"]))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _all_rendered(template: Template, requests: list[dict[str, object]]) -> dict[str, object]:
    texts = []
    for request in requests:
        answer = _rendered(template, request)
        if "text" not in answer:
            return answer
        texts.append(answer["text"])
    return {"texts": texts}


def _rendered(template: Template, request: dict[str, object]) -> dict[str, object]:
    size, parts = 0, []
    try:
        for part in template.generate(request):
            size += len(part)
            if size > LONGEST_OUTPUT:
                return {"error": f"it writes more than {LONGEST_OUTPUT} characters"}
            parts.append(part)
    except MemoryError:
        parts.clear()
        return {"error": "it needs more memory than it may have"}
    except TemplateError as error:
        return {"error": str(error.message or error)}
    except Exception as error:  # a template is a program: whatever it can do wrong comes up here
        return {"error": f"{type(error).__name__}: {error}"}
    return {"text": "".join(parts)}


def _answer(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def marked_parts(text: str) -> list[tuple[str, bool]]:
    """A rendered text cut at its marks: (part, whether it is learnt)."""
    found = []
    for part in re.split(f"({OPENING}[^{CLOSING}]*{CLOSING})", text):
        inside = part.startswith(OPENING)
        if part:
            found.append((part.strip(OPENING + CLOSING), inside))
    return found


if __name__ == "__main__":
    serve()
