"""How time is measured: interleaved, and compared within the same round.

On a busy machine the time of a call varies more than what is to be told apart. So each round runs
all contestants in turn, every time in another order, and a ratio is the median of the ratios
within the rounds: whatever slowed a round slowed all of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

from .report import progress

# Long enough for the clock, and short enough for the next contestant to meet the same machine.
SECONDS_PER_SAMPLE = 0.01

Samples = dict[str, list[float]]


def measure(calls: Mapping[str, Callable[[], object]], rounds: int, title: str) -> Samples:
    """Return the seconds that each of ``calls`` took in each round."""
    repetitions = {name: calibrate(call) for name, call in calls.items()}
    samples: Samples = {name: [] for name in calls}
    order = list(calls)
    for number in range(1, rounds + 1):
        progress(f"{title}: round {number} of {rounds}")
        random.shuffle(order)
        for name in order:
            samples[name].append(sample(calls[name], repetitions[name]))
    progress("")
    return samples


def calibrate(call: Callable[[], object]) -> int:
    """Return how many calls make a sample, and warm up what they use."""
    return max(1, round(SECONDS_PER_SAMPLE / median(sample(call, 1) for _ in range(20))))


def sample(call: Callable[[], object], repetitions: int) -> float:
    start = perf_counter()
    for _ in range(repetitions):
        call()
    return (perf_counter() - start) / repetitions


def ratio(samples: Samples, name: str, reference: str) -> float:
    return median(a / b for a, b in zip(samples[name], samples[reference], strict=True))


def microseconds(samples: Samples, name: str) -> float:
    return median(samples[name]) * 1e6
