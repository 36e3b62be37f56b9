from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.openai_usage import MOST
from gateway.wire.sums import added
from telemetry.records import Usage

USAGES = st.builds(Usage, input_uncached=st.integers(0, MOST), output_text=st.integers(0, MOST))


@given(USAGES, USAGES)
def test_buckets_are_added_one_by_one_up_to_what_a_row_holds(one, other):
    both = added(one, other)

    assert both.input_uncached == min(one.input_uncached + other.input_uncached, MOST)
    assert both.output_text == min(one.output_text + other.output_text, MOST)
    assert both.input_total == both.input_uncached
    assert added(None, other) == other
