"""HTTP to the server: one connection pool, retries that repeat the same request, and streams of frames.

Every request of the SDK carries ids that the SDK chose, so that sending it again is the same request
(a lost answer, a restarted server, a 503 "outcome unknown" lose and double nothing).
"""

import random
import sys
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from json import dumps as encode
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2
import tenacity

from funcledger.errors import ClientClosed, ComputeError, ServiceUnavailable, TooManyRequests
from funcledger.forks import renewed_in_children
from funcledger.plain import PlainTransport, is_direct
from funcledger.positions import HEADER, Seen
from funcledger.problems import error_of
from funcledger.settings import LOOPBACK, Server
from funcledger.streams import FrameStream, answer_to, read
from funcledger.waiting_notice import WaitingNotice
from funcledger_schemas.frames import MEDIA_TYPE
from funcledger_schemas.request_ids import HEADER as REQUEST
from funcledger_schemas.request_ids import RequestIds

#: How long, in seconds, a request is repeated to a server that has answered before, and to one that has not.
PATIENCE = 60.0
FIRST_PATIENCE = 3.0
#: The server sends a sign of life every 5 s; a stream that is silent for longer than this is dead.
SILENCE = 16.0
_FIRST_PAUSE = 0.1
_CUT = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)
_AGAIN = frozenset({408, 429, 502, 503, 504})
_BACKOFF = tenacity.wait_random_exponential(multiplier=0.1, max=5.0)


