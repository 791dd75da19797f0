"""The port of a service: taken at once, open when it is ready."""

import socket

import pytest

from funcledger_compose.data_dir import DataDirError
from funcledger_compose.native.process import free_port
from funcledger_compose.serving import listen, open_up, reserve


def connects(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_reserved_port_refuses_connections_until_it_is_opened_up() -> None:
    with reserve("127.0.0.1", free_port()) as sock:
        port = sock.getsockname()[1]
        assert not connects(port)
        open_up(sock)
        assert connects(port)


def test_of_two_that_have_reserved_a_port_the_second_is_told_what_to_do() -> None:
    port = free_port()
    with reserve("127.0.0.1", port) as first, reserve("127.0.0.1", port) as second:
        open_up(first)
        with pytest.raises(DataDirError, match=f"port {port} on 127.0.0.1 cannot be listened on"):
            open_up(second)
        with pytest.raises(DataDirError, match="Choose another port"):
            listen("127.0.0.1", port)
