# What the parity tests share: one run over PyTorch's test database, and the lines that the suite ends with.
import os
import pathlib

import campaign
import opinfo
import pytest
import report as reports

LONG = os.environ.get("TRAINHOST_LONG") == "1"
SEED = int(os.environ.get("TRAINHOST_PARITY_SEED", "0"))
LINES = []


@pytest.fixture(scope="session")
def whole():
    """Does this run take everything, or the sample of every day?"""
    return LONG


@pytest.fixture(scope="session")
def folder(root):
    """Where reports go."""
    path = root / "build/test"
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def report(trainhost, folder):
    """Every case of PyTorch's test database, run on both sides."""
    names = [op.full_name for op in opinfo.entries()]
    done = campaign.run(trainhost, names, opinfo.cases_of, opinfo.WHOLE if LONG else opinfo.SAMPLE, SEED)
    wrong = sum(outcome.wrong is not None for outcome in done.outcomes)
    title = (f"OpInfo: {len(done.outcomes)} calls of {len({o.operator for o in done.outcomes})} entries, {wrong} differ; "
             f"{done.taken} of {done.there} samples{'' if LONG else f', seed {SEED}'}")
    reports.write(done, folder / "parity_failures.txt", title)
    LINES.append(title)
    return done


def pytest_terminal_summary(terminalreporter):
    for line in LINES:
        terminalreporter.write_line(line)
