"""A Jinja template of a stranger's, rendered in a process of its own with limits on size, memory and time."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, InternalError, RecipeError

LONGEST_TEMPLATE = 100_000
# Long enough for the longest honest conversation on a busy machine, short enough for people to wait for.
RENDER_SECONDS = 10.0
START_SECONDS = 60.0
END_SECONDS = 5.0
MEMORY_BYTES = 1 << 30


class TemplateProcess:
    """Renders conversations with one template. Close it, or use it as a context manager.

    `origin` names the template in errors. Raises RecipeError(CONFIG_INVALID) for a template that is too long, is not
    Jinja (with the line), fails, or does not end in time; after the last, it is closed. `lenient` renders as
    transformers does: names that are not there are printed as nothing. `date` (ISO) is the day that it takes for today;
    None: today.
    """

    def __init__(
        self,
        source: str,
        origin: str,
        *,
        render_seconds: float = RENDER_SECONDS,
        lenient: bool = False,
        date: str | None = None,
    ) -> None:
        if len(source) > LONGEST_TEMPLATE:
            raise wrong_template(origin, f"it has more than {LONGEST_TEMPLATE} characters", "shorten it")
        self.origin = origin
        self._render_seconds = render_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lenient = lenient
        self._start(source, date)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def render(
        self,
        messages: Sequence[JsonValue],
        tools: Sequence[JsonValue] = (),
        *,
        opened: bool = False,
        names: dict[str, JsonValue] | None = None,
    ) -> str:
        """The conversation as text, generation marks included; `opened`: with the assistant's turn begun.

        `names` are further names that the template may use, such as bos_token.
        """
        return self.render_all([(messages, opened)], tools, names=names)[0]

    def render_all(
        self,
        conversations: Sequence[tuple[Sequence[JsonValue], bool]],
        tools: Sequence[JsonValue] = (),
        *,
        names: dict[str, JsonValue] | None = None,
    ) -> list[str]:
        """`render` of several (conversation, opened) with the same tools, in the time that one may take."""
        known: dict[str, JsonValue] = {
            **({"documents": None} if self._lenient else {}),
            **(names or {}),
            "tools": [*tools] or None,
        }
        requests: list[JsonValue] = [
            {**known, "messages": [*messages], "add_generation_prompt": opened} for messages, opened in conversations
        ]
        answer = self._ask({"requests": requests}, self._render_seconds)
        texts = answer.get("texts")
        if not isinstance(texts, list):
            raise wrong_template(self.origin, str(answer.get("error")), "mend it, or use the template chatml")
        return [str(text) for text in texts]

    def _start(self, source: str, date: str | None) -> None:
        # -P: a file of the user's in the working directory must not stand in for a library.
        command = [sys.executable, "-P", "-m", "loquela.security.jinja_process"]
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and module, no shell)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        limits: dict[str, JsonValue] = {"memory_bytes": MEMORY_BYTES, "seconds": self._render_seconds}
        way: dict[str, JsonValue] = {"lenient": self._lenient, "date": date}
        answer = self._ask({"source": source, **limits, **way}, START_SECONDS)
        if "error" in answer:
            self.close()
            raise wrong_template(
                self.origin, f"line {answer.get('line')}: {answer['error']}", "mend that line; it must be Jinja"
            )

    def _ask(self, request: dict[str, JsonValue], seconds: float) -> dict[str, JsonValue]:
        """One line there, one line back; what takes longer than `seconds` is ended for good."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise InternalError(ErrorCode.INTERNAL, "the template is closed", "report this as a bug")
        try:
            process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            process.stdin.flush()
            with selectors.DefaultSelector() as waiting:
                waiting.register(process.stdout, selectors.EVENT_READ)
                answered = bool(waiting.select(seconds))
            line = process.stdout.readline() if answered else b""
        except BrokenPipeError:
            answered, line = True, b""
        if line.endswith(b"\n"):
            # Not by Pydantic: the marks are half characters, which it refuses.
            found: dict[str, JsonValue] = json.loads(line)
            return found
        if answered:
            raise wrong_template(self.origin, self._fate(), "try again; a template that ends it each time is at fault")
        self.close()
        why = f"it did not end within {seconds:g} seconds"
        raise wrong_template(self.origin, why, "look for a loop in it, or use the template chatml")

    def _fate(self) -> str:
        """How the process ended that gave no answer."""
        process, self._process = self._process, None
        if process is None:
            return "its process ended"
        try:
            _, complaint = process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "its process closed its output"
        code = process.returncode
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        return f"its process ended ({how}{': ' + lines[-1] if lines else ''})"


def wrong_template(origin: str, why: str, remedy: str) -> RecipeError:
    """The error for a template that cannot be used."""
    return RecipeError(ErrorCode.CONFIG_INVALID, f"{origin} cannot be used as a template: {why}", remedy)
