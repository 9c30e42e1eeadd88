"""Text that needs no network and no disk: `builtin:stories`, parallel English and Spanish stories."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from loquela.core.digests import digest_json
from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.near_names import unknown_name
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.stories.story import stories
from loquela.data.tally import Tally, utf8_size

GENERATORS = ("stories",)
# Enough stories to tell one version of the generator from another by what it writes.
SAMPLE_STORIES = 20


class BuiltinSource:
    """`data.stories` pairs; English and Spanish of a pair alternate and share the side of the split."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The generator is known; the size is estimated from a sample."""
        _require_known(request)
        count = request.section.stories
        sample = [story.english + story.spanish for story in stories(request.seed, SAMPLE_STORIES)]
        size = sum(map(utf8_size, sample)) * count // SAMPLE_STORIES
        return SourceCheck(
            address=request.address,
            size_bytes=size,
            texts=2 * count,
            message=f"{request.address} will write {2 * count:,} texts, about {size:,} bytes",
        )

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Digest of the count and of a sample; the seed is part of the recipe, not of the source."""
        _require_known(request)
        count = request.section.stories
        sample: list[JsonValue] = []
        for story in stories(0, SAMPLE_STORIES):
            sample.extend([story.english, story.spanish])
        return SourceFingerprint(
            texts=2 * count, bytes=0, sha256=digest_json({"generator": request.rest, "count": count, "sample": sample})
        )

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """English 0, Spanish 0, English 1, …"""
        _require_known(request)
        for number, story in enumerate(stories(request.seed, request.section.stories)):
            for language, text in (("en", story.english), ("es", story.spanish)):
                yield SourceText(
                    name=request.address,
                    pieces=_pieces(text, tally),
                    language=language,
                    split_key=str(number),
                )


def _pieces(text: str, tally: Tally) -> Iterator[str]:
    size = utf8_size(text)
    tally.enter("read", size, 1)
    tally.leave("read", size, 1)
    tally.enter("decode", size, 1)
    yield text


def _require_known(request: SourceRequest) -> None:
    if request.rest not in GENERATORS:
        raise RecipeError(
            ErrorCode.NOT_REGISTERED,
            unknown_name("built-in source", request.rest, GENERATORS),
            "write builtin:stories",
        )
