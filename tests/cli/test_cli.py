# The command line: what runs, exit codes, tracebacks, parameters.
import contextlib
import sqlite3
import subprocess
import sys

import pytest


def script(tmp_path, text, name="train.lua"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_runs_a_script_with_arguments(trainhost, tmp_path):
    path = script(tmp_path, "print(arg[0], arg[1], arg[2], #require('host').args)")
    assert trainhost.run(path, "--", "a", "--set").stdout == f"{path}\ta\t--set\t2\n"


def test_the_arguments_are_also_those_of_the_main_chunk(trainhost, tmp_path):
    path = script(tmp_path, "print(select('#', ...), ...)")
    assert trainhost.run(path, "--", "a", "b c").stdout == "2\ta\tb c\n"
    assert trainhost.run(path).stdout == "0\n"
    assert trainhost.run("-e", "print(...)", "--", "a", "b").stdout == "a\tb\n"
    assert trainhost.run("-", "--", "a", input="print(...)").stdout == "a\n"


def test_runs_code_and_standard_input(trainhost):
    assert trainhost.run("-e", "x = 1", "-e", "print(x)").stdout == "1\n"
    assert trainhost.run(input="print(1 + 1)").stdout == "2\n"
    assert trainhost.run("-", input="print(...)").stdout == "\n"
    failed = trainhost.run(input="\nerror('x')", check=False)
    assert (failed.returncode, failed.stderr) == (1, "stdin:2: x\n")


def test_version_names_what_is_inside(trainhost):
    lines = trainhost.run("--version").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["trainhost", "Lua", "LibTorch", "CUDA"]
    assert lines[1].startswith("Lua 5.4.") and lines[3] in ("CUDA yes", "CUDA no")
    assert trainhost.lua("local v = require('host').versions print(v.torch == v.torch_built_against)") == "true\n"


@pytest.mark.parametrize("words, message", [
    (["--sett", "a=1"], "unknown option '--sett'"),
    (["--set", "a"], "--set expects name=value, got 'a'"),
    (["--set"], "--set expects a value"),
    (["-e"], "-e expects a value"),
    (["a.lua", "b.lua"], "unexpected 'b.lua'; what is meant for the script goes after --"),
    (["a.lua", "-e", "x = 1"], "do not go together"),
])
def test_a_wrong_command_line_is_exit_code_2(trainhost, words, message):
    done = trainhost.run(*words, check=False)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_an_error_is_one_line_and_the_frames_of_the_script(trainhost, tmp_path):
    path = script(tmp_path, "local function f()\n  error('boom')\nend\nlocal function g()\n  f()\nend\ng()\n")
    done = trainhost.run(path.name, check=False, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == ["train.lua:2: boom", "    train.lua:2: in upvalue 'f'",
                                        "    train.lua:5: in local 'g'", "    train.lua:7: in the main chunk"]


def test_an_endless_recursion_is_a_few_lines_with_both_ends(trainhost, tmp_path):
    path = script(tmp_path, "local function a(n)\n  return 1 + b(n)\nend\nfunction b(n)\n  return 1 + a(n)\nend\na(1)")
    lines = trainhost.run(path, check=False).stderr.splitlines()
    assert "stack overflow" in lines[0] and len(lines) <= 8
    assert "    ... these 2 frames 50 times" in lines and lines[-1].endswith("train.lua:7: in the main chunk")
    path = script(tmp_path, "local function f(n)\n  if n == 0 then error('deep') end\n  return 1 + f(n - 1)\nend\nf(50)")
    assert trainhost.run("train.lua", check=False, cwd=tmp_path).stderr.splitlines()[1:] == [
        "    train.lua:2: in upvalue 'f'", "    train.lua:3: in upvalue 'f'", "    ... this frame 49 times",
        "    train.lua:3: in local 'f'", "    train.lua:5: in the main chunk"]


def test_a_module_that_is_not_there_is_one_line_without_repeats(trainhost, tmp_path):
    path = script(tmp_path, "require 'nosuch'")
    line, = trainhost.run("train.lua", check=False, cwd=tmp_path).stderr.splitlines()
    assert line.startswith("train.lua:1: module 'nosuch' not found, looked in ./nosuch.lua, ./nosuch/init.lua, ")
    assert line.count("./nosuch.lua") == 1 and line.endswith(" and package.cpath")
    assert trainhost.run("-e", "print((select(2, pcall(require, 'nosuch')):match('^[^\\n]*')))").stdout == \
        "module 'nosuch' not found:\n"


@pytest.mark.parametrize("code, meant", [
    ("net:parametrs()", "parameters"), ("torch.optim.SGD(net:parameters(), {lr = 1}):steep(nil, net)", "step"),
    ("torch.utils.data.DataLoader({len = 1, get = print}):itr()", "iter"), ("run:log_metrc('a', 1)", "log_metric"),
    ("local t = {hello = print} t:helo(nil, net)", "hello"), ("net:zzzzzzzz()", None)])
def test_a_method_that_is_not_there_names_the_nearest_one(trainhost, tmp_path, code, meant):
    path = script(tmp_path, "local torch = require 'torch'\nlocal net = torch.nn.Linear(1, 1)\n"
                  "local run <close> = require('mlflow').start_run()\n" + code)
    first = trainhost.run(path, check=False, cwd=tmp_path).stderr.splitlines()[0]
    assert ":4: attempt to call a nil value (method '" in first
    assert first.endswith(f"(did you mean '{meant}'?)" if meant else "')")


def test_what_does_not_compile_names_the_chunk_and_its_line(trainhost, tmp_path):
    assert trainhost.run("-e", "x=", check=False).stderr == "(command line):1: unexpected symbol near <eof>\n"
    assert trainhost.run("-e", "x=1", "-e", "y=", check=False).stderr.startswith("(command line):2: ")
    path = tmp_path / "binary.lua"
    trainhost.run("-e", f"io.open('{path}', 'wb'):write(string.dump(load'x = 1'))")
    assert trainhost.run(path, check=False).stderr == f"{path}: attempt to load a binary chunk (mode is 't')\n"


def test_frames_of_the_standard_library_are_hidden_unless_asked_for(trainhost, tmp_path):
    path = script(tmp_path, "local host = require('host')\nhost.param('lr', {}, {typo = 1})\n")
    done = trainhost.run(path.name, check=False, cwd=tmp_path)
    assert done.stderr.startswith("train.lua:2: host.param: unknown keyword") and "did you mean 'type'?" in done.stderr
    assert "stdlib/" not in done.stderr
    full = trainhost.run(path, check=False, env={"TRAINHOST_TRACE": "full"})
    assert "stdlib/host/init.lua:" in full.stderr


@pytest.mark.parametrize("text, message", [
    ("x = = 1", "train.lua:1: unexpected symbol near '='"),
    ("local x = {", "train.lua:1: unexpected symbol near <eof>"),
    ("error({code = 1})", "error value of type table"),
    ("error()", "error value of type nil"),
    ("error(setmetatable({}, {__tostring = function() return 'my error' end}))", "my error"),
    ("nothing.here()", "attempt to index a nil value (global 'nothing')"),
    ("require('nowhere')", "module 'nowhere' not found"),
    ("local function f() return f() + 1 end f()", "stack overflow"),
    ("coroutine.wrap(function() error('inside') end)()", "inside"),
])
def test_every_kind_of_failure_is_exit_code_1(trainhost, tmp_path, text, message):
    done = trainhost.run(script(tmp_path, text).name, check=False, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr


def test_a_missing_script_is_one_clear_line(trainhost):
    done = trainhost.run("nowhere.lua", check=False)
    assert (done.returncode, done.stderr) == (1, "cannot open the script nowhere.lua\n")


def test_exit_codes_of_the_script_are_honoured_with_cleanups(trainhost):
    code = """local host = require 'host'
    host.at_exit(function(status) print('first', status) end)
    host.at_exit(function(status) print('last', status) end)
    local _ <close> = setmetatable({}, {__close = function() print('closed') end})
    pcall(function() coroutine.wrap(function() pcall(EXIT) end)() end)
    print('not reached')"""
    for exit, status, number in (("os.exit", "finished", 0), ("function() os.exit(true) end", "finished", 0),
                                 ("function() host.exit(7) end", "failed", 7), ("function() os.exit(false) end", "failed", 1)):
        done = trainhost.run("-e", code.replace("EXIT", exit), check=False)
        assert (done.returncode, done.stdout) == (number, f"closed\nlast\t{status}\nfirst\t{status}\n")


def test_at_exit_knows_of_failure_and_its_own_failures_are_shown(trainhost):
    done = trainhost.run("-e", "require('host').at_exit(print) error('x')", check=False)
    assert (done.returncode, done.stdout) == (1, "failed\n")
    done = trainhost.run("-e", "local h = require('host') h.at_exit(print) h.at_exit(function() error('late') end)", check=False)
    assert (done.returncode, done.stdout) == (1, "finished\n") and "late" in done.stderr


@pytest.mark.parametrize("value", ["require('torch').float32", "{1, 2, x = 3}", "coroutine.create(print)"])
def test_what_a_script_returns_does_not_decide_how_it_ended(trainhost, tmp_path, value):
    text = "require('host').at_exit(print) return " + value
    for words in (["-e", text], [script(tmp_path, text)]):
        done = trainhost.run(*words, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "finished\n", "")


def test_the_native_modules_are_the_standard_librarys(trainhost, tmp_path):
    for code in ("require('native.vm')", "pcall(print) local vm = require 'native.vm'",
                 "require('mlflow') require('native.track')", "package.path = '' return require('native.nothing')"):
        done = trainhost.run(script(tmp_path, code).name, check=False, cwd=tmp_path)
        assert done.returncode == 1 and done.stderr.startswith("train.lua:1: require: 'native.") \
            and "for the standard library alone (scripts use torch" in done.stderr, done.stderr
    assert trainhost.lua("require 'mlflow' for name in pairs(package.loaded) do assert(not name:find '^native') end "
                         "for name in pairs(package.preload) do assert(not name:find '^native') end "
                         "print(pcall(require, 'native.vm'))").startswith("false\t")


def test_parameters_take_the_type_of_the_default(trainhost):
    code = """local host = require 'host'
    local function show(v) return type(v) == 'table' and host.json.encode(v) or (math.type(v) or type(v)) .. ' ' .. tostring(v) end
    print(show(host.param('lr', 1e-3)), show(host.param('n', 3)), show(host.param('name', 'x')), show(host.param('on', false)),
          show(host.param('sizes', {1, 2})), show(host.param('opt', 'sgd', {choices = {'sgd', 'adam'}})))
    local values, names = host.params()
    print(values.lr, table.concat(names, ' '))"""
    assert trainhost.lua(code) == "float 0.001\tinteger 3\tstring x\tboolean false\t[1, 2]\tstring sgd\n0.001\tlr n name on sizes opt\n"
    words = ["lr=1", "n=1e1", "name=007", "on=yes", "sizes=[4,5,6]", "opt=adam"]
    given = [word for pair in words for word in ("--set", pair)]
    assert trainhost.lua(code, *given).splitlines()[0] == \
        "float 1.0\tinteger 10\tstring 007\tboolean true\t[4, 5, 6]\tstring adam"


@pytest.mark.parametrize("code, pair, message", [
    ("host.param('n', 3)", "n=0.5", '--set n=0.5: expected an integer, got "0.5"'),
    ("host.param('lr', 0.1)", "lr=fast", '--set lr=fast: expected a number, got "fast"'),
    ("host.param('on', true)", "on=maybe", "--set on=maybe: expected true or false"),
    ("host.param('l', {1})", "l=1,x", "--set l=1,x: expected a list such as 1,2,3"),
    ("host.param('o', 'a', {choices = {'adam', 'sgd'}})", "o=adma", "expected one of adam, sgd (did you mean 'adam'?)"),
    ("host.param('lr', 0.1, {min = 0})", "lr=-1", "--set lr=-1: expected a number at least 0"),
    ("host.param('lr', 0.1, {min = 0, max = 1})", "lr=nan", "expected a number from 0 to 1"),
    ("host.param('data')", "x=1", "parameter 'data' is required (give it as --set data=VALUE)"),
])
def test_a_wrong_parameter_is_one_clear_line(trainhost, code, pair, message):
    done = trainhost.run("-e", "local host = require 'host' " + code, "--set", pair, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("(command line):1: ") and message in done.stderr


def test_a_parameter_that_is_never_read_is_warned_of(trainhost):
    done = trainhost.run("-e", "require('host').param('batch_size', 64)", "--set", "batchsize=32")
    assert done.stderr == "warning: --set batchsize was never read by the script; did you mean 'batch_size'?\n"
    assert trainhost.run("-e", "", "--set", "x=1", "--quiet").stderr == ""


def test_a_misspelt_parameter_is_told_before_the_script_runs(trainhost, tmp_path):
    script, module = tmp_path / "train.lua", tmp_path / "models" / "net.lua"
    module.parent.mkdir()
    module.write_text("return require('host').param('width', 8)\n")
    script.write_text("local host, width = require 'host', require 'models.net'\n"
                      "io.stderr:write('runs\\n')\nprint(width)\nlocal late = host.param('late', 0)\n")
    done = trainhost.run(script, "--set", "width=3", "--set", "late=1", "--set", "lat=2")
    assert done.stdout == "3\n"
    assert done.stderr == f"warning: --set lat: {script} has no host.param(\"lat\"); did you mean 'late'?\nruns\n"
    assert trainhost.run(script, "--set", "lat=2", "--quiet").stderr == "runs\n"
    # Where the text does not tell, the end of the run does.
    script.write_text("local host = require 'host'\nio.stderr:write('runs\\n')\n"
                      "for _, name in ipairs{'a1', 'b1'} do host.param(name, 0) end\n")
    done = trainhost.run(script, "--set", "a1=1", "--set", "c1=1")
    assert done.stderr.startswith("runs\nwarning: --set c1 was never read by the script")


def test_a_warning_of_torch_names_the_line_of_the_script_once(trainhost, tmp_path):
    script = tmp_path / "warn.lua"
    script.write_text("local torch = require 'torch'\n"
                      "for _ = 1, 3 do torch.randn(2):random_(math.maxinteger) end\n"
                      "torch.randn(2):random_(math.maxinteger)\n")
    lines = trainhost.run(script).stderr.splitlines()
    assert [line.split(": to - 1 is out of bounds")[0][-11:] for line in lines] == ["/warn.lua:2", "/warn.lua:3"]
    assert all(line.startswith("warning: ") for line in lines)


def test_the_standard_library_cannot_be_replaced_from_the_working_folder(trainhost, tmp_path):
    script(tmp_path, "error('wrong host')", "host.lua")
    script(tmp_path, "return 'beside'", "beside.lua")
    script(tmp_path, "print(require('host').version ~= nil, (require('beside')))")
    assert trainhost.run(tmp_path / "train.lua", cwd=tmp_path).stdout == "true\tbeside\n"
    assert trainhost.run(tmp_path / "train.lua", cwd="/").stdout == "true\tbeside\n"


def test_the_standard_library_can_be_a_folder(trainhost, root, tmp_path):
    copy = tmp_path / "stdlib"
    subprocess.run(["cp", "-r", root / "stdlib", copy], check=True)
    with open(copy / "host/init.lua", "a") as file:
        file.write("\n-- changed\n")
    (copy / "host/keywords.lua").write_text("return {check = function() return {changed = true} end}")
    assert trainhost.lua("print(require('host.keywords').check().changed)", "--stdlib", copy) == "true\n"


def test_lua_modules_in_c_load(trainhost, tmp_path):
    source = tmp_path / "answer.c"
    source.write_text("typedef struct lua_State lua_State; void lua_pushinteger(lua_State*, long long);\n"
                      "int luaopen_answer(lua_State* L) { lua_pushinteger(L, 42); return 1; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "answer.so", source], check=True)
    assert trainhost.lua(f"package.cpath = '{tmp_path}/?.so' print((require 'answer'))") == "42\n"


def test_a_closed_pipe_stops_the_script_with_its_cleanups(trainhost):
    code = "require('host').at_exit(function(s) io.stderr:write(s, '\\n') end) while true do print(1) end"
    child = subprocess.Popen([trainhost.path, "-e", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "1\n"
    child.stdout.close()
    assert child.wait(10) == 141 and child.stderr.read() == "killed\n"


def test_a_pipe_to_another_program_that_ends_is_named(trainhost):
    code = "local p = io.popen('head -1 > /dev/null', 'w') for i = 1, 1e6 do p:write(('x'):rep(100), '\\n') end"
    done = trainhost.run("-e", code, check=False)
    assert done.returncode == 141
    assert done.stderr.splitlines() == ["(command line):1: interrupted", "    a pipe that the script writes to has lost its reader"]


def test_a_training_whose_reader_leaves_ends_in_good_order(trainhost, tmp_path):
    script = tmp_path / "train.lua"
    script.write_text("""
      local host, mlflow, train = require "host", require "mlflow", require "train"
      mlflow.set_tracking_uri("sqlite:///m.db")
      local run <close> = mlflow.start_run()
      local logged = io.open("logged", "w")
      train.fit {train = {{1}}, epochs = 10000, step = function() host.sleep(0.002) return 0.5 end, callbacks = {
        mlflow.callback(), train.on("epoch_end", {group = "checkpoint"}, function(state) logged:write(state.epoch, "\\n") end)}}
      error "not reached" """)
    command = f"'{trainhost.path}' train.lua | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 141 and done.stderr == "" and done.stdout.count("\n") == 1
    epochs = (tmp_path / "logged").read_text().split()
    with contextlib.closing(sqlite3.connect(tmp_path / "m.db")) as store:
        assert store.execute("SELECT status FROM runs").fetchall() == [("KILLED",)]
        rows = store.execute("SELECT step FROM metrics WHERE key = 'loss' ORDER BY step").fetchall()
    assert epochs and [str(step) for step, in rows] == epochs
