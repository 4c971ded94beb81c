# Ctrl-C and the other signals that end a script.
import signal
import subprocess
import time

import pytest

READY = "io.stderr:write('ready\\n'); "
STUBBORN = {
    "loop": "while true do end",
    "pcall loop": "while true do pcall(function() while true do end end) end",
    "pcall of errors": "while true do pcall(error, 'x') end",
    "xpcall handler": "while true do xpcall(error, function() while true do end end) end",
    "coroutine": "coroutine.wrap(function() while true do end end)()",
    "pcall around coroutines": "local f = coroutine.wrap(function() while true do pcall(function() coroutine.wrap(function()"
                               " while true do end end)() end) end end) f()",
    "resume loop": "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "yields": "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
    "finalizer": "setmetatable({}, {__gc = function() while true do end end}) collectgarbage() while true do end",
    "close handler": "do local _ <close> = setmetatable({}, {__close = function() while true do end end}) end",
    "closed coroutine": "local c = coroutine.create(function() local _ <close> = setmetatable({}, {__close = function()"
                        " while true do end end}) coroutine.yield() end) coroutine.resume(c) coroutine.close(c)",
    "comparison": "table.sort({1, 2, 3}, function() while true do end end)",
    "gsub": "(('x'):rep(10)):gsub('x', function() while true do end end)",
    "metamethod": "tostring(setmetatable({}, {__tostring = function() while true do end end}))",
    "require": "package.preload.x = function() while true do end end while true do pcall(require, 'x') end",
    "allocation": "while true do local t = {} for i = 1, 10 do t[i] = {} end end",
    "commands": "while true do os.execute('sleep 0.2') end",
    "sleep": "require('host').sleep(1000)",
    "operators": "local t = require 'torch' local x = t.ones(64, 64) while true do pcall(function() x = x + 1 end) end",
}


def start(trainhost, code):
    child = subprocess.Popen([trainhost.path, "-e", READY + code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    assert child.stderr.readline() == "ready\n"
    time.sleep(0.05)
    return child


def finish(child, seconds=20):
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        pytest.fail(f"runs on {seconds} s after the signal")
    return child.returncode, child.stdout.read(), child.stderr.read()


@pytest.mark.parametrize("code", STUBBORN.values(), ids=STUBBORN)
def test_one_ctrl_c_stops(trainhost, code):
    child = start(trainhost, code)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    returncode, _, stderr = finish(child)
    assert returncode == 130 and stderr.startswith("(command line):1: interrupted\n")
    assert time.monotonic() - began < 1.0  # the process's end is in it; a swallowed request would take longer


def test_close_handlers_of_an_interrupted_script_run_with_pcall_working(trainhost):
    child = start(trainhost, """local host = require 'host'
      host.at_exit(function(status) print('at exit', status) end)
      local _ <close> = setmetatable({}, {__close = function(_, err)
        print('closed', err.kind, pcall(error, 'fine', 0))
      end})
      while true do end""")
    child.send_signal(signal.SIGINT)
    returncode, stdout, _ = finish(child)
    assert (returncode, stdout) == (130, "closed\tinterrupted\tfalse\tfine\nat exit\tkilled\n")


def test_a_close_handler_that_never_ends_is_left_after_a_second_or_a_second_ctrl_c(trainhost):
    code = "local _ <close> = setmetatable({}, {__close = function() while true do end end}) while true do end"
    for signals in (1, 2):
        child = start(trainhost, code)
        began = time.monotonic()
        for _ in range(signals):
            child.send_signal(signal.SIGINT)
            time.sleep(0.1)
        assert finish(child)[0] == 130
        took = time.monotonic() - began
        assert took > 0.9 if signals == 1 else took < 0.9


def test_the_third_ctrl_c_ends_what_cannot_be_stopped(trainhost):
    child = start(trainhost, "(('a'):rep(60)):find(('a?'):rep(60) .. ('a'):rep(60) .. 'b')")
    for _ in range(2):
        child.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    assert finish(child, 2)[0] == 130


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_stop_in_the_same_way(trainhost, number, code):
    child = start(trainhost, "require('host').at_exit(print) while true do end")
    child.send_signal(number)
    returncode, stdout, _ = finish(child)
    assert (returncode, stdout) == (code, "killed\n")


def test_a_graceful_script_sees_the_first_ctrl_c_and_stops_itself(trainhost):
    code = """local host = require 'host'
      host.at_exit(print)
      host.graceful(true)
      while not host.stop_wished() do end
      print('stops in good order')"""
    child = start(trainhost, code)
    child.send_signal(signal.SIGINT)
    assert finish(child)[:2] == (130, "stops in good order\nkilled\n")


def test_a_graceful_script_that_does_not_look_is_stopped_by_the_second_ctrl_c(trainhost):
    child = start(trainhost, "require('host').graceful(true) while true do end")
    child.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    assert finish(child)[0] == 130


FIT = """local torch, train = require 'torch', require 'train'
  torch.set_num_threads(1)
  local net = torch.nn.Linear(2, 1)
  print(pcall(train.fit, {
    model = net, optimizer = torch.optim.SGD(net:parameters()), loss = torch.nn.functional.mse_loss, quiet = true,
    train = {{torch.ones(4, 2), torch.ones(4, 1)}}, epochs = math.maxinteger,
    callbacks = {train.on('train_end', function() print('train_end') end),
      train.on('batch_end', {once = 1}, function() io.stderr:write('training\\n') end)},
  }))
  print('goes on')"""


def test_ctrl_c_in_fit_stops_in_good_order_and_passes_pcall(trainhost):
    child = start(trainhost, FIT)
    assert child.stderr.readline() == "training\n"
    child.send_signal(signal.SIGINT)
    returncode, stdout, stderr = finish(child)
    assert (returncode, stdout) == (130, "train_end\n")
    assert "interrupted: stopped in good order after step " in stderr


LOADER = """local torch = require 'torch'
  local data = torch.utils.data
  local set = data.TensorDataset(torch.zeros(20000, 500))
  local loader = data.DataLoader(set, {batch_size = 20000, shuffle = true, workers = 2, seed = 1})
  io.stderr:write('loading\\n')
  while true do pcall(function() for x in loader:iter() do pcall(x.size, x, 0) end end) end"""


def test_ctrl_c_gets_out_of_a_loop_that_waits_for_the_workers_of_a_loader(trainhost):
    # Every batch is the whole set and takes the workers tens of milliseconds: the loop does nothing but wait for them.
    child = start(trainhost, LOADER)
    assert child.stderr.readline() == "loading\n"
    time.sleep(0.3)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    returncode, _, stderr = finish(child)
    assert returncode == 130 and "interrupted" in stderr
    assert time.monotonic() - began < 2.0
