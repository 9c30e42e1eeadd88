"""The parser of server-sent events against what can be on the wire."""

from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.client.server_events import EventParser, ServerEvent

TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT.filter(bool), st.lists(TEXT, min_size=1, max_size=3)), max_size=4))
def test_what_is_written_is_what_is_read(events):
    lines = []
    for number, (name, data) in enumerate(events):
        lines += [f": comment {number}", f"id: {number}", f"event: {name}", *(f"data: {line}" for line in data), ""]
    parser = EventParser()
    read = [event for line in lines if (event := parser.feed(line)) is not None]
    assert read == [ServerEvent(str(i), name, "\n".join(data)) for i, (name, data) in enumerate(events)]


def test_the_standards_small_print():
    parser = EventParser()
    lines = ["id: 7", "data:no space", "", "event: lost", "", "data", "", "unknown: field", "id: a\0b", "data: x", ""]
    read = [event for line in lines if (event := parser.feed(line)) is not None]
    assert read == [ServerEvent("7", "message", "no space"), ServerEvent("7", "message", ""),
                    ServerEvent("7", "message", "x")]  # fmt: skip
