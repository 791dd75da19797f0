"""The position token (law 9): what this client has seen, so that no later answer is older."""

from threading import Lock

#: The header that carries a token, in requests and in answers.
HEADER = "Funcledger-Position"


class Seen:
    """Merges the tokens of all answers; safe to use from several threads."""

    def __init__(self) -> None:
        self._ends: dict[str, int] = {}
        self._text: str | None = ""
        self._lock = Lock()

    def renew(self) -> None:
        """In a forked child: the lock may be held by a thread that is not there, in the middle of it."""
        self._lock = Lock()
        self._text = None

    def merge(self, token: str | None) -> None:
        """Having seen what ``token`` says as well."""
        if not token:
            return
        with self._lock:
            for part in token.split(","):
                where, _, end = part.rpartition(":")
                if end.isascii() and end.isdigit() and self._ends.get(where, -1) < int(end):
                    self._ends[where] = int(end)
                    self._text = None

    @property
    def token(self) -> str:
        """Everything seen so far, as text for a request; empty when that is nothing."""
        with self._lock:
            if self._text is None:
                self._text = ",".join(f"{where}:{end}" for where, end in sorted(self._ends.items()))
            return self._text
