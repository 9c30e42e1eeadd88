"""Which addresses count as public, however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loquela.core.errors import RecipeError, ResourceError
from loquela.security.addresses import permitted_addresses, refusal, resolve_host


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("fd00::1", "private"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - the address is data here
        ("224.0.0.1", "multicast"),
        ("100.64.0.1", "reserved"),
        ("8.8.8.8", None),
        ("2606:4700::1111", None),
    ],
)
def test_kinds_of_addresses(address: str, kind: str | None) -> None:
    assert refusal(address) == kind


@given(st.ip_addresses(v=4))
def test_wrapping_changes_nothing(address: object) -> None:
    assert refusal(f"::ffff:{address}") == refusal(str(address))


def test_one_private_address_among_public_ones_is_enough() -> None:
    def resolver(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(RecipeError, match=r"books.example leads to 10.0.0.1, a private address"):
        permitted_addresses("books.example", 80, allow_private=False, resolver=resolver)
    assert permitted_addresses("books.example", 80, allow_private=True, resolver=resolver) == ["8.8.8.8", "10.0.0.1"]


def test_unknown_host_may_be_tried_again() -> None:
    with pytest.raises(ResourceError, match=r"the host name 'no-such-host.invalid' has no address") as caught:
        resolve_host("no-such-host.invalid", 80)
    assert caught.value.retryable
    with pytest.raises(ResourceError, match="has no address"):
        resolve_host("a" * 70 + ".example", 80)
