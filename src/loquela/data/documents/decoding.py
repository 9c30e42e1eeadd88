"""Bytes of an HTML, Markdown, EPUB or text file → text with LF line ends, and a warning for whatever was not UTF-8."""

from __future__ import annotations

from loquela.data.documents.contract import LoadRequest
from loquela.data.encoding.decode import decode
from loquela.data.encoding.report import EncodingReport
from loquela.data.tally import Tally


def decoded(
    raw: bytes, request: LoadRequest, *, declared: str | None = None, name: str | None = None
) -> tuple[str, list[str]]:
    """The text of `raw` by the policy of `data.encoding`, and what is worth knowing about it.

    `declared` is what the document itself states. A document is one piece: where the policy would quarantine a line,
    the whole is refused. Raises DataError (ENCODING_ERROR, CORRUPT_DATA for what is no text).
    """
    name = name or request.name
    policy = request.encoding
    if policy.on_invalid == "quarantine":
        policy = policy.model_copy(update={"on_invalid": "stop"})
    report = EncodingReport(object=name)
    pieces = decode([raw], name, Tally(), declared=declared, language=request.language, policy=policy, report=report)
    text = "".join(pieces)
    warnings = []
    if report.encoding != "utf-8":
        warnings.append(f"read as {report.encoding}: {report.evidence}")
    warnings += [f"{count} line(s) repaired: {how}" for how, count in report.repaired.items()]
    if report.invalid_count:
        warnings.append(
            f"{report.invalid_count} place(s) with bytes that are no text, the first at byte {report.invalid[0].offset}"
        )
    return text, warnings
