"""How values look in the admin."""

from datetime import timedelta

import pytest

from django_pushjobs.admin.formatting import duration


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "0 ms"),
        (timedelta(microseconds=999_600), "1.0 s"),
        (timedelta(milliseconds=-20), "20 ms"),
        (timedelta(seconds=59.9), "59.9 s"),
        (timedelta(seconds=119.7), "2 min 0 s"),
        (timedelta(minutes=61), "1 h 1 min"),
        (timedelta(days=3, hours=2, minutes=59), "3 d 2 h"),
    ],
)
def test_a_length_of_time_is_two_units(length, text):
    assert duration(length) == text
