"""A table may be larger than memory: what reading adds does not grow with it."""

from tests.benchmarks.embed_memory import measure

MEGABYTES = 100
GROWTH_MB = 90  # 60 measured, for a table of any size; the texts of this one alone are 100


def test_a_large_table_is_planned_and_read_without_being_held() -> None:
    found = measure(MEGABYTES)
    assert found.parts > 100
    assert 0 < found.growth_mb < GROWTH_MB
