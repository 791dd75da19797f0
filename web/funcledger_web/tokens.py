"""Bearer tokens: 256 random bits behind a recognisable prefix, known to the server by SHA-256 alone."""

import hashlib
import re
import secrets
from collections.abc import Mapping

from funcledger_web.auth import Principal

USER_PREFIX = "flu_"
ENDPOINT_PREFIX = "fle_"
_TOKEN = re.compile(r"fl[ue]_[A-Za-z0-9_-]{43}")


def new_token(prefix: str) -> str:
    """A fresh token: the prefix and 43 URL-safe characters."""
    return prefix + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The SHA-256 of a token, in hex: all that a server keeps of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def well_formed(token: str) -> bool:
    """Whether a text could be one of our tokens."""
    return _TOKEN.fullmatch(token) is not None


class TokenTable:
    """An authenticator over a fixed table: SHA-256 of a token to whom it speaks for.

    Looking up a digest leaks at most the timing of a comparison of digests, and nobody can choose
    those: so it is as good as a comparison in constant time, whatever the number of tokens.
    """

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        self._principals = dict(principals)

    async def authenticate(self, token: str) -> Principal | None:
        """Whom the token speaks for; None when it opens nothing."""
        return self._principals.get(digest(token)) if well_formed(token) else None
