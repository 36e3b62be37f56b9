"""Exposition and merging, read back by the official parser."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from telemetry.metrics import Registry, merge


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def registry() -> Registry:
    made = Registry()
    requests = made.counter("tg_requests_total", "Answered\nrequests.", ("status", "model"))
    requests.add(2, "200", 'a "quoted" \\ model\n')
    requests.add(1, "200", 'a "quoted" \\ model\n')
    made.gauge("tg_lag_bytes", "Lag.").set(17)
    took = made.histogram("tg_seconds", "How long.", bounds=(0.1, 1), labels=("step",))
    for value in (0.05, 0.1, 0.5, 3):
        took.observe(value, "total")
    return made


def test_the_official_parser_reads_what_we_write() -> None:
    found = samples(registry().text())
    model = ("model", 'a "quoted" \\ model\n')
    assert found["tg_requests_total", (model, ("status", "200"))] == 3
    assert found["tg_lag_bytes", ()] == 17
    assert found["tg_seconds_bucket", (("le", "0.1"), ("step", "total"))] == 2
    assert found["tg_seconds_bucket", (("le", "1"), ("step", "total"))] == 3
    assert found["tg_seconds_bucket", (("le", "+Inf"), ("step", "total"))] == 4
    assert found["tg_seconds_count", (("step", "total"),)] == 4
    assert found["tg_seconds_sum", (("step", "total"),)] == pytest.approx(3.65)


def test_a_counter_without_labels_is_there_before_it_counts() -> None:
    made = Registry()
    made.counter("tg_lost_total", "Lost.")
    assert samples(made.text()) == {("tg_lost_total", ()): 0}


def test_a_name_is_given_once() -> None:
    made = Registry()
    made.counter("tg_lost_total", "Lost.")
    with pytest.raises(ValueError, match="tg_lost_total"):
        made.gauge("tg_lost_total", "Lost.")


def test_gauges_are_refreshed_when_somebody_asks() -> None:
    made = Registry()
    gauge = made.gauge("tg_lag", "Lag.")
    made.before(lambda: gauge.add(5))
    made.text()
    assert samples(made.text()) == {("tg_lag", ()): 10}


def test_merging_marks_each_sample_and_says_each_head_once() -> None:
    merged = merge({"worker-0": registry().text(), "worker-1": registry().text(), "hub": "tg_lag_bytes 3\n"})
    assert merged.count("# TYPE tg_requests_total counter") == 1
    assert merged.count("# HELP tg_seconds ") == 1
    found = samples(merged)
    assert found["tg_lag_bytes", (("process", "worker-0"),)] == 17
    assert found["tg_lag_bytes", (("process", "hub"),)] == 3
    model = ("model", 'a "quoted" \\ model\n')
    assert found["tg_requests_total", (model, ("process", "worker-1"), ("status", "200"))] == 3
    assert sum(1 for name, _ in found if name == "tg_seconds_count") == 2


def test_samples_of_one_name_stay_together() -> None:
    one = "# TYPE a counter\na 1\n# TYPE b counter\nb 1\n"
    lines = [line.split("{")[0] for line in merge({"x": one, "y": one}).splitlines() if line[0] != "#"]
    assert lines == ["a", "a", "b", "b"]


def test_rubbish_of_one_process_does_not_spoil_the_rest() -> None:
    merged = merge({"bad": "<html>\n# EOF\n\nno sample at all\n", "good": "tg_x 1\n", "empty": "tg_y{} 2\n"})
    assert samples(merged) == {("tg_x", (("process", "good"),)): 1, ("tg_y", (("process", "empty"),)): 2}
