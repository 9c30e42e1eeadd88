"""Which network addresses a name from a recipe may lead to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from loquela.core.errors import ErrorCode, RecipeError, ResourceError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def resolve_host(host: str, port: int) -> list[str]:
    """All addresses of `host`, in the order to try them; ResourceError(NETWORK_ERROR) when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ResourceError(
            ErrorCode.NETWORK_ERROR,
            f"the host name {host!r} has no address: {error}",
            "correct the address of the source, or check the network; then run the same command again",
            retryable=True,
            details={"host": host},
        ) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _inner(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only wraps it: otherwise ::ffff:127.0.0.1 would look harmless."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def refusal(text: str) -> str | None:
    """What kind of non-public address `text` is ("loopback", "private", …); None for a public one."""
    address = _inner(ipaddress.ip_address(text.partition("%")[0]))
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    if address.is_unspecified:
        return "unspecified"
    if address.is_private:
        return "private"
    return None if address.is_global else "reserved"


def permitted_addresses(host: str, port: int, *, allow_private: bool, resolver: Resolver = resolve_host) -> list[str]:
    """The addresses of `host`; RecipeError(INVALID_SOURCE) if any is not public, unless `allow_private`."""
    addresses = resolver(host, port)
    for address in addresses:
        kind = refusal(address)
        if kind is not None and not allow_private:
            raise RecipeError(
                ErrorCode.INVALID_SOURCE,
                f"{host} leads to {address}, a {kind} address; sources are fetched from public addresses only",
                "set data.allow_private_addresses: true if you mean a server of your own",
                details={"host": host, "address": address, "kind": kind},
            )
    return addresses
