"""Files → examples, recognised, converted, freed of control text and of exact duplicates, into the spool."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from loquela.artifacts.examples import Example, with_id
from loquela.core.errors import DataError, ErrorCode
from loquela.data.examples.facts import FileReport
from loquela.data.examples.faults import FaultReport, Place, RowFault
from loquela.data.examples.files import example_files, read_rows
from loquela.data.examples.fit import place_of
from loquela.data.examples.formats.convert import Converter
from loquela.data.examples.formats.recognise import SAMPLE_ROWS, recognise
from loquela.data.examples.ledger import ExamplesTally
from loquela.data.examples.rows import Row
from loquela.data.examples.templates.special_text import SpecialText
from loquela.recipe.examples_section import ExamplesSection


class Intake:
    """Takes rows and ready examples in; `seen` are ids, so that what is equal is taken once."""

    def __init__(
        self, section: ExamplesSection, special: SpecialText, tally: ExamplesTally, faults: FaultReport
    ) -> None:
        self.section = section
        self.special = special
        self.tally = tally
        self.faults = faults
        self.files: list[FileReport] = []
        self._seen: set[bytes] = set()

    def from_sources(self, between_rows: Callable[[], None]) -> Iterator[Example]:
        """The examples of all files of the recipe, in its order."""
        paths = [path for source in self.section.sources for path in example_files(source)]
        _check_columns_found(paths, self.section)
        for path in dict.fromkeys(paths):
            yield from self._from_file(path, between_rows)

    def ready(self, example: Example) -> Iterator[Example]:
        """An example that another stage made, if it is new."""
        self.tally.enter("convert")
        self.tally.leave("convert")
        yield from self._admitted(example, place_of(example))

    def _from_file(self, path: Path, between_rows: Callable[[], None]) -> Iterator[Example]:
        rows = read_rows(path)
        sample = list(itertools.islice(rows, SAMPLE_ROWS))
        fields = [row.fields for row in sample if isinstance(row.fields, dict)]
        if not fields:
            raise _nothing(path, sample)
        converter = Converter(recognise(str(path), fields, self.section), self.section)
        report = FileReport(recognised=converter.recognised, rows=0, examples=0)
        for row in itertools.chain(sample, rows):
            between_rows()
            report.rows += 1
            for example in self._converted(row, converter):
                report.examples += 1
                yield from self._admitted(example, row.place)
        report.ignored_turn_keys = dict(converter.ignored)
        report.placeholders_left = dict(converter.placeholders)
        report.placeholders_filled = dict(converter.filled)
        self.files.append(report)

    def _converted(self, row: Row, converter: Converter) -> list[Example]:
        self.tally.enter("convert")
        try:
            examples = converter.convert(row)
        except RowFault as fault:
            self._fault("convert", row.place, fault)
            return []
        self.tally.change("convert", "several examples in one row", len(examples) - 1)
        self.tally.leave("convert", len(examples))
        return examples

    def _admitted(self, example: Example, place: Place) -> Iterator[Example]:
        self.tally.enter("special_text")
        try:
            treated = with_id(self.special.treated(example))
        except RowFault as fault:
            self._fault("special_text", place, fault)
            return
        self.tally.leave("special_text")
        self.tally.enter("deduplicate")
        key = bytes.fromhex(treated.id)
        if key in self._seen and self.section.duplicates == "drop":
            self.tally.change("deduplicate", "exactly equal to an earlier one", -1, place=str(place))
            return
        self._seen.add(key)
        self.tally.leave("deduplicate")
        yield treated

    def _fault(self, step: str, place: Place, fault: RowFault) -> None:
        self.faults.add(place, fault)
        self.tally.change(step, fault.reason, -1, place=f"{place}: {fault}")


def _check_columns_found(paths: list[Path], section: ExamplesSection) -> None:
    """`examples.columns` must fit at least one file, else it is a slip."""
    given = {role: column for role, column in section.columns.given.items() if role not in ("role", "content")}
    if not given or not paths:
        return
    seen: set[str] = set()
    for path in paths:
        for row in itertools.islice(read_rows(path), SAMPLE_ROWS):
            seen.update(row.fields if isinstance(row.fields, dict) else ())
    missing = sorted(set(given.values()) - seen)
    if missing:
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"no file has the column {missing[0]!r} that examples.columns names; "
            f"there are {', '.join(sorted(seen)[:20])}",
            "write the name that the rows have",
            details={"missing": [*missing]},
        )


def _nothing(path: Path, sample: list[Row]) -> DataError:
    why = str(sample[0].fault or "its rows are no objects") if sample else "it has no rows"
    return DataError(
        ErrorCode.INSUFFICIENT_DATA,
        f"{path} has nothing to learn from: {why}",
        "remove it from examples.sources, or give rows of named columns",
        details={"path": str(path)},
    )
