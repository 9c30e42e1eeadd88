"""An HTTP client for addresses that somebody else wrote.

Every request, and every redirect anew, resolves its host, checks all addresses, and connects to a checked
address itself, so that a name cannot change its meaning between the check and the connection. Proxies from
the environment are not used: behind one, the check would be about the wrong machine.
"""

from __future__ import annotations

import ssl
from functools import cache

import httpcore
import httpx

from loquela.core.errors import ErrorCode, RecipeError
from loquela.security.addresses import Resolver, permitted_addresses, resolve_host
from loquela.security.http_auth import BoundHeaders
from loquela.security.http_deadline import DeadlineBackend

MAX_REDIRECTS = 5
DEFAULT_PORTS = {"http": 80, "https": 443}


@cache
def _tls() -> ssl.SSLContext:
    """The trusted certificates, read once: that takes longer than many an answer."""
    return httpx.create_ssl_context()


class GuardedTransport(httpx.BaseTransport):
    """Sends a request to a permitted address of its host; TLS still proves the host's name.

    A request with the extension "deadline" (of time.monotonic) ends by then; one of the origin of `bound` gets its
    headers. For one thread at a time.

    Raises RecipeError(INVALID_SOURCE) for a refused address, ResourceError(NETWORK_ERROR) for an unknown host.
    """

    def __init__(
        self, *, allow_private: bool, resolver: Resolver = resolve_host, bound: BoundHeaders | None = None
    ) -> None:
        self.allow_private = allow_private
        self.resolver = resolver
        self._bound = bound
        self._backend = DeadlineBackend()
        self._inner = httpx.HTTPTransport(verify=_tls())
        # httpx lets nobody choose the backend; its transport works with any pool.
        # A kept connection is found again by address alone; two hosts at one address must not share it.
        self._inner._pool = httpcore.ConnectionPool(
            ssl_context=_tls(), max_keepalive_connections=0, network_backend=self._backend
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Try the permitted addresses in order until one accepts the connection."""
        url = request.url
        port = url.port or DEFAULT_PORTS.get(url.scheme, 0)
        addresses = permitted_addresses(url.host, port, allow_private=self.allow_private, resolver=self.resolver)
        deadline = request.extensions.get("deadline")
        self._backend.deadline = deadline if isinstance(deadline, float) else None
        headers = [*request.headers.raw, *(self._bound.of(url) if self._bound is not None else ())]
        failure: httpx.TransportError | None = None
        for address in addresses:
            pinned = httpx.Request(
                request.method,
                url.copy_with(host=address),
                headers=headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": url.host},
            )
            try:
                return self._inner.handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure or httpx.ConnectError(f"{url.host} has no address", request=request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def guarded_client(
    *,
    allow_private: bool,
    timeout_seconds: float,
    user_agent: str,
    resolver: Resolver = resolve_host,
    bound: BoundHeaders | None = None,
) -> httpx.Client:
    """A client that follows at most five redirects and asks for bodies as they are (no compression)."""
    return httpx.Client(
        transport=GuardedTransport(allow_private=allow_private, resolver=resolver, bound=bound),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        timeout=httpx.Timeout(timeout_seconds),
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
    )


def checked_url(text: str) -> httpx.URL:
    """`text` as an address that may be fetched and recorded; RecipeError(INVALID_SOURCE) otherwise."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise _invalid(text, f"is not an address: {error}", "correct it") from error
    if url.scheme not in DEFAULT_PORTS or not url.host:
        raise _invalid(text, "is not an address that starts with http:// or https:// and a host", "correct it")
    if url.userinfo:
        raise _invalid(
            f"{url.scheme}://…@{url.host}{url.path}",
            "holds a password, which would be written into every artifact",
            "download the file yourself and give its path",
        )
    return url


def _invalid(text: str, what: str, remedy: str) -> RecipeError:
    return RecipeError(ErrorCode.INVALID_SOURCE, f"the source {text!r} {what}", remedy)
