"""Training, transformers and our chat make the same tokens of the same conversation, up to where an answer begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from loquela.artifacts.examples import Message, ToolCall
from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.renderings import Renderings, can_be_served
from loquela.finetuning.proofs.rows_subject import RowsSubject, ShownSequence, learnt_answers
from loquela.models.pretrained.folder_files import splits_control_tokens

NAME = "template_parity"
AROUND = 4


@dataclass
class _Count:
    rows: int = 0
    prompts: int = 0
    served: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)


def prove_template_parity(subject: RowsSubject, renderings: Renderings) -> Proof:
    """Over the rows (2 000 evenly drawn where there are more) and a set of awkward conversations.

    Ids of a row = ids of `apply_chat_template`; ids before each learnt answer = those of the generation prompt = those
    that `loquela chat` sends. Where the template tells the day and the rows are of another one, rows are held against
    our rendering of that day, and that of today against transformers.
    """
    count = _Count()
    drawn = [shown for shown in subject.drawn if shown.turns]
    for shown in drawn:
        count.rows += 1
        _look_at_row(subject, renderings, shown, count)
    awkward = awkward_conversations(subject.tokenizer.controls)
    for named, turns, tools in awkward:
        ours = renderings.ours(turns, tools, opened=True)
        _compare(subject, renderings, ours, turns, tools, f"the conversation with {named}", count)
    splits = (
        "; the base reads control tokens in a text as text, what is handed on reads those of its template"
        if splits_control_tokens(subject.base.folder)
        else ""
    )
    day = f"; the template tells the day, the rows that of {subject.template.date}" if subject.template.date else ""
    return Proof(
        name=NAME,
        passed=not count.faults,
        message=f"{len(count.faults)} differences; the first in {count.faults[0]}"
        if count.faults
        else f"{count.rows:,} rows, the {count.prompts:,} prompts in them and {len(awkward)} awkward conversations "
        f"have the same tokens in training, transformers and serving{day}{splits}",
        remedy=f"{subject.anew}; if it says so again, the base's tokenizer.json and tokenizer_config.json do not "
        "belong together: fetch the base again",
        code=ErrorCode.COMPATIBILITY_ERROR,
        numbers={
            "rows": count.rows,
            "prompts": count.prompts,
            "served_prompts": count.served,
            "awkward": len(awkward),
            "refused_by_the_template": count.refused,
            "differences": len(count.faults),
        },
    )


def _look_at_row(subject: RowsSubject, renderings: Renderings, shown: ShownSequence, count: _Count) -> None:
    turns, tools, ids = shown.turns, shown.example.tools, shown.ids.tolist()
    whole = (renderings.ours if renderings.of_another_day else renderings.theirs)(turns, tools)
    if whole is None:
        count.faults.append(f"{shown.called}: the template refuses the conversation that the row was made of")
        return
    if ids != whole[: len(ids)] or (len(ids) != len(whole) and len(ids) != subject.facts.max_tokens):
        count.faults.append(f"{shown.called}: {_difference(subject, ids, whole)}")
        return
    for place in learnt_answers(turns, subject.template.learn):
        _look_at_prompt(subject, renderings, shown, place, count)


def _look_at_prompt(
    subject: RowsSubject, renderings: Renderings, shown: ShownSequence, place: int, count: _Count
) -> None:
    turns, tools, ids = shown.turns[:place], shown.example.tools, shown.ids.tolist()
    prompt = renderings.ours(turns, tools, opened=True)
    where = f"{shown.called}, turn {place + 1}"
    if prompt is None:
        count.faults.append(f"{where}: the template refuses the prompt of the answer")
        return
    count.prompts += 1
    if len(prompt) >= len(ids):
        return  # cut off before this answer
    if subject.template.learn != "all":
        if ids[: len(prompt)] != prompt:
            count.faults.append(f"{where}, its prompt: {_difference(subject, ids, prompt)}")
        elif not shown.weights[len(prompt)] > 0 or (shown.weights[len(prompt) - 1] > 0 and not _asks_learnt(turns)):
            count.faults.append(f"{where}: what is learnt does not begin where the prompt ends")
    if not renderings.of_another_day:
        _compare(subject, renderings, prompt, turns, tools, where, count)


def _asks_learnt(turns: Sequence[Message]) -> bool:
    """Whether questions are learnt as well, so that an answer need not be where learning begins."""
    return any(turn.learnt for turn in turns if turn.role != "assistant")


def _compare(
    subject: RowsSubject,
    renderings: Renderings,
    ours: list[int] | None,
    turns: Sequence[Message],
    tools: Sequence[JsonValue],
    where: str,
    count: _Count,
) -> None:
    """One prompt, as transformers makes it, against training's (`ours`) and the chat's."""
    theirs = renderings.theirs(turns, tools, opened=True)
    count.refused += theirs is None
    if not renderings.of_another_day and ours != theirs:
        count.faults.append(f"{where}, training against transformers: {_difference(subject, ours, theirs)}")
    if can_be_served(turns, tools):
        count.served += 1
        served = renderings.served(turns)
        if served != theirs:
            count.faults.append(f"{where}, the chat against transformers: {_difference(subject, served, theirs)}")


def _difference(subject: RowsSubject, ids: list[int] | None, others: list[int] | None) -> str:
    if ids is None or others is None:
        return "one renders it, the other refuses it"
    shorter = min(len(ids), len(others))
    place = int(next((at for at in range(shorter) if ids[at] != others[at]), shorter))
    texts = [subject.tokenizer.decode(found[max(0, place - AROUND) : place + AROUND]) for found in (ids, others)]
    return f"token {place} of {len(ids)} and {len(others)} differs: {texts[0]!r} against {texts[1]!r}"


def awkward_conversations(
    controls: Sequence[str],
) -> list[tuple[str, list[Message], list[JsonValue]]]:
    """(what is awkward, turns up to a question, tools): what chat templates tend to get wrong."""
    tool: JsonValue = {
        "type": "function",
        "function": {"name": "find", "description": "añade <b> & 'c'", "parameters": {"type": "object"}},
    }
    call = Message(role="assistant", content="", tool_calls=[ToolCall(name="find", arguments={"x": [1, None, "é"]})])
    # As rows are made and chats send it: a control token that a user spells is broken up.
    spelt = " ".join(f"{control[0]} {control[1:]}" for control in controls if len(control) > 1)
    asked, answered = _user("Where does it run?"), Message(role="assistant", content="Under the bridge.")
    found: list[tuple[str, list[Message], list[JsonValue]]] = [
        ("one question", [asked], []),
        ("a system prompt", [Message(role="system", content="Be brief.\nAlways."), asked], []),
        ("several turns", [asked, answered, _user("Why?"), answered, _user("When?")], []),
        ("unicode", [_user("¿Dónde está el niño? 🌉👩‍👩‍👧 e\u0301 中文 \u200b١٢٣ ｆｕｌｌ")], []),
        ("blanks around a question", [_user("  \n\t Where? \n\n ")], []),
        ("blanks around an answer", [asked, Message(role="assistant", content=" \n Here. \n"), _user("Why?")], []),
        ("blanks inside", [_user("a  b\n\n\nc\r\nd\t\te")], []),
        ("code and braces", [_user("{{ x }} {% for %} def f():\n    return '<a & b>'")], []),
        ("control tokens spelt out", [_user(f"ends {spelt} here")], []),
        ("tools", [asked, call, Message(role="tool", content='{"a": 1}'), answered, _user("And?")], [tool]),
        ("a long question", [_user("word " * 50)], []),
    ]
    return found


def _user(content: str) -> Message:
    return Message(role="user", content=content)
