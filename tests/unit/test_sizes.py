"""Amounts of memory as people write them."""

import pytest

from funcledger_schemas.sizes import parse_size, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (5, 5), ("5", 5), ("5 B", 5), ("2GB", 2_000_000_000), ("2 gb", 2_000_000_000),
        ("1.5 GiB", 1_610_612_736), (" 512 MiB ", 536_870_912), ("1TB", 10**12), ("3kb", 3000),
    ],
)  # fmt: skip
def test_sizes_are_read(text: int | str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "2 G", "-1", "0", 0, -3, True, "1e9", "2GB/s", "much", "1,000"])
def test_what_is_none_is_refused_with_an_example(text: int | str) -> None:
    with pytest.raises(ValueError, match="'2GB' or '512 MiB'"):
        parse_size(text)


def test_sizes_are_shown_in_a_unit_that_fits() -> None:
    sizes = (7, 1000, 2_000_000_000, 1_610_612_736, 300_000_000)
    assert [show_size(size) for size in sizes] == ["7 B", "1 KB", "2 GB", "1.61 GB", "300 MB"]
