"""How time is measured: the calls take turns, and only times of the same round are compared.

On a busy machine, the time of a call varies more than the differences of interest. So each round
runs all calls, in random order, and a ratio is the median of the ratios within the rounds:
whatever slows down a round slows down all of it.
"""

import random
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

Call = Callable[[], object]
Samples = dict[str, list[float]]

# Long enough for the clock, and short enough for all calls of a round to meet the same machine.
SECONDS_PER_SAMPLE = 0.01


def measure(calls: Mapping[str, Call], rounds: int) -> Samples:
    """Return the seconds that each of ``calls`` took in each round."""
    samples: Samples = {name: [] for name in calls}
    for _ in range(rounds):
        for name in random.sample(list(calls), len(calls)):
            samples[name].append(sample(calls[name]))
    return samples


def sample(call: Call) -> float:
    start, seconds, repetitions = perf_counter(), 0.0, 0
    while seconds < SECONDS_PER_SAMPLE:
        call()
        repetitions += 1
        seconds = perf_counter() - start
    return seconds / repetitions


def ratio(samples: Samples, name: str, reference: str) -> float:
    return median(a / b for a, b in zip(samples[name], samples[reference], strict=True))
