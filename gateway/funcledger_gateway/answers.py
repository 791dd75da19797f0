"""What the errors of the log mean to an agent, as problem documents."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from funcledger_event_log.endpoint_port import CredentialRefused, Fenced
from funcledger_event_log.port import (
    LogCorrupt,
    LogFull,
    LogUnavailable,
    OutcomeUnknown,
    PositionGone,
    RecordTooLarge,
)
from funcledger_schemas.frames import FrameError
from funcledger_web.problems import Problem

_log = logging.getLogger(__name__)

#: Errors whose own words are fit for the agent; the first that fits counts.
_SLUGS: dict[type[Exception], str] = {
    Fenced: "fenced",
    CredentialRefused: "forbidden",
    OutcomeUnknown: "outcome-unknown",
    RecordTooLarge: "payload-too-large",
    FrameError: "invalid-request",
}
_AWAY = "The log cannot be reached just now. Try again."
_DAMAGED = "A record of this endpoint's is damaged. The server's operator must put back a backup."
_FULL = "The log has no space left; nothing was written. Try again once the operator has made room."


@contextmanager
def told() -> Iterator[None]:
    """Tell what is raised inside as a problem."""
    try:
        yield
    except LogFull as error:
        raise Problem("log-full", _FULL) from error
    except LogUnavailable as error:
        raise Problem("log-unavailable", _AWAY) from error
    except LogCorrupt as error:
        _log.error("an endpoint's request meets damage: %s", error)
        raise Problem("log-damaged", _DAMAGED) from error
    except PositionGone as error:
        raise Problem("conflict", f"{error}: begin with what is still kept.", status=410) from error
    except LookupError as error:
        if type(error) is not LookupError:
            raise  # a KeyError or IndexError is a mistake of ours
        raise Problem("function-not-found", str(error)) from error
    except tuple(_SLUGS) as error:
        slug = next(slug for kind, slug in _SLUGS.items() if isinstance(error, kind))
        raise Problem(slug, str(error)) from error
