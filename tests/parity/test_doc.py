# Every name that PyTorch has and Lua has too is told about: by help, by `trainhost doc`, and in the editor's stubs.
import json
import re

import coverage
import pytest
from names import OPERATORS, lua_method

ASK = r"""
local entry, help, names = require "host.help.entry", require "host.help", require "host.help.names"
local out = {}
for name in io.lines(arg[1]) do
  local ok, text = pcall(help.text, name)
  local value, path = names.find(name)
  local it = ok and entry.of(path or name, value) or {}
  local calls = #(it.calls or {}) + #(it.methods or {}) + #(it.schemas or {}) + (it.params and 1 or 0)
  out[name] = {ok = ok, page = tostring(text), sentence = it.text or "", calls = calls, kind = it.kind}
end
print(require("host").json.encode(out))
"""


@pytest.fixture(scope="module")
def entries(trainhost, tmp_path_factory):
    found = coverage.entries()
    coverage.check(found, trainhost, tmp_path_factory.mktemp("coverage"))
    return [entry for entry in found if entry.callable]


def lua_path(name):
    prefix, _, last = name.rpartition(".")
    return f"{prefix}.{lua_method(last) if prefix == 'torch.Tensor' else last}"


@pytest.fixture(scope="module")
def told(trainhost, tmp_path_factory, entries):
    folder = tmp_path_factory.mktemp("doc")
    names = [lua_path(entry.name) for entry in entries]
    (folder / "ask.lua").write_text(ASK)
    (folder / "names.txt").write_text("".join(name + "\n" for name in names))
    answers = json.loads(trainhost.run(folder / "ask.lua", "--", folder / "names.txt").stdout)
    return {name: answers[name] for name in names}


def test_every_name_has_a_page_with_a_sentence(told):
    """Of our own: of the entry itself, not of the notes that follow many calls."""
    bare = [name for name, answer in told.items()
            if not (answer["ok"] and answer["kind"] == "value") and (
                not re.search(r"\w.*[.:?)]$", answer["sentence"], re.M) or answer["sentence"] not in answer["page"])]
    assert not bare, f"{len(bare)} of {len(told)}: " + " ".join(bare[:40])


def test_every_function_shows_how_it_is_called(told, entries):
    bare = [entry.name for entry in entries
            if entry.kind in ("function", "operator") and not told[lua_path(entry.name)]["calls"]]
    assert not bare, f"{len(bare)}: " + " ".join(bare[:40])


def test_operators_of_torch_ops_show_their_schemas(told):
    text = told["torch.ops.aten.add"]["page"]
    assert "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor" in text
    bare = [name for name, answer in told.items() if name.startswith("torch.ops.aten.") and "  aten::" not in answer["page"]]
    assert not bare


@pytest.fixture(scope="module")
def stubs(trainhost, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stubs")
    trainhost.run("stubs", folder)
    return folder


def test_stubs_parse(trainhost, stubs):
    """With Lua's own parser, as `luac -p` does."""
    files = sorted(stubs.rglob("*.lua"))
    done = trainhost.lua("local n = 0 for _, path in ipairs(arg) do assert(loadfile(path, 't')) n = n + 1 end print(n)",
                         "--", *files)
    assert len(files) > 20 and int(done) == len(files)


def test_stubs_name_every_public_callable(stubs, entries):
    text = {}
    for path in stubs.rglob("*.lua"):
        space = re.sub(r"_\d+$", "", ".".join(path.relative_to(stubs).with_suffix("").parts))
        text[space] = text.get(space, "") + path.read_text()
    missing = []
    for entry in entries:
        prefix, _, last = lua_path(entry.name).rpartition(".")
        if entry.kind not in ("function", "method") or last in OPERATORS:
            continue
        declared = re.search(rf"[.:]{last}\b(?: = |\()|^---@field {last}\b", text.get(prefix, ""), re.M)
        if not declared and f"{prefix}.{last}" not in text:
            missing.append(entry.name)
    assert not missing, f"{len(missing)} of {len(entries)}: {' '.join(missing[:60])}"
