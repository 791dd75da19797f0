"""What any release's log meant to its users, it means with today's folds."""

import json

import pytest
from tests.golden.record_read_models import read_models
from tests.support.golden import GOLDEN, versions


@pytest.mark.parametrize("version", versions())
def test_the_golden_log_folds_into_the_documents_written_down(version: str) -> None:
    text = (GOLDEN / version / "read_models.jsonl").read_text(encoding="utf-8")
    expected = [json.loads(line) for line in text.splitlines()]
    models = {each["model"] for each in expected}
    # A later release may have added read models, and fields; those written down must be as they were.
    found = [each for each in read_models(version) if each["model"] in models]
    assert [each["model"] for each in found] == [each["model"] for each in expected]
    for document, meant in zip(found, expected, strict=True):
        known = {name: document["document"][name] for name in meant["document"]}
        assert known == meant["document"], meant["model"]
