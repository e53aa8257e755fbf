import pytest

from reports.drawing import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234.5, "1,234"),
        (320_000, "320,000"),
        (123.45, "123.5"),
        (12.345, "12.35"),
        (1.2345, "1.234"),
        (0.7213, "0.7213"),
        (0.036, "0.0360"),
        (-0.0025, "−0.0025"),
        (0.00091, "0.00091"),
        (1.2e-7, "1.2e−07"),
        (None, "n/a"),
        (float("nan"), "n/a"),
        (float("inf"), "n/a"),
        (True, "n/a"),
    ],
)
def test_number(value, text):
    assert wording.number(value) == text


def test_signed_numbers_and_percents():
    assert [wording.signed(value) for value in (0.5, -0.5, 0)] == ["+0.5000", "−0.5000", "0"]
    assert [wording.percent(value) for value in (0.026, -0.0035, 0.44, 0.0)] == ["+2.60%", "−0.35%", "+44.0%", "0%"]
    assert wording.percent(0.106, sign=False) == "10.6%"


def test_span_needs_both_ends():
    assert wording.span([0.01, 0.02], wording.percent) == "[+1.00%, +2.00%]"
    assert wording.span([0.01, None]) == wording.span(None) == wording.span([]) == "n/a"


def test_p_values_and_times():
    assert [wording.p_value(value) for value in (0.0004, 0.0312, None)] == ["< 0.001", "0.031", "n/a"]
    assert [wording.milliseconds(value) for value in (0.4, 1.0, 12.34, 140.2, 0)] == [
        "0.400",
        "1.00",
        "12.3",
        "140",
        "0",
    ]
    assert [wording.seconds(value) for value in (41.2, 522.4, None)] == ["41 s", "8 min 42 s", "n/a"]


def test_runs_of_numbers_fold():
    assert wording.numbers([11, 12, 13, 14, 15, 20]) == "11–15, 20"
    assert wording.numbers([1, 2]) == "1, 2"
    assert wording.numbers(["a", "b"]) == "a, b"
