"""Servers of two releases agree on the digest of a request that both understand (FAULTS 3 and 4)."""

import pytest

from funcledger_command_api import submission
from funcledger_command_api.models import Terms
from funcledger_command_api.submission import Batch, Lot
from funcledger_web.auth import Principal

BATCH = Batch(Principal("user", "ann"), "b" * 8, 2, 0, ())


class LaterTerms(Terms):
    """The terms of a later release."""

    priority: int | None = None


def digest_of(terms: Terms) -> str:
    lot = Lot(terms, ["t"], [0], [b"payload"])
    lot.digest(BATCH)
    return lot.digests[0]


def terms(**more: object) -> dict[str, object]:
    ids = {
        "endpoint_id": "01990000-0000-7000-8000-00000000e001",
        "function_id": "01990000-0000-7000-8000-00000000f001",
    }
    return {**ids, "payload_format": "pickle", "resource_specification": {"num_nodes": 2}, **more}


@pytest.mark.fault(3, 4)
def test_the_digest_of_a_request_is_that_of_the_first_release() -> None:
    assert digest_of(Terms.model_validate(terms())) == (
        "a7fb0551844426df7b5078ad1d30ec6e776b88438cbd05c38eae2dc357abc97c"
    )


@pytest.mark.fault(3, 4)
def test_an_absent_option_of_a_later_release_counts_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(Terms.model_validate(terms()))
    monkeypatch.setattr(submission, "_LATER", ("priority",))
    assert digest_of(LaterTerms.model_validate(terms())) == before
    assert digest_of(LaterTerms.model_validate(terms(priority=3))) != before
