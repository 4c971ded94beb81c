# Out of memory: what the script holds no more is collected, and the call is made once more.
import resource
import subprocess

import pytest

# Lets go of 24 MB (or keeps them), has the limit set to what is in use, and asks for as much.
SCRIPT = """
local host, torch = require "host", require "torch"
local x = torch.zeros(3 << 20, {dtype = torch.float64})
%s
host.collect()
local kept = torch.ones(3 << 20, {dtype = torch.float64})
if %s then kept = nil end
io.write "ready\\n" io.flush()
io.read()
local ok, result = pcall(function() %s end)
print(ok or result.kind)
print(torch.ones(4):sum():item())
"""

CALLS = {  # name: what is made before, what runs out of memory unless garbage goes
    "an operator": ("", "return x + 1"),
    "a tensor of a list": ("local list = {} for i = 1, 1 << 19 do list[i] = 1.5 end",
                           "return torch.tensor(list, {dtype = torch.float64})"),
    "an index": ("local rows = torch.arange(3 << 20)", "return x[rows]"),
    "a conversion": ("", "return x:to(torch.complex64)"),
    "a file": ("torch.save({x = x}, host.args[1])", "return torch.load(host.args[1])"),
}


def outcome(trainhost, tmp_path, call, let_go):
    before, call = CALLS[call]
    process = subprocess.Popen([trainhost.path, "-e", SCRIPT % (before, let_go, call), "--", tmp_path / "x.safetensors"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        with open(f"/proc/{process.pid}/statm") as statm:
            limit = int(statm.read().split()[0]) * resource.getpagesize() + (4 << 20)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
        return process.communicate("go\n", timeout=60)[0]
    finally:
        process.kill()


@pytest.mark.parametrize("call", CALLS)
def test_garbage_makes_room_for_what_is_asked_for(trainhost, tmp_path, call):
    assert outcome(trainhost, tmp_path, call, "true") == "true\n4.0\n"


@pytest.mark.parametrize("call", ["an operator", "a conversion", "an index"])
def test_without_garbage_it_is_an_error_and_the_script_goes_on(trainhost, tmp_path, call):
    assert outcome(trainhost, tmp_path, call, "false") == "memory\n4.0\n"
