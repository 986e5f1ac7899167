from hypothesis import given
from hypothesis import strategies as st
from pytest import approx  # noqa: PT013  it reads as a function of numbers

from tfs.serve.client.load_plan import Step, shares_of


@given(concurrency=st.integers(1, 1000), processes=st.integers(1, 64))
def test_the_shares_of_a_concurrency_add_up_and_none_is_idle(concurrency, processes):
    parts = [share.step.concurrency for share in shares_of(Step(concurrency=concurrency), processes)]
    assert sum(parts) == concurrency
    assert len(parts) == min(concurrency, processes)
    assert max(parts) - min(parts) <= 1


@given(rate=st.floats(0.1, 1e4), processes=st.integers(1, 16))
def test_the_schedules_of_all_processes_are_the_one_schedule(rate, processes):
    shares = shares_of(Step(rate=rate), processes)
    due = sorted(share.offset + number / share.step.rate for share in shares for number in range(4))
    assert due == approx([number / rate for number in range(4 * processes)])
