"""What a page says of other pages: its links, its canonical address, and whether its links may be followed."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin

from loquela.data.web.addresses import canonical


@dataclass(frozen=True)
class PageLinks:
    """Addresses in one form; `canonical` is the page's own name for itself, None where it has none."""

    links: tuple[str, ...]
    canonical: str | None


def links_of(html: bytes, address: str) -> PageLinks:
    """The links of the page found at `address`, in order and once each; none where the page asks for that.

    Addresses are ASCII in all encodings that web pages have but UTF-16, which is told by its byte order mark.
    """
    encoding = "utf-16" if html.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    reader = _LinkReader()
    reader.feed(html.decode(encoding, errors="replace"))
    base = urljoin(address, reader.base) if reader.base else address
    found = [] if reader.nofollow else [_joined(base, target) for target in reader.targets]
    own = _joined(base, reader.canonical) if reader.canonical else None
    return PageLinks(tuple(dict.fromkeys(filter(None, found))), own)


def _joined(base: str, target: str) -> str | None:
    try:
        return canonical(urljoin(base, target.strip()))
    except ValueError:  # urllib refuses what looks like a broken IPv6 address
        return None


class _LinkReader(HTMLParser):
    """Only reads tags; scripts are text to it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.targets: list[str] = []
        self.base: str | None = None
        self.canonical: str | None = None
        self.nofollow = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what `a`, `base`, `link` and `meta` say."""
        found = {name: value or "" for name, value in attrs}
        relations = found.get("rel", "").lower().split()
        target = found.get("href", "")
        if tag == "a" and target and "nofollow" not in relations:
            self.targets.append(target)
        elif tag == "base" and target and self.base is None:
            self.base = target
        elif tag == "link" and "canonical" in relations and target:
            self.canonical = target
        elif tag == "meta" and found.get("name", "").lower() in ("robots", "loquela"):
            said = {part.strip() for part in found.get("content", "").lower().split(",")}
            self.nofollow = self.nofollow or bool(said & {"nofollow", "none"})
