import numpy as np
import pytest

from tfs.serve.client.load_plan import Step
from tfs.serve.client.load_result import headline, step_result
from tfs.serve.client.load_worker import Failure


def _result(step, count, seconds=1.0, failures=None, busy=0.1):
    return step_result(step, seconds, np.linspace(0.001, 0.1, count), failures or {}, busy)


def test_percentiles_are_milliseconds_of_the_good_answers():
    result = step_result(Step(concurrency=1), 2.0, np.arange(1, 1001) / 1000, {"UNAVAILABLE": Failure(3, "gone")}, None)
    assert (result.requests, result.throughput, result.largest) == (1000, 500.0, 1000.0)
    assert result.percentiles[50] == pytest.approx(500.5)
    assert result.percentiles[99] == pytest.approx(990, abs=1)
    assert result.to_dict()["errors"] == {"UNAVAILABLE": {"count": 3, "message": "gone"}}


def test_a_percentile_beyond_the_number_of_requests_is_absent():
    for count, last in ((1, 50), (99, 95), (100, 99), (999, 99.5), (1000, 99.9), (10_000, 99.99)):
        assert max(_result(Step(concurrency=1), count).percentiles) == last


def test_without_an_answer_there_are_no_latencies():
    result = _result(Step(concurrency=2), 0, failures={"503": Failure(5, "no")})
    assert (result.throughput, result.percentiles, result.mean, result.largest) == (0.0, {}, None, None)
    assert not result.kept_up


def test_the_headline_of_a_sweep_is_the_highest_throughput():
    results = [_result(Step(concurrency=n), count) for n, count in ((1, 100), (4, 300), (16, 250))]
    assert headline(results).step.concurrency == 4


def test_the_headline_of_rates_is_the_highest_that_was_kept_up_with():
    results = [_result(Step(rate=rate), count) for rate, count in ((100, 100), (200, 199), (400, 350))]
    assert [result.kept_up for result in results] == [True, True, False]
    assert headline(results).step.rate == 200
    assert headline(results[2:]).step.rate == 400


def test_a_busy_generator_is_told():
    assert _result(Step(concurrency=1), 10, busy=0.95).saturated
    assert not _result(Step(concurrency=1), 10, busy=0.5).saturated
    assert not _result(Step(concurrency=1), 10, busy=None).saturated
