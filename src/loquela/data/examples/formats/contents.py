"""One row's values by role → the content of its examples."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from loquela.artifacts.examples import Message
from loquela.data.examples.faults import RowFault
from loquela.data.examples.formats.turns import TurnReader, from_json_text, kind_of

INPUT_GAP = "\n\n"


class RowReader:
    """One row's values by role."""

    def __init__(self, fields: Mapping[str, JsonValue], columns: Mapping[str, str], turns: TurnReader) -> None:
        self.fields = fields
        self.columns = columns
        self.turns = turns

    def alpaca(self) -> list[dict[str, JsonValue]]:
        """One conversation, or one for each of the `instances`."""
        if "instances" not in self.columns:
            return [self._instructed(self.fields, self.columns.get("input"), self.columns["output"])]
        instances = from_json_text(self.value("instances"), "instances")
        if not isinstance(instances, list) or not instances:
            raise RowFault("no instances", f"{self.columns['instances']} is {kind_of(instances)}")
        found = []
        for number, instance in enumerate(instances, start=1):
            if not isinstance(instance, dict):
                raise RowFault("an instance is not an object", f"instance {number} is {kind_of(instance)}")
            found.append(self._instructed(instance, "input", "output"))
        return found

    def _instructed(self, holder: Mapping[str, JsonValue], given: str | None, output: str) -> dict[str, JsonValue]:
        answer = Message(role="assistant", content=_text(holder, output))
        messages = [*self._before(), self._asked(holder, given), answer]
        return {"kind": "messages", "messages": dumped(messages)}

    def _asked(self, holder: Mapping[str, JsonValue], given: str | None) -> Message:
        """The instruction with its input behind it."""
        instruction = self.text("instruction")
        material = _text(holder, given) if given and holder.get(given) is not None else ""
        if not material.strip():
            return Message(role="user", content=instruction)
        if not instruction.strip():
            raise RowFault("empty question", "there is an input, but no instruction")
        head = instruction + INPUT_GAP
        return Message(role="user", content=head + material, input_start=len(head))

    def _before(self) -> list[Message]:
        """The system prompt and the earlier rounds, where the row has columns for them."""
        found = []
        if "system" in self.columns and self.value("system") is not None and self.text("system").strip():
            found.append(Message(role="system", content=self.text("system")))
        if "history" not in self.columns or self.value("history") is None:
            return found
        rounds = from_json_text(self.value("history"), "earlier rounds")
        for pair in rounds if isinstance(rounds, list) else []:
            match pair:
                case [str(question), str(answer)]:
                    found += [Message(role="user", content=question), Message(role="assistant", content=answer)]
                case _:
                    raise RowFault("an earlier round is no pair of texts", kind_of(pair))
        return found

    def conversation(self) -> list[Message]:
        """The turns, with the system column in front where there is one."""
        turns = self.turns.read(self.value("messages"))
        before = self._before()
        if before and turns[0].role == "system":
            raise RowFault("two system prompts", "one in its column and one among the turns")
        return [*before, *turns]

    def prompt_completion(self) -> dict[str, JsonValue]:
        """A pair of texts; with a system prompt, earlier rounds or turns on either side, a conversation."""
        prompt, completion = self.value("prompt"), self.value("completion")
        if isinstance(prompt, str) and isinstance(completion, str) and not self._before():
            return {"kind": "prompt_completion", "prompt": prompt, "completion": completion}
        messages = [*self._prompt("prompt"), *self._answer("completion")]
        return {"kind": "messages", "messages": dumped(messages)}

    def preference(self) -> dict[str, JsonValue]:
        """A conversation and two answers; without a column for it, what both sides begin with is the conversation."""
        chosen, rejected = self._answer("chosen"), self._answer("rejected")
        if "messages" in self.columns:
            prompt = self.conversation()
        elif "prompt" in self.columns:
            prompt = self._prompt("prompt")
        elif "instruction" in self.columns:
            prompt = [*self._before(), self._asked(self.fields, self.columns.get("input"))]
        else:
            prompt = self._before()
        shared = _shared(chosen, rejected)
        if shared:
            if prompt and prompt[-len(shared) :] != shared:
                raise RowFault("the answers begin with another conversation than the prompt")
            prompt = prompt or shared
            chosen, rejected = chosen[len(shared) :], rejected[len(shared) :]
        if not prompt:
            raise RowFault("no prompt", "neither a column for it nor turns that both answers begin with")
        if not chosen or not rejected:
            raise RowFault("empty answer", "chosen or rejected is only the prompt")
        return {
            "kind": "preference",
            "messages": dumped(prompt),
            "chosen": dumped(chosen),
            "rejected": dumped(rejected),
        }

    def feedback(self) -> dict[str, JsonValue]:
        """A conversation with its answer, and whether that was good."""
        if "messages" in self.columns:
            messages = self.conversation()
        elif "prompt" in self.columns:
            messages = [*self._prompt("prompt"), *self._answer("completion")]
        else:
            answer = Message(role="assistant", content=self.text("output"))
            messages = [*self._before(), self._asked(self.fields, self.columns.get("input")), answer]
        return {"kind": "feedback", "messages": dumped(messages), "label": self._boolean("label")}

    def _prompt(self, role: str) -> list[Message]:
        value = self.value(role)
        if isinstance(value, list):
            return [*self._before(), *self.turns.read(value)]
        return [*self._before(), Message(role="user", content=self.text(role))]

    def _answer(self, role: str) -> list[Message]:
        """The assistant's text, one turn, or several."""
        value = self.value(role)
        if isinstance(value, list):
            return self.turns.read(value)
        if isinstance(value, dict):
            return [self.turns.read_turn(value, 1)]
        return [Message(role="assistant", content=self.text(role))]

    def _boolean(self, role: str) -> bool:
        value = self.value(role)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        raise RowFault("a label is not true or false", f"{self.columns[role]} is {value!r}")

    def value(self, role: str) -> JsonValue:
        """What stands in the role's column; RowFault where the row has no such column."""
        column = self.columns[role]
        if column not in self.fields:
            if role in ("system", "history", "tools"):
                return None
            raise RowFault(f"no {role}", f"the column {column} is missing")
        return self.fields[column]

    def text(self, role: str) -> str:
        """The text in the role's column."""
        self.value(role)
        return _text(self.fields, self.columns[role])


def _text(holder: Mapping[str, JsonValue], column: str) -> str:
    value = holder.get(column)
    if not isinstance(value, str):
        raise RowFault("a column is not text", f"{column} is {'missing' if column not in holder else kind_of(value)}")
    return value


def _shared(chosen: list[Message], rejected: list[Message]) -> list[Message]:
    """The turns that both begin with, when they begin with a question."""
    if chosen[0].role == "assistant" or rejected[0].role == "assistant":
        return []
    same = 0
    for left, right in zip(chosen, rejected, strict=False):
        if left != right:
            break
        same += 1
    # The answers start after the last question or tool's answer that is the same.
    while same and chosen[same - 1].role == "assistant":
        same -= 1
    return chosen[:same]


def dumped(messages: list[Message]) -> list[JsonValue]:
    """Messages as JSON, absent values left out."""
    return [message.model_dump(mode="json", exclude_defaults=True) for message in messages]
