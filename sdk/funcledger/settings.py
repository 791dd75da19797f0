"""Which server to talk to, and with which token: arguments over environment over the data directory.

The token in the data directory goes to the server of that directory alone, through its socket there. A token
that is given goes to the address that is given.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from funcledger.errors import InvalidRequest, ServiceUnavailable, Unauthenticated
from funcledger.private_files import keep_directory_private, read_private

_START = "Start one with `funcledger up`, or name one with FUNCLEDGER_URL or Client(url=...)"
#: Names of this machine for itself.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Server:
    """A server's address, without a slash at its end, and the token for it.

    ``socket`` is where it listens for programs on this machine; without one it is reached at the address.
    ``token_from`` is where the token was found, for people.
    """

    url: str
    token: str = field(repr=False)
    socket: Path | None = None
    token_from: str = field(default="Client(token=...)", compare=False)


def data_dir() -> Path:
    """Where the standalone server on this machine keeps its files."""
    named = os.environ.get("FUNCLEDGER_DATA_DIR")
    if named:
        return Path(named)
    from platformdirs import user_data_path  # not needed where the environment says it

    return user_data_path("funcledger")


def find_server(url: str | None = None, token: str | None = None) -> Server:
    """The server to talk to.

    Raises:
        ServiceUnavailable: none is named and none has been started on this machine.
        InvalidRequest: the address is none.
        Unauthenticated: there is no token for it.
        PermissionDenied: others may read the token's file or enter its directory, and that cannot be changed.
    """
    named, secret = _named(url), token or os.environ.get("FUNCLEDGER_TOKEN")
    given = "Client(token=...)" if token else "FUNCLEDGER_TOKEN"
    if named and secret:
        return Server(named, secret, token_from=given)
    from funcledger_schemas import local_socket  # not needed for a server that is named with its token

    directory = data_dir()
    address, socket = _local_address(directory, named), directory / local_socket.NAME
    if secret:
        return Server(address, secret, socket, given)
    return Server(address, _read_token(directory), socket, str(directory / "token"))


def find_address(url: str | None = None, secret: str | None = None) -> str | None:
    """The address at which a server is to be given this secret; None: this machine's server, by its socket.

    Raises:
        ServiceUnavailable: none is named and none has been started on this machine.
        Unauthenticated: one is named, and there is no secret for it.
    """
    named = _named(url)
    if named and (secret or os.environ.get("FUNCLEDGER_TOKEN")):
        return named
    _local_address(data_dir(), named)
    return None


def _named(url: str | None) -> str:
    given = "url" if url else "FUNCLEDGER_URL"
    named = (url or os.environ.get("FUNCLEDGER_URL") or "").rstrip("/")
    if named and not named.startswith(("http://", "https://")):
        rest = named.rpartition("://")[2]
        raise InvalidRequest(
            f"{given} is no address of a server: {named[:200]!r}. Write http://{rest} or https://{rest}."
        )
    return named


def _local_address(directory: Path, named: str) -> str:
    """The address of this machine's server, which must be the one that is named, if one is."""
    try:
        found = str(json.loads((directory / "server.json").read_text())["url"]).rstrip("/")
    except FileNotFoundError:
        if named:
            raise _no_token_for(named, f"there is no server in {directory}") from None
        raise ServiceUnavailable(f"No funcledger server was found under {directory}. {_START}.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServiceUnavailable(
            f"{directory / 'server.json'} cannot be read ({error}). {_START}."
        ) from error
    if named and not _same_address(named, found):
        raise _no_token_for(named, f"the server in {directory} is {found}")
    return found


def _no_token_for(named: str, instead: str) -> Unauthenticated:
    return Unauthenticated(
        f"There is no token for the server at {named}: {instead}, and the token kept there is sent to no "
        f"other server. Set FUNCLEDGER_TOKEN, or Client(token=...), to a token of {named}."
    )


def _same_address(first: str, second: str) -> bool:
    return first == second or _parts(first) == _parts(second)


def _parts(url: str) -> tuple[str, str | None, int | None, str]:
    """What two spellings of one address have in common; every name of the loopback interface is one."""
    found = urlsplit(url)
    try:
        port = found.port
    except ValueError:
        port = None
    return found.scheme, "localhost" if found.hostname in LOOPBACK else found.hostname, port, found.path


def _read_token(directory: Path) -> str:
    path = directory / "token"
    try:
        keep_directory_private(directory)
        token = read_private(path)
    except FileNotFoundError:
        token = ""
    except OSError as error:
        raise Unauthenticated(f"The token in {path} cannot be read: {error.strerror}.") from error
    if not token:
        raise Unauthenticated(
            f"There is no token in {path}. `funcledger up` writes one; "
            "for another server set FUNCLEDGER_TOKEN."
        )
    return token
