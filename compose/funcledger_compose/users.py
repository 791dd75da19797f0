"""Which users there are where many servers serve them: names and tokens, from a private file or a setting."""

import re
import stat
from collections.abc import Iterable
from pathlib import Path

from funcledger_compose.settings import Settings, SettingsError
from funcledger_web.auth import Principal
from funcledger_web.tokens import USER_PREFIX, digest, well_formed

_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")


def users_of(settings: Settings) -> dict[str, Principal]:
    """Per SHA-256 of a token, whom it speaks for.

    Raises:
        SettingsError: the file is open to others, or a line of it cannot be read.
    """
    found = _read(settings.tokens.reveal().split(","), "FUNCLEDGER_TOKENS") if settings.tokens else {}
    if settings.tokens_file is not None:
        found |= _of_file(settings.tokens_file)
    return found


def _of_file(path: Path) -> dict[str, Principal]:
    try:
        with path.open() as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise SettingsError(
                    f"the tokens file {path} is open to others (mode {mode:04o}). Run: chmod 600 {path}"
                )
            return _read(file, str(path))
    except OSError as error:
        raise SettingsError(f"the tokens file {path} cannot be read: {error.strerror}") from error


def _read(lines: Iterable[str], source: str) -> dict[str, Principal]:
    """``name=token`` or ``name=SHA-256`` a line; ``#`` begins a comment."""
    found: dict[str, Principal] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name, _, secret = (part.strip() for part in text.partition("="))
        plain = secret.startswith(USER_PREFIX) and well_formed(secret)
        if not _NAME.fullmatch(name) or not (plain or _HASH.fullmatch(secret)):
            # Never the line itself: it may hold a token.
            raise SettingsError(
                f"entry {number} of {source} is not name=token or name=SHA-256. "
                "`funcledger token create NAME` makes one"
            )
        found[digest(secret) if plain else secret] = Principal("user", name)
    return found
