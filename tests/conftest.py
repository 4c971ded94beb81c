# What every Python suite has: the program, and the last line that `./dev test` adds up.
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Trainhost:
    """Runs build/release/trainhost (or what TRAINHOST names)."""

    path = pathlib.Path(os.environ.get("TRAINHOST", ROOT / "build/release/trainhost"))

    def run(self, *args, cwd=None, env=None, timeout=120, check=True, input=None):
        """Runs the program; the result has stdout, stderr and returncode. check: a failure is the test's failure."""
        done = subprocess.run([self.path, *map(str, args)], cwd=cwd, env={**os.environ, **(env or {})}, input=input,
                              stdin=subprocess.DEVNULL if input is None else None, capture_output=True, text=True,
                              timeout=timeout)
        if check and done.returncode != 0:
            pytest.fail(f"trainhost {' '.join(map(str, args))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def lua(self, code, *args, **options):
        """Runs Lua code and returns what it printed."""
        return self.run("-e", code, *args, **options).stdout


@pytest.fixture(scope="session")
def trainhost():
    assert Trainhost.path.exists(), f"no program at {Trainhost.path}: ./dev build makes it"
    return Trainhost()


@pytest.fixture(scope="session")
def root():
    return ROOT


def pytest_terminal_summary(terminalreporter):
    stats = terminalreporter.stats
    for report in stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"skipped: {report.nodeid}: {reason.removeprefix('Skipped: ')}")
    count = {kind: len(stats.get(kind, [])) for kind in ("passed", "xfailed", "failed", "error", "xpassed", "skipped")}
    terminalreporter.write_line(f"{count['passed'] + count['xfailed']} passed, "
                                f"{count['failed'] + count['error'] + count['xpassed']} failed, "
                                f"{count['skipped']} skipped")
