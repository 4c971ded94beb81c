# No call that a script can make ends the process. A sample that rotates with the commit; TRAINHOST_LONG=1 runs all.
import os
import subprocess

import fuzz
import pytest

LONG = bool(os.environ.get("TRAINHOST_LONG"))


@pytest.fixture(scope="session")
def seed(root):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True).stdout
    return int(head[:8] or "1", 16)


@pytest.mark.parametrize("what, budget, tries", [
    ("exports", 3600 if LONG else 15, 1000 if LONG else 60),
    ("operators", 7200 if LONG else 60, 200 if LONG else 20)])
def test_no_call_crashes(trainhost, seed, what, budget, tries):
    report = fuzz.fuzz(what, budget, seed, tries)
    text = f"seed {seed}: {report.text(what)}"
    print(text)
    assert not report.crashes and not report.odd, text
    assert report.tried >= min(report.names, 100) and report.returned > report.calls / 12, text


def test_a_crash_is_found_and_named(trainhost, tmp_path):
    """The harness itself: what ends its process is reported with its call, and the names behind it still run."""
    report = fuzz.Report()
    fuzz.run_chunk("exports", ["os.exit", "torch.numel"], 5, 1, tmp_path, report)
    (end, call), = report.crashes.values()
    assert end.startswith("exit code") and "os.exit(" in call
    assert report.calls > 5


def test_no_memory_is_an_error_that_a_script_can_catch(trainhost, tmp_path):
    """For memory of C++ as for tensors: 2^31 parts need 16 GB for their list."""
    script = tmp_path / "memory.lua"
    script.write_text('local torch = require "torch"\n'
                      'for _, call in ipairs {\n'
                      '  function() torch.tensor_split(torch.ones(3, 3), 2147483648) end,\n'
                      '  function() torch.ones(1 << 40) end,\n'
                      '} do\n'
                      '  local ok, err = pcall(call)\n'
                      '  print(ok, err.kind)\n'
                      'end\n')
    done = subprocess.run([trainhost.path, script], capture_output=True, text=True, preexec_fn=fuzz.limits)
    assert done.stdout == "false\tmemory\nfalse\tmemory\n", done.stdout + done.stderr


def test_more_memory_than_the_machine_has_is_an_error(trainhost):
    """However the program's malloc maps: the kernel would grant it and then kill the process."""
    done = trainhost.lua('local torch = require "torch"\n'
                         'for _, bits in ipairs {40, 44, 50} do\n'
                         '  local ok, err = pcall(torch.empty, 1 << bits)\n'
                         '  print(ok, ok or err.kind)\n'
                         'end')
    assert done == "false\tmemory\n" * 3
