"""An HTTP answer that goes on: frames as they come, until it ends, is cut or interrupted."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx2

from funcledger.errors import ServiceUnavailable
from funcledger.problems import error_of
from funcledger_schemas.frames import Splitter


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
            self._answer = self._http.send(self._request, stream=True)
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
        answer = self._answer
        network = answer.extensions.get("network_stream") if answer is not None else None
        connection = network.get_extra_info("socket") if network is not None else None
        if isinstance(connection, socket.socket):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has gone already, which is what was wanted
