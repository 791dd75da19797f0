"""Answers as they come: to the request that was asked, and those that go on, frame by frame."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx2

from funcledger.errors import ServiceUnavailable
from funcledger.problems import error_of
from funcledger_schemas.frames import Splitter
from funcledger_schemas.request_ids import HEADER, is_answer_to, mixed_up


class FrameStream:
    """Iterate over it for the frames; empty ones are signs of life."""

    def __init__(
        self,
        http: httpx2.Client,
        request: httpx2.Request,
        unreachable: Callable[[Exception], ServiceUnavailable],
        token_from: str,
    ) -> None:
        self._token_from = token_from
        self._http = http
        self._request = request
        self._unreachable = unreachable
        self._answer: httpx2.Response | None = None
        self._interrupted = False

    def __iter__(self) -> Iterator[bytes]:
        """The frames.

        Raises:
            ServiceUnavailable: the stream cannot be opened now, or was cut.
            ComputeError: the server refused.
        """
        try:
            self._answer = answer_to(self._request, self._http)
            with closing(self._answer) as answer:
                if answer.status_code >= 300:
                    raise error_of(answer.status_code, answer.read(), self._token_from)
                splitter = Splitter()
                for piece in () if self._interrupted else answer.iter_raw():
                    yield from splitter.feed(piece)
        except httpx2.TransportError as error:
            if not self._interrupted:
                raise self._unreachable(error) from error

    def interrupt(self) -> None:
        """End the iteration, also where it waits for the server in another thread."""
        self._interrupted = True
        if self._answer is not None:
            _cut(self._answer)


def answer_to(request: httpx2.Request, http: httpx2.Client) -> httpx2.Response:
    """The answer, its body unread.

    Raises:
        httpx2.TransportError: none came, or one to another request; then the connection has been ended.
    """
    answer = http.send(request, stream=True)
    asked, answered = request.headers.get(HEADER), answer.headers.get(HEADER)
    if not is_answer_to(asked, answered):
        _cut(answer)
        answer.close()
        raise httpx2.RemoteProtocolError(mixed_up(asked, answered))
    return answer


def read(answer: httpx2.Response) -> None:
    """Its body, too.

    Raises:
        httpx2.TransportError: the connection failed.
    """
    try:
        answer.read()
    except BaseException:
        answer.close()
        raise


def _cut(answer: httpx2.Response) -> None:
    """End its connection, also where another thread waits for it."""
    network = answer.extensions.get("network_stream")
    connection = network.get_extra_info("socket") if network is not None else None
    if isinstance(connection, socket.socket):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has gone already, which is what was wanted
