"""A name is looked up once for a request, all its addresses are checked, and one of those is what is connected to."""

from __future__ import annotations

import httpcore
import httpx
import pytest

from loquela.core.errors import RecipeError, ResourceError
from loquela.security.addresses import permitted_addresses
from loquela.security.http import checked_url, guarded_client


class Turncoat:
    """A name that is public when it is checked and private a moment later."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return [self.answers.pop(0)]


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that anybody tries to connect to; nobody gets there."""
    seen: list[str] = []

    def connect(self, host: str, *args: object, **more: object) -> None:
        seen.append(host)
        raise httpcore.ConnectError("nobody is there")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    return seen


def test_what_was_checked_is_what_is_connected_to(dialled: list[str]) -> None:
    """Asked again, the name would lead to this machine: it is not asked again."""
    resolver = Turncoat("8.8.8.8", "127.0.0.1")
    with guarded_client(allow_private=False, timeout_seconds=5, user_agent="t", resolver=resolver) as client:
        with pytest.raises(httpx.ConnectError):
            client.get("http://rebind.test/x")
        assert (resolver.asked, dialled) == (["rebind.test"], ["8.8.8.8"])
        # The next request asks anew, and hears of it.
        with pytest.raises(RecipeError, match=r"rebind.test leads to 127.0.0.1, a loopback address"):
            client.get("http://rebind.test/x")
    assert dialled == ["8.8.8.8"]


def test_proxies_of_the_environment_are_not_used(dialled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    resolver = Turncoat("8.8.8.8", "8.8.4.4")
    with guarded_client(allow_private=False, timeout_seconds=5, user_agent="t", resolver=resolver) as client:
        for url in ("http://a.test/x", "https://b.test/x"):
            with pytest.raises(httpx.ConnectError):
                client.get(url)
    assert dialled == ["8.8.8.8", "8.8.4.4"]


# As the C library reads them: decimal, octal, hexadecimal, with parts left out, with a dot at the end.
FORMS = [
    "127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "localhost", "localhost.", "::1",
    "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1", "0.0.0.0", "0", "::",  # noqa: S104
    "169.254.169.254", "2852039166", "10.1", "fd00::1",
    "fe80::1%1", "192.168.257", "64:ff9b::a00:1", "2002:a00:1::", "100.64.0.1", "255.255.255.255", "224.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", FORMS)
def test_no_way_of_writing_an_address_leads_inside(host: str) -> None:
    # A machine whose names come from a file alone does not know the dot: that is a refusal as well.
    with pytest.raises((RecipeError, ResourceError), match="sources are fetched from public addresses only|has no add"):
        permitted_addresses(host, 6379, allow_private=False)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://user:hunter2@books.test/x", "holds a password"),
        ("http://books.test@127.0.0.1/x", "holds a password"),
        ("gopher://127.0.0.1:6379/_INFO", "is not an address that starts with http"),
        ("file:///etc/passwd", "is not an address that starts with http"),
        ("ftp://127.0.0.1/x", "is not an address that starts with http"),
        ("http:///x", "is not an address that starts with http"),
        ("http://a\x00b/", "is not an address"),
    ],
)
def test_addresses_that_are_none(url: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        checked_url(url)
    assert "hunter2" not in caught.value.message
