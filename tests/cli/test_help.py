# trainhost doc, stubs and new: what they print and write, exit codes; help in the console.
import json
import re
import shlex
import shutil
import subprocess

import pytest
from conftest import ROOT


def test_doc_shows_an_operator(trainhost):
    shown = trainhost.run("doc", "torch.add").stdout
    assert shown.startswith("torch.add\n\nAdds `other`")
    assert "torch.add(input: Tensor|number, other: Tensor|number, {alpha: number = 1, out?: Tensor}) -> Tensor" in shown
    assert "https://docs.pytorch.org/docs/stable/generated/torch.add.html" in shown


@pytest.mark.parametrize("name, parts", [
    ("torch.ops.aten.add", ["(operator)", "Adds `other`", "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1)"]),
    ("torch.ops.aten.add.Tensor", ["(operator)", "aten::add.Tensor("]),
    ("torch.complex", ["torch.complex(real: Tensor, imag: Tensor", "torch.complex(re: number, im: number) -> complex"]),
    ("torch.autograd.Function", ["(class)", "Makes a class of operators", "Example:"]),
    ("torch.autograd.Function.apply", ["calls the class's backward"]),
    ("torch.autograd.Function.backward", ["a gradient for each argument of forward"]),
    ("torch.autograd.Function.save_for_backward", ["ctx:save_for_backward(...", "ctx.saved_tensors"]),
    ("torch.utils.checkpoint", ["(namespace)", "checkpoint_sequential"]),
    ("torch.utils.checkpoint.checkpoint", ["which runs f again"]),
    ("torch.float16", ["(dtype)", "floating-point numbers, 2 bytes each"]),
    ("torch.device", ["torch.device(type"]),
    ("torch.pi", ["3.14159", "circumference"]),
])
def test_doc_finds_everything_that_has_a_name(trainhost, name, parts):
    shown = trainhost.run("doc", name).stdout
    assert all(part in shown for part in parts), shown


@pytest.mark.parametrize("name, hint", [
    ("torch.sumn", "torch.sum"), ("nn.Liner", "torch.nn.Linear"), ("Funtion", "Function"), ("vmap", "torch.func.vmap"),
    ("torch.ops.aten.softmaxx", "torch.ops.aten.softmax"), ("torch.autograd.Function.aply", ""),
])
def test_doc_suggests_what_is_near(trainhost, name, hint):
    done = trainhost.run("doc", name, check=False)
    assert done.returncode == 1 and done.stderr.startswith("trainhost doc: ") and hint in done.stderr, done.stderr


HELD = {
    "x": "torch.Tensor (class)", "x.sum": "x:sum(", "x.dtype": "torch.float32 (dtype)", "x.device": "torch.device",
    "x.shape": "torch.Size", "torch.Generator()": "torch.Generator", "torch.complex(1, 2)": "torch.complex",
    "x.grad_fn": "Node", "x:register_hook(print)": "RemovableHandle", "torch.slice(1)": "torch.slice",
    "torch.nn": "torch.nn (namespace)", "torch.nn.Linear": "torch.nn.Linear (class)", "torch.strided": "(layout)",
    "torch.nn.Linear(1, 1)": "torch.nn.Linear (class)", "torch.channels_last": "(memory_format)",
    "torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1})": "torch.optim.SGD (class)",
    "torch.utils.data.TensorDataset(x)": "torch.utils.data.TensorDataset", "torch.ops.aten.add": "aten::add.Tensor(",
    "torch.autograd.Function": "torch.autograd.Function (class)", "torch.nn.class('Net')": "class Net",
    "torch.nn.Linear(1, 1).forward": "forward", "select(2, pcall(torch.add))": "error", "torch.None": "None",
    "torch.no_grad()": "scope", "3": "number 3", "true": "boolean true", "{}": "table",
}


