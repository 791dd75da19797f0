"""What the store in MongoDB makes of keys, positions and revisions; no server is needed."""

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from funcledger_read_models.documents import TASK_STATUS
from funcledger_read_models.mongo.keys import identity, span
from funcledger_read_models.mongo.layout import field_of, positions_of
from funcledger_read_models.mongo.revisions import Revisions
from funcledger_read_models.port import StaleWriter

WORDS = st.text(st.sampled_from("\x00\x01\x02a\U0001d11e"), max_size=4)
KEYS = st.tuples(WORDS, WORDS)


@given(KEYS, KEYS)
def test_identities_sort_as_their_keys_do(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """As bytes, which is how MongoDB compares text."""
    ids = identity(one).encode(), identity(other).encode()
    assert ((ids[0] < ids[1]), (ids[0] == ids[1])) == (one < other, one == other)


@given(KEYS, WORDS)
def test_a_span_holds_the_keys_with_its_prefix_and_no_other(key: tuple[str, ...], prefix: str) -> None:
    bounds = span((prefix,), None, descending=False)
    assert (bounds["$gte"] <= identity(key) < bounds["$lt"]) == (key[0] == prefix)


@given(st.text(st.sampled_from("a.%$:2E"), min_size=1), st.integers(0, 300))
def test_any_topic_has_a_field_of_its_own(topic: str, partition: int) -> None:
    name = field_of((topic, partition))
    assert "." not in name
    assert "$" not in name
    assert positions_of({"positions": {name: 7}}) == {(topic, partition): 7}


def test_the_revision_first_seen_counts_until_this_writer_writes() -> None:
    revisions, (first, later, own) = Revisions(), [ObjectId() for _ in range(3)]
    revisions.seen(TASK_STATUS, {"a": first})
    revisions.seen(TASK_STATUS, {"a": later, "b": None})
    assert revisions.look_up(TASK_STATUS, ["a", "b", "c"]) == ({"a": first, "b": None}, ["c"])
    revisions.written(TASK_STATUS, ["a"], own)
    assert revisions.look_up(TASK_STATUS, ["a"]) == ({"a": own}, [])


def test_what_has_been_forgotten_is_not_taken_for_never_seen() -> None:
    revisions = Revisions(generation=2)
    for each in "abcd":
        revisions.seen(TASK_STATUS, {each: ObjectId()})
    revisions.look_up(TASK_STATUS, ["c", "d"])
    revisions.seen(TASK_STATUS, {"e": None, "f": None})
    with pytest.raises(StaleWriter, match="read again"):
        revisions.look_up(TASK_STATUS, ["a"])
    revisions.clear()
    assert revisions.look_up(TASK_STATUS, ["a"]) == ({}, ["a"])
