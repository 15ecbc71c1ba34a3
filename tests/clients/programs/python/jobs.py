"""Jobs that workers run."""

import time


def square(number):
    return number * number


def slow_square(number, seconds):
    time.sleep(seconds)
    return number * number


def fail():
    raise ValueError("this job always fails")
