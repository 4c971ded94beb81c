# Metrics of Lua on random cases: whole, streamed in random batches, merged; each compared with what Python says.
import math
import pathlib

import exchange
import pytest
import torch

LUA = pathlib.Path(__file__).resolve().parent / "streams.lua"


class Streams:
    """Collects cases; `check` runs them in one process."""

    def __init__(self, folder):
        self.exchange = exchange.Exchange(folder)
        self.expected = []

    def value(self, value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name} = {self.value(each)}" for name, each in value.items()) + "}"
        if isinstance(value, (list, tuple)):
            return "{" + ", ".join(map(self.value, value)) + "}"
        return "nil" if value is None else self.exchange.lua(value)

    def add(self, rng, metric, options, columns, expected, rtol=1e-9, atol=1e-11, fields=None):
        """columns: predictions, target and weights (or None), each with a row for each sample: tensors, lists, or
        tables of these. fields: those of a result by name, in the order of `expected`."""
        count = rows(columns[0])
        cuts = sorted(rng.randint(0, count) for _ in range(rng.randint(0, 4)))
        batches = [[part(column, a, b) for column in columns] for a, b in zip([0, *cuts], [*cuts, count])]
        name = f"{len(self.expected)} {metric} {options}"
        self.exchange.case(name, f"return dofile({self.exchange.lua(str(LUA))})({self.exchange.lua(metric)}, "
                                 f"{self.value(options)}, {self.value(columns)}, {self.value(batches)}, "
                                 f"{self.value(fields)})")
        self.expected.append((name, expected, rtol, atol))

    def check(self, trainhost, least):
        """At least so many expected results must be numbers."""
        results = self.exchange.run(trainhost)
        defined = 0
        for name, expected, rtol, atol in self.expected:
            result = results[name]
            assert result.error is None, f"{name}: {result.error}"
            assert len(result.values) == 3, name
            for way, got in zip(("whole", "streamed", "merged"), result.values):
                assert got == pytest.approx(expected, rel=rtol, abs=atol, nan_ok=True), f"{name}: {way}: got {got}, expected {expected}"
            defined += not (isinstance(expected, float) and math.isnan(expected))
        assert defined >= least, f"only {defined} of {len(self.expected)} cases say something"


def rows(column):
    return rows(next(iter(column.values()))) if isinstance(column, dict) else len(column)


def part(column, a, b):
    if isinstance(column, dict):
        return {name: part(each, a, b) for name, each in column.items()}
    return None if column is None else column[a:b]


def generator(rng):
    return torch.Generator().manual_seed(rng.getrandbits(32))
