"""Which format a file's rows have, by their columns; told with its reason, and asked where two would do."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field, JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.core.near_names import nearest
from loquela.data.examples.formats.columns import SHAPES, SPELLINGS, Shape
from loquela.recipe.examples_section import ExampleFormat, ExamplesSection

# Rows looked at; formats are a matter of the file, not of its last row.
SAMPLE_ROWS = 200
TURN_ROLES = ("role", "content")

Fields = Mapping[str, JsonValue]


class Recognised(BoundaryModel):
    """What a file's rows are, and why: `columns` maps each role that the format has to the column that plays it."""

    source: str
    format: ExampleFormat
    columns: dict[str, str]
    why: str
    unused_columns: list[str] = Field(default_factory=list)

    def __str__(self) -> str:
        mapped = ", ".join(role if role == column else f"{role} = {column}" for role, column in self.columns.items())
        left = f"; not used: {', '.join(self.unused_columns)}" if self.unused_columns else ""
        return f"{self.source}: {self.format} ({mapped}), {self.why}{left}"


def recognise(source: str, sample: Sequence[Fields], section: ExamplesSection) -> Recognised:
    """The one format that fits `sample`; RecipeError(UNSUPPORTED_FORMAT) when none does, or several do.

    A format whose columns are part of another fitting format's gives way to it: `messages` with a boolean `label` is
    feedback. Nothing else is preferred to anything.
    """
    counts = Counter(column for fields in sample for column in fields)
    present = [column for column, rows in counts.items() if rows * 2 >= len(sample)]
    mapping = _mapping_for(source, list(counts), section)
    fitting = list(_fitting(present, list(counts), sample, mapping, section))
    largest = [one for one in fitting if not any(set(one[1].values()) < set(other[1].values()) for other in fitting)]
    if not largest:
        raise _no_format(source, list(counts), section)
    if len(largest) > 1:
        raise _several(source, largest)
    shape, columns = largest[0]
    name = _named(shape, columns, sample)
    used = set(columns.values()) | set(section.label_columns)
    return Recognised(
        source=source,
        format=name,
        columns=columns,
        why=_why(columns, mapping, sample, section),
        unused_columns=[column for column in counts if column not in used],
    )


def _mapping_for(source: str, columns: Sequence[str], section: ExamplesSection) -> dict[str, str]:
    """The recipe's mapping, where this file has its columns; a file that has some of them only is an error."""
    given = {role: column for role, column in section.columns.given.items() if role not in TURN_ROLES}
    missing = [column for column in given.values() if column not in columns]
    if not missing or len(missing) == len(given):
        return given if not missing else {}
    near = nearest(missing[0], columns)
    raise RecipeError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"{source} has no column {missing[0]!r}, which examples.columns names; it has {_listed(columns)}",
        f"write the name it has{f', {near!r} perhaps' if near else ''}, or give that file a recipe of its own",
        details={"source": source, "columns": [*columns]},
    )


def _fitting(
    present: Sequence[str],
    optional: Sequence[str],
    sample: Sequence[Fields],
    mapping: Mapping[str, str],
    section: ExamplesSection,
) -> Iterator[tuple[Shape, dict[str, str]]]:
    """Every shape that the columns allow, with each way to fill its roles."""
    for shape in SHAPES:
        if not _asked_for(shape, section) or not set(mapping) <= {*shape.needs, *shape.may}:
            continue
        choices = [_named_so(role, present, mapping) for role in shape.needs]
        extras = [_named_so(role, optional, mapping) or [None] for role in shape.may]
        for columns in itertools.product(*choices, *extras):
            filled = {role: column for role, column in zip((*shape.needs, *shape.may), columns, strict=True) if column}
            if len(set(filled.values())) == len(filled) and _plausible(filled, sample):
                yield shape, filled


def _asked_for(shape: Shape, section: ExamplesSection) -> bool:
    return section.format in ("auto", shape.format) or (section.format == "sharegpt" and shape.format == "messages")


def _named_so(role: str, columns: Sequence[str], mapping: Mapping[str, str]) -> list[str | None]:
    if role in mapping:
        return [mapping[role]]
    taken = set(mapping.values())
    return [column for column in columns if column.lower() in SPELLINGS[role] and column not in taken]


def _plausible(columns: Mapping[str, str], sample: Sequence[Fields]) -> bool:
    """Whether most values have the type that their role asks for."""
    tests = {"messages": _is_list, "instances": _is_list, "history": _is_list, "label": _is_boolean, "text": _is_text}
    for role, column in columns.items():
        values = [fields[column] for fields in sample if fields.get(column) is not None]
        test = tests.get(role)
        if test and values and sum(map(test, values)) * 2 < len(values):
            return False
    return True


def _is_list(value: JsonValue) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith("["))


def _is_boolean(value: JsonValue) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false"))


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str)


def _named(shape: Shape, columns: Mapping[str, str], sample: Sequence[Fields]) -> ExampleFormat:
    """Turns with `from` and `value` are ShareGPT's; the rest of the name is the shape's."""
    if shape.format != "messages":
        return shape.format
    turns = (turn for fields in sample for turn in _turns(fields.get(columns["messages"])))
    first = next(turns, {})
    return "sharegpt" if "from" in first else "messages"


def _turns(value: JsonValue) -> list[Fields]:
    return [turn for turn in value if isinstance(turn, dict)] if isinstance(value, list) else []


def _why(
    columns: Mapping[str, str], mapping: Mapping[str, str], sample: Sequence[Fields], section: ExamplesSection
) -> str:
    have = sum(all(column in fields for column in columns.values()) for fields in sample)
    rows = f"{have} of the first {len(sample)} rows have these columns"
    by = ["examples.format"] * (section.format != "auto") + ["examples.columns"] * bool(mapping)
    return f"as {' and '.join(by)} says; {rows}" if by else f"the only format that fits; {rows}"


def _no_format(source: str, columns: Sequence[str], section: ExamplesSection) -> RecipeError:
    wanted = "no known format" if section.format == "auto" else f"not {section.format}"
    return RecipeError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"{source} has rows of {wanted} with the columns {_listed(columns)}",
        "say which column is what, for example examples.columns: {prompt: <column>, completion: <column>}",
        details={"source": source, "columns": [*columns]},
    )


def _several(source: str, found: Sequence[tuple[Shape, dict[str, str]]]) -> RecipeError:
    ways = [f"{shape.format} ({', '.join(columns.values())})" for shape, columns in found]
    formats = {shape.format for shape, _ in found}
    if len(formats) == len(found):
        lines = [f"examples.format: {shape.format}" for shape, _ in found]
    else:
        lines = [f"examples.columns: {{{_differing(columns, found)}}}" for _, columns in found]
    return RecipeError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"{source} can be read as {' or as '.join(ways)}, and nothing says which",
        f"write {' or '.join(dict.fromkeys(lines))}",
        details={"source": source, "fitting": [*ways]},
    )


def _differing(columns: Mapping[str, str], found: Sequence[tuple[Shape, dict[str, str]]]) -> str:
    """The roles of one way that the others fill otherwise."""
    roles = [role for role, column in columns.items() if any(other.get(role) != column for _, other in found)]
    return ", ".join(f"{role}: {columns[role]}" for role in roles)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "") if columns else "nothing"
