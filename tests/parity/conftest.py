# What the parity tests share: the runs over PyTorch's test database and its schemas, and the lines that the suite
# ends with.
import os

# Both sides compute with one thread, so that they add in the same order on every machine.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import campaign
import expected
import modules
import opinfo
import pytest
import report as reports
import schemas
import torch

LONG = os.environ.get("TRAINHOST_LONG", "0") not in ("", "0")
SEED = int(os.environ.get("TRAINHOST_PARITY_SEED", "0"))
LINES = []


@pytest.fixture(autouse=True)
def one_thread():
    """Also after a test that asked for more."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lines():
    return LINES


@pytest.fixture(scope="session")
def folder(root):
    """Where reports go."""
    path = root / "build/test"
    path.mkdir(parents=True, exist_ok=True)
    return path


def finish(done, path, what, count):
    operators = len({outcome.operator for outcome in done.outcomes})
    wrong = sum(outcome.wrong is not None for outcome in done.outcomes)
    title = f"{what}: {len(done.outcomes)} calls of {operators} of {count} operators, {wrong} differ, seed {SEED}"
    if done.there:
        title += f"; {done.taken} of {done.there} samples"
    reports.write(done, path, title)
    LINES.append(title)
    LINES.extend(f"  dropped: {count} ({reason})" for reason, count in reports.drops(done).most_common())
    return done


def sizes(names, whole, sample):
    return {name: whole if LONG or name in expected.whole() else sample for name in names}


@pytest.fixture(scope="session")
def report(trainhost, folder):
    """Every case of PyTorch's test database, run on both sides."""
    names = [op.full_name for op in opinfo.entries()]
    done = campaign.run(trainhost, names, opinfo.cases_of, sizes(names, opinfo.WHOLE, opinfo.SAMPLE), SEED)
    return finish(done, folder / "parity_failures.txt", "OpInfo", len(names))


@pytest.fixture(scope="session")
def schema_report(trainhost, folder):
    """Every operator with arguments made from its schema."""
    names = schemas.names()
    done = campaign.run(trainhost, names, schemas.cases_of, sizes(names, 4, 1), SEED)
    return finish(done, folder / "schema_failures.txt", "schemas", len(names))


@pytest.fixture(scope="session")
def module_report(trainhost, folder):
    """Every module of PyTorch's module database and of layers.py that Lua has, on its inputs."""
    missing = modules.missing_of(trainhost)
    names = [name for name in modules.entries() if name not in missing]
    done = campaign.run(trainhost, names, modules.cases_of, dict.fromkeys(names, modules.WHOLE if LONG else modules.SAMPLE),
                        SEED, prepare=modules.prepare)
    finish(done, folder / "module_failures.txt", "modules", len(modules.entries()))
    if missing:
        LINES.append("  to come: " + " ".join(sorted(missing)))
    return done


def pytest_terminal_summary(terminalreporter):
    for line in LINES:
        terminalreporter.write_line(line)