def test_help_takes_any_value(trainhost):
    code = "local torch, help = require 'torch', require('host').help\n" \
           "local x = torch.ones(2, {requires_grad = true}) * 2\n"
    for value in HELD:
        code += f"local ok, text = pcall(help.text, {value}) print(('%q'):format(text:gsub('\\n', ' | ')))\n"
    lines = trainhost.lua(code).splitlines()
    assert len(lines) == len(HELD)
    wrong = {value: line for (value, part), line in zip(HELD.items(), lines) if part not in line or "there is no" in line}
    assert not wrong


def test_doc_takes_several_names_and_says_which_one_is_not_there(trainhost):
    done = trainhost.run("doc", "nn.Linear", "torch.ad", "Tensor.shape", check=False)
    assert done.returncode == 1
    assert "torch.nn.Linear (class)" in done.stdout and "torch.Tensor.shape (attribute, integer[])" in done.stdout
    assert done.stderr == "trainhost doc: torch has no 'ad' (did you mean torch.add, torch.pad or torch.add_?)\n"


def test_doc_lists_the_namespaces(trainhost):
    shown = trainhost.run("doc").stdout
    for name in ("torch", "torch.Tensor", "torch.linalg", "torch.nn", "torch.nn.functional", "train", "mlflow", "host"):
        assert re.search(rf"^  {re.escape(name)} +\d+  \S", shown, re.M), name


def test_doc_lists_what_is_in_a_namespace(trainhost):
    assert re.search(r"^  qr +Q \(orthonormal", trainhost.run("doc", "torch.linalg").stdout, re.M)
    assert re.search(r"^  EarlyStopping +Stops training", trainhost.run("doc", "train").stdout, re.M)
    assert re.search(r"\bmatmul\b", trainhost.run("doc", "torch").stdout)


def test_wrong_command_lines_are_exit_code_2(trainhost):
    for words in (["doc", "--nonsense"], ["stubs"], ["stubs", "a", "b"], ["new"], ["new", "--here"]):
        done = trainhost.run(*words, check=False)
        assert done.returncode == 2 and done.stderr.startswith(f"trainhost {words[0]}"), words


def test_a_folder_that_cannot_be_written_is_exit_code_1(trainhost, tmp_path):
    (tmp_path / "file").write_text("")
    for verb in ("stubs", "new"):
        done = trainhost.run(verb, tmp_path / "file", check=False)
        assert done.returncode == 1 and done.stderr.startswith(f"trainhost {verb}: "), verb