class _TryAgain(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, error: ComputeError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


class _Stop(tenacity.stop.stop_base):
    """When to give up: a server that is away has ``patience`` seconds, one that asks for pauses ``room``.

    Those seconds count from when it began to be away; the others, if limited, from the first failure.
    """

    def __init__(self, patience: float, room: float | None) -> None:
        self._patience, self._room = patience, room
        self._begun = time.monotonic()
        self._away_since: float | None = None
        self._notice = WaitingNotice()

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        return isinstance(error, _TryAgain) and self.after(error, retry_state.upcoming_sleep)

    def after(self, failed: _TryAgain, pause: float) -> bool:
        """Whether to give up after this failure, rather than try again after a pause."""
        now = time.monotonic()
        self._notice.failed(failed.error)
        if isinstance(failed.error, TooManyRequests):
            self._away_since = None
            return self._room is not None and now + pause - self._begun >= self._room
        if self._away_since is None:
            self._away_since = now
        return now + pause - self._away_since >= self._patience


class Transport:
    """Requests to one server; safe to use from several threads."""

    def __init__(
        self, server: Server, *, patience: float = PATIENCE, room_timeout: float | None = None
    ) -> None:
        self.server = server
        self.seen = Seen()
        self.patience = patience
        self.room_timeout = room_timeout
        self._reached = False
        #: Whether nothing more may be asked.
        self.closed = False
        self._task_fields: frozenset[str] | None = None
        self._ids = RequestIds()
        self._headers = {"Authorization": f"Bearer {server.token}", "Accept-Encoding": "identity"}
        self._http: httpx2.Client | None = None
        self._plain: PlainTransport | None = None
        self._connections()
        renewed_in_children(self)

    def renew(self) -> None:
        """In a forked child: connections of its own, made when they are needed."""
        self.seen.renew()
        self._ids = RequestIds()
        if self._http is not None and not self._http.is_closed:
            if self._plain is not None:
                self._plain.leave_to_parent()
            self._http = None

    def another(self) -> "Transport":
        """To the same server, with connections of its own."""
        other = Transport(self.server, patience=self.patience, room_timeout=self.room_timeout)
        other.seen.merge(self.seen.token)
        other._headers = self._headers
        return other

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        frame: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        wait: float = 0.0,
        room: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> httpx2.Response:
        """The server's 2xx answer; ``wait`` is how long, in seconds, it may think before that.

        ``room`` is how long it may ask for pauses, where that is not the client's own ``room_timeout``.
        ``sleep`` is called for the pauses between attempts.

        Raises:
            ServiceUnavailable: it could not be reached, or had no answer, for as long as we try.
            TooManyRequests: it asked for pauses for longer than the timeout that was set.
            ComputeError: it refused.
        """
        content = encode(json).encode() if json is not None else frame
        kind = MEDIA_TYPE if frame is not None else "application/json"
        request = self._build(method, path, params, 30.0 + wait, content, kind)
        try:
            return self._attempt(request)
        except _TryAgain as first:
            return self._again(request, first, sleep, self.room_timeout if room is None else room)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON a GET answers; parameters that are None are left out."""
        return self.request("GET", path, params={k: v for k, v in params.items() if v is not None}).json()

    def pages(self, path: str, name: str, most: int = sys.maxsize, **params: Any) -> list[dict[str, Any]]:
        """The first items of a listing, page by page; ``name`` is what an answer calls them."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(found) < most:
            answer = self.get(path, **params, cursor=cursor)
            found += answer[name]
            if (cursor := answer.get("cursor")) is None:
                break
        return found[:most]

    def task_fields(self) -> frozenset[str]:
        """The fields of a task that this server knows; asked once."""
        if self._task_fields is None:
            self._task_fields = frozenset(self.get("/version").get("task_fields", ()))
        return self._task_fields

    def stream(
        self, method: str, path: str, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> FrameStream:
        """One attempt at a stream of frames, opened when it is iterated over."""
        content = encode(json).encode() if json is not None else None
        request = self._build(method, path, None, SILENCE, content, "application/json")
        request.headers.update(headers or {})
        if self.closed:
            raise ClientClosed
        return FrameStream(self._connections(), request, self._unreachable, self.server.token_from)

    def forget_token(self) -> None:
        """Send no token from now on."""
        self._headers.pop("Authorization", None)

    def close(self) -> None:
        """Close every connection; whatever is asked after that is refused."""
        self.closed = True
        if self._http is not None:
            self._http.close()

    def _connections(self) -> httpx2.Client:
        """Those of this process."""
        http = self._http
        if http is None:  # two threads may both come here: what one of them makes is used once
            self._plain, options = _way_to(self.server)
            http = self._http = httpx2.Client(transport=self._plain, **options)
        return http

    def _build(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        read: float,
        content: bytes | None = None,
        kind: str = "",
    ) -> httpx2.Request:
        """Built here and not by httpx2's client, which parses every address anew: that can be felt."""
        url = httpx2.URL(self.server.url + path, params=params) if params else _url(self.server.url + path)
        headers = {**self._headers, **self._about_attempt()}
        if content is not None:
            headers["Content-Type"] = kind
        timeout = {"connect": 5.0, "read": read, "write": 30.0, "pool": 30.0}
        return httpx2.Request(method, url, headers=headers, content=content, extensions={"timeout": timeout})

    def _attempt(self, request: httpx2.Request) -> httpx2.Response:
        if self.closed:
            raise ClientClosed
        try:
            answer = answer_to(request, self._connections())
            read(answer)
        except httpx2.TransportError as error:
            # Whoever cut a connection was there to take it: a server that was killed may soon be back.
            self._reached = self._reached or isinstance(error, _CUT)
            raise _TryAgain(self._unreachable(error)) from error
        self._reached = True
        self.seen.merge(answer.headers.get(HEADER))
        if answer.status_code < 300:
            return answer
        refusal = error_of(answer.status_code, answer.content, self.server.token_from)
        if answer.status_code in _AGAIN:
            raise _TryAgain(refusal, _seconds(answer.headers.get("Retry-After")))
        raise refusal

    def _again(
        self, request: httpx2.Request, failed: _TryAgain, sleep: Callable[[float], None], room: float | None
    ) -> httpx2.Response:
        """Repeat a request whose first attempt failed; few need it, and making ready for it takes time."""
        patience = self.patience if self._reached else min(FIRST_PATIENCE, self.patience)
        stop = _Stop(patience, room)
        pause = failed.retry_after or _FIRST_PAUSE * random.random()  # noqa: S311  # jitter, not a secret
        if stop.after(failed, pause):
            raise failed.error from failed.__cause__
        sleep(pause)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            wait=_pause,
            stop=stop,
            sleep=sleep,
            reraise=True,
        )
        try:
            return retrying(self._attempt_again, request)
        except _TryAgain as last:
            raise last.error from last.__cause__

    def _attempt_again(self, request: httpx2.Request) -> httpx2.Response:
        request.headers.update(self._about_attempt())
        return self._attempt(request)

    def _about_attempt(self) -> dict[str, str]:
        """Its name, and what has been seen before it."""
        token, name = self.seen.token, self._ids.new()
        return {REQUEST: name, HEADER: token} if token else {REQUEST: name}

    def _unreachable(self, error: Exception) -> ServiceUnavailable:
        reason = str(error) or type(error).__name__
        here = self.server.socket
        where = self.server.url if here is None else f"{self.server.url} (by its socket {here})"
        on = "" if here is None else " on this machine"
        hint = "" if self._reached else f" Is it running{on}? `funcledger up` starts one."
        hint = _way_hint(self.server, reason) or hint
        return ServiceUnavailable(f"The server at {where} cannot be reached: {reason.rstrip('.')}.{hint}")


@lru_cache(maxsize=64)
def _url(text: str) -> httpx2.URL:
    return httpx2.URL(text)


def _pause(state: tenacity.RetryCallState) -> float:
    """Back off with jitter, but at least as long as the server asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, _TryAgain) else None
    return max(_BACKOFF(state), asked or 0.0)


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() else None


def _way_to(server: Server) -> tuple[PlainTransport | None, dict[str, Any]]:
    """How httpx2 is to reach the server: no proxy of the environment knows the way to this machine."""
    here = httpx2.URL(server.url).host in LOOPBACK
    if server.socket is not None or is_direct(server.url, here=here):
        return PlainTransport(server.url, server.socket), {}
    if here and server.url.startswith("https:"):
        return None, {
            "trust_env": False,
            "verify": httpx2.create_ssl_context(),
        }  # it may know SSL_CERT_FILE alone
    return None, {"trust_env": not here}


def _way_hint(server: Server, reason: str) -> str:
    """What to look at where the way to the server, and not the server, may be wrong."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return (
            " If an authority of your own has signed its certificate, name that one's file in SSL_CERT_FILE."
        )
    if "WRONG_VERSION_NUMBER" in reason:
        return " What answers there speaks no TLS: is it http:// instead of https://?"
    address = httpx2.URL(server.url)
    proxies = getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if proxy is None or server.socket is not None or address.host in LOOPBACK or proxy_bypass(address.host):
        return ""
    name = httpx2.URL(proxy).host
    return (
        f" The way to it is by the proxy {name}, as the environment says ({address.scheme}_proxy, all_proxy)."
    )
