"""Which request an answer is to: clients name each one, servers repeat the name, clients compare (law 14).

Connections that two processes share, or a proxy that confuses them, give answers that are well-formed and
somebody else's. An answer without the name is from an older server, or from what stands before one.
"""

import itertools

from funcledger_schemas import clock

#: The header that carries the name, in requests and in answers.
HEADER = "Funcledger-Request"
#: Longer names, or such as hold more than visible ASCII characters, are not repeated.
LONGEST = 64


class RequestIds:
    """The names of one client's requests: unlike any other client's, also of a copy in a forked child."""

    def __init__(self) -> None:
        self._client = clock.current().random_bytes(8).hex()
        self._numbers = itertools.count(1)

    def new(self) -> str:
        """A name for the next request, or the next attempt at one."""
        return f"{self._client}-{next(self._numbers)}"


def is_answer_to(asked: str | None, answered: str | None) -> bool:
    """Whether an answer that carries ``answered`` may be to the request that carried ``asked``."""
    return answered is None or answered == asked


def mixed_up(asked: str | None, answered: str | None) -> str:
    """What is said of an answer that is not."""
    return (
        f"the answer is to another request ({answered}, not {asked}): something between here and the server, "
        "or a copy of this process, shares its connections"
    )