def test_stubs_are_the_same_every_time(trainhost, tmp_path):
    for name in "ab":
        trainhost.run("stubs", tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.lua"))
    assert len(files) > 20
    for path in files:
        assert (tmp_path / "a" / path).read_text() == (tmp_path / "b" / path).read_text(), path


@pytest.fixture(scope="module")
def project(trainhost, tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects") / "spirals"
    trainhost.run("new", folder)
    return folder


def test_a_new_project_trains_as_it_stands(trainhost, project):
    done = trainhost.run("train.lua", "--set", "epochs=2", cwd=project)
    assert "epoch 2/2: loss " in done.stdout and re.search(r"^accuracy [01]\.\d+ after 2 epochs$", done.stdout, re.M)
    assert (project / "mlflow.db").exists()


def test_the_next_command_is_quoted_for_a_shell(trainhost, tmp_path):
    for name in ("a b", "it's"):
        done = trainhost.run("new", name, cwd=tmp_path)
        folder = shlex.split(done.stdout.splitlines()[-1].removeprefix("now: "))[1]
        assert folder == name and (tmp_path / folder / "train.lua").exists()
    assert trainhost.run("new", "plain", cwd=tmp_path).stdout.endswith("now: cd plain && trainhost train.lua\n")


def test_a_new_project_has_the_editor_set_up(project):
    settings = json.loads((project / ".luarc.json").read_text())
    assert settings["runtime.version"] == "Lua 5.4"
    for folder in settings["workspace.library"]:
        assert (project / folder / "torch.lua").exists()
    assert ".trainhost/" in (project / ".gitignore").read_text()


def test_a_folder_that_holds_something_is_left_as_it_is(trainhost, project):
    (project / "train.lua").write_text("print('mine')\n")
    done = trainhost.run("new", project, check=False)
    assert done.returncode == 1 and "exists and is not empty" in done.stderr and done.stdout == ""
    assert (project / "train.lua").read_text() == "print('mine')\n"


def test_the_tests_of_a_new_project_are_its_own(trainhost, project):
    done = trainhost.run("test", ".", cwd=project)
    assert done.stdout.endswith("1 passed, 0 failed, 0 skipped\n") and ".trainhost" not in done.stdout
    assert trainhost.run("check", ".", cwd=project).stdout == ""


VERBS = ["test", "attach", "check", "doc", "plot", "new", "stubs"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_its_usage(trainhost, verb):
    shown = trainhost.run(verb, "--help")
    assert shown.stdout.startswith(f"trainhost {verb}") and "Exit codes: 0 " in shown.stdout and shown.stderr == ""
    assert trainhost.run(verb, "-h").stdout == shown.stdout
    assert trainhost.run("doc", verb).stdout.startswith(shown.stdout.rstrip("\n"))
    wrong = trainhost.run(verb, "--nonsense", check=False)
    assert wrong.returncode == 2 and wrong.stderr.startswith(f"trainhost {verb}: unknown option '--nonsense'")
    assert f"trainhost {verb}" in trainhost.run("--help").stdout


def test_help_is_a_global_of_the_console(trainhost):
    shown = trainhost.run("-i", input="torch = require 'torch'\nhelp(torch.add)\nhelp\nhelp 'nn.Linear'\nhelp 'torch.ad'\n",
                          check=False)
    assert "Adds `other`" in shown.stdout and 'help "Tensor.add"' in shown.stdout
    assert "torch.nn.Linear (class)" in shown.stdout
    assert "torch has no 'ad' (did you mean torch.add" in shown.stderr
    assert trainhost.run("-i", input="help = 1\nhelp\n").stdout == "1\n"


def test_help_is_no_global_of_scripts(trainhost):
    assert trainhost.lua("print(help)") == "nil\n"
    assert "Adds `other`" in trainhost.lua("require('host').help 'torch.add'")


def test_starting_does_not_read_documentation(trainhost):
    loaded = trainhost.lua("""
        local torch = require "torch"
        print(torch.ones(2))
        for name in pairs(package.loaded) do if name:find("help") or name:find("sentences") then print(name) end end""")
    assert loaded == "tensor([1., 1.])\n"


def problems_of(folder):
    """What lua-language-server finds, {(file, line): [code]}."""
    subprocess.run(["lua-language-server", "--check", folder, "--check_format=json", f"--logpath={folder}/log"],
                   capture_output=True, timeout=300)
    report = folder / "log/check.json"
    found = json.loads(report.read_text()) if report.exists() else {}
    return {(name.rsplit("/", 1)[1], each["range"]["start"]["line"] + 1): each["code"]
            for name, each_of in (found or {}).items() for each in each_of}


@pytest.mark.skipif(not shutil.which("lua-language-server"), reason="no lua-language-server here")
def test_the_editor_finds_mistakes_and_nothing_else(trainhost, tmp_path):
    trainhost.run("new", tmp_path)
    shutil.copy(ROOT / "scripts/01_fashion_mnist.lua", tmp_path)
    (tmp_path / "wrong.lua").write_text('local torch = require "torch"\n'
                                        "local x = torch.ones(2, 3)\n"
                                        "print(x:sum(1, {keepdim = true}), x.shape[1], x + 1, torch.linalg.norm(x))\n"
                                        "print(torch.matmull(x, x))\n"
                                        "print(x:rellu())\n"
                                        'local layer = torch.nn.Linear("a", 3)\n'
                                        "print(layer(x))\n")
    found = problems_of(tmp_path)
    assert {key: code for key, code in found.items() if key[0] == "wrong.lua"} == {
        ("wrong.lua", 4): "undefined-field", ("wrong.lua", 5): "undefined-field", ("wrong.lua", 6): "param-type-mismatch"}
    others = {key: code for key, code in found.items() if key[0] != "wrong.lua" and code != "need-check-nil"}
    assert not others
