"""Which server to talk to, and with which token: arguments over environment over the data directory."""

import json
import os
import stat
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from funcledger.errors import PermissionDenied, ServiceUnavailable, Unauthenticated

_START = "Start one with `funcledger up`, or name one with FUNCLEDGER_URL or Client(url=...)"


@dataclass(frozen=True, slots=True)
class Server:
    """A server's address, without a slash at its end, and the token for it."""

    url: str
    token: str = field(repr=False)


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
        Unauthenticated: there is no token for it.
        PermissionDenied: the token's file belongs to somebody else who lets others read it.
    """
    address = find_address(url)
    secret = token or os.environ.get("FUNCLEDGER_TOKEN") or _read_token(data_dir() / "token")
    return Server(address, secret)


def find_address(url: str | None = None) -> str:
    """The address of the server to talk to, without a slash at its end.

    Raises:
        ServiceUnavailable: none is named and none has been started on this machine.
    """
    address = url or os.environ.get("FUNCLEDGER_URL") or _address_of_standalone(data_dir())
    return address.rstrip("/")


def _address_of_standalone(directory: Path) -> str:
    try:
        return str(json.loads((directory / "server.json").read_text())["url"])
    except FileNotFoundError:
        raise ServiceUnavailable(f"No funcledger server was found under {directory}. {_START}.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServiceUnavailable(
            f"{directory / 'server.json'} cannot be read ({error}). {_START}."
        ) from error


def _read_token(path: Path) -> str:
    try:
        with path.open() as file:
            _keep_private(path, file.fileno())
            token = file.read().strip()
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


def _keep_private(path: Path, file: int) -> None:
    """Take a token's file away from group and world; whoever has read it has the token."""
    if os.name != "posix":
        return
    about = os.fstat(file)
    if not stat.S_IMODE(about.st_mode) & 0o077:
        return
    try:
        os.fchmod(file, 0o600)
    except OSError:
        mode = stat.S_IMODE(about.st_mode)
        raise PermissionDenied(
            f"{path} is readable by others (mode {mode:04o}); run chmod 600 on it."
        ) from None
    warnings.warn(
        f"{path} was readable by others; it is now 0600. Make a new token if it was seen.", stacklevel=5
    )
