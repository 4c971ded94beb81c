# The house laws, the format and the lint: `./dev check`. Each violation is one line FILE:LINE: what, which law.
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys

import docstrings

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLAIN_ROOMS = ("base", "vm", "track", "sweep", "metric", "serve")  # these never know Torch
LUA_HEADER = re.compile(r"^(lua|lualib|lauxlib|luaconf)\.h(pp)?$")
TORCH_HEADER = re.compile(r"^(ATen|torch|c10|caffe2)/")
UMBRELLAS = {"torch/torch.h", "torch/all.h", "torch/script.h", "torch/extension.h", "ATen/ATen.h", "ATen/Functions.h"}
IN_HEADERS = {"ATen/core/Tensor.h", "nlohmann/json_fwd.hpp"}
HEAVY_HEADER = re.compile(r"^(ATen|torch|c10|caffe2|nlohmann|spdlog)/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
REQUIRE_NATIVE = re.compile(r"""require\s*\(?\s*["']native\b""")
REQUIRE = re.compile(r"""require\s*\(?\s*["'](\w+)((?:\.\w+)*)["']""")
REQUIRES = {  # what a module of the standard library may require beside itself, host and native.*
    "host": (), "test": (), "torch": (), "tensorboard": ("torch",), "train": ("torch",), "mlflow": (),
}
REQUIRES_MORE = {  # files that do so when they are used, long after their module is loaded
    "stdlib/host/checkpoint.lua": ("torch",),  # loaded at its first use
    "stdlib/host/help/link.lua": ("torch",), "stdlib/host/help/names.lua": ("torch", "mlflow"),  # what help is about
    "stdlib/host/new_project.lua": ("torch", "train", "mlflow", "test"),  # the text of a new script
    "stdlib/test/show.lua": ("torch",),  # tensors that are compared
    # mlflow.callback and mlflow.autolog
    **{f"stdlib/mlflow/{name}.lua": ("torch", "train") for name in (
        "autolog", "logging_options", "model_artifacts", "plain_loop", "provenance", "training_data", "training_log",
        "training_params")},
    **{f"stdlib/mlflow/{name}.lua": ("torch",) for name in (
        "artifacts", "client", "entities", "model_folder", "models", "search", "tables")},  # signatures, weights
    "stdlib/mlflow/data.lua": ("torch",), "stdlib/mlflow/pictures.lua": ("torch", "train"),  # tensors; train.plot
}
NAMED_FILE = re.compile(r"`([\w./*-]+\.(?:lua|cpp|h|py|md|txt|tsv))`")
LISTED_ROOM = re.compile(r"host/\w+|stdlib/\w+|stdlib/torch/(nn|optim|utils/\w+)|scripts")
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}


def tracked(*patterns):
    """The files of the repository that match, without what git ignores; sorted."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
                            cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:  # an unpacked archive
        names = [str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.rglob(pattern)
                 if path.relative_to(ROOT).parts[0] != "build"]
    return sorted({name for name in names if (ROOT / name).is_file()})


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def includes(name):
    """(line number, what is included, whether in quotes) of a C++ file."""
    for number, line in enumerate(text_of(name).splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found[2], found[1] == '"'


CPP = tracked("*.cpp", "*.h", "*.cu", "*.mm")
LUA = tracked("*.lua")


def room(name):
    """("host", "vm") for host/vm/state.h, ("bindings", "") for bindings/ops.cpp."""
    parts = pathlib.PurePosixPath(name).parts
    return (parts[0], parts[1] if parts[0] == "host" and len(parts) > 2 else "")


def law_1():
    """Includes point down only: bindings -> host -> base, by the path from the root."""
    for name in CPP:
        floor, its_room = room(name)
        if floor not in ("host", "bindings"):
            continue
        for line, target, quoted in includes(name):
            if not quoted:
                continue
            if not (ROOT / target).is_file():
                yield f"{name}:{line}: \"{target}\" is no file by its path from the root"
                continue
            target_floor, target_room = room(target)
            if target_floor not in ("host", "bindings"):
                yield f"{name}:{line}: {floor} includes {target}"
            elif floor == "host" and target_floor == "bindings":
                if (name, target) != ("host/trainhost.cpp", "bindings/bindings.h"):
                    yield f"{name}:{line}: host includes {target}"
            elif its_room == "base" and target_room != "base":
                yield f"{name}:{line}: host/base, which knows no room, includes {target}"
            elif its_room and target_room not in (its_room, "base", "tensor"):
                yield f"{name}:{line}: host/{its_room} includes {target}: rooms know base, those of Torch host/tensor too"
    for name in tracked("host/*.h"):
        if name.count("/") == 1:  # the front door
            for line, target, _ in includes(name):
                if LUA_HEADER.match(target) or TORCH_HEADER.match(target) and target != "ATen/core/Tensor.h":
                    yield f"{name}:{line}: the public header includes <{target}>"


def law_2():
    """Lua and Torch meet only in bindings/: host/vm knows Lua and not Torch, other rooms never Lua."""
    for name in CPP:
        floor, its_room = room(name)
        if floor != "host":
            continue
        for line, target, _ in includes(name):
            if LUA_HEADER.match(target) and its_room != "vm":
                yield f"{name}:{line}: includes <{target}>, which only host/vm and bindings may"
            if TORCH_HEADER.match(target) and its_room == "vm":
                yield f"{name}:{line}: host/vm includes <{target}>"


def law_3():
    """base, vm, track, sweep and metric do not reach Torch through any of our headers, nor link it."""
    torch_through = {}

    def reaches(name, seen=()):
        if name not in torch_through and name not in seen:
            torch_through[name] = None
            for _, target, quoted in includes(name):
                if TORCH_HEADER.match(target):
                    torch_through[name] = f"<{target}>"
                elif quoted and (ROOT / target).is_file():
                    further = reaches(target, (*seen, name))
                    if further:
                        torch_through[name] = f"{target} -> {further}"
        return torch_through.get(name)

    for name in CPP:
        floor, its_room = room(name)
        if floor == "host" and its_room in PLAIN_ROOMS:
            for line, target, quoted in includes(name):
                way = f"<{target}>" if TORCH_HEADER.match(target) else quoted and (ROOT / target).is_file() and reaches(target)
                if way:
                    yield f"{name}:{line}: host/{its_room} reaches Torch: {target}" + (f" -> {way}" if quoted else "")
    for number, line in enumerate(text_of("CMakeLists.txt").splitlines(), 1):
        if re.search(r"target_link_libraries\(trainhost_plain\b.*torch", line):
            yield f"CMakeLists.txt:{number}: trainhost_plain (base, vm, track, sweep) links Torch"


def law_4():
    """Only stdlib/ may require "native.*"."""
    for name in LUA:
        if not name.startswith("stdlib/"):
            for number, line in enumerate(text_of(name).splitlines(), 1):
                if REQUIRE_NATIVE.search(line):
                    yield f"{name}:{number}: requires a native module"


def law_5():
    """Headers include at most <ATen/core/Tensor.h> and <nlohmann/json_fwd.hpp>; nobody Torch's umbrella headers."""
    for name in CPP:
        for line, target, _ in includes(name):
            if target in UMBRELLAS:
                yield f"{name}:{line}: includes <{target}>: 10 to 25 s of compile time for every file"
            elif name.endswith(".h") and not name.startswith("tests/") and HEAVY_HEADER.match(target) \
                    and target not in IN_HEADERS:
                yield f"{name}:{line}: a header includes <{target}>"


def law_6():
    """No utils, helpers, common, misc or manager; the first line of each file says what it is."""
    for name in CPP + LUA + tracked("*.py"):
        vague = VAGUE_NAMES.intersection(part.split(".")[0] for part in pathlib.PurePosixPath(name).parts)
        if vague and not re.match(r"(stdlib|tests/lua)/torch/", name):  # there the names are PyTorch's
            yield f"{name}:1: '{vague.pop()}' says nothing: name the thing"
        first = text_of(name).split("\n", 1)[0]
        if not re.match(r"(//|--|#)\s*\S", first):
            yield f"{name}:1: the first line does not say what the file is"


def law_7():
    """torch knows nothing of train, train nothing of mlflow, host nothing of the three: see REQUIRES."""
    for name in tracked("stdlib/*.lua"):
        module = pathlib.PurePosixPath(name).parts[1].removesuffix(".lua")
        allowed = {module, "host", "native", *REQUIRES.get(module, ()), *REQUIRES_MORE.get(name, ())}
        for number, line in enumerate(text_of(name).splitlines(), 1):
            if line.lstrip().startswith("--"):
                continue
            for found in REQUIRE.finditer(line):
                if found[1] in REQUIRES and found[1] not in allowed:
                    yield f"{name}:{number}: {module} requires {found[1]}{found[2]}"


def law_8():
    """A README names files that are there, and that of a room every file of it (but where it says "every other file")."""
    every = tracked("*")
    for name in tracked("*README.md"):
        folder, text = pathlib.PurePosixPath(name).parent, text_of(name)
        inside = "" if str(folder) == "." else f"{folder}/"
        for number, line in enumerate(text.splitlines(), 1):
            for found in NAMED_FILE.finditer(line):
                path = re.sub("[A-Z]{4,}", "*", found[1])  # NOUN.cpp
                if not path.startswith("build/") and not any(
                        fnmatch.fnmatch(file, place) for file in every for place in (path, inside + path, f"{inside}*/{path}")):
                    yield f"{name}:{number}: `{found[1]}` is no file"
        if not LISTED_ROOM.fullmatch(str(folder)) or "every other file" in text:
            continue
        words = {word.replace("NAME", "*") for word in re.findall(r"[\w*]+", text)}
        for file in tracked(*(inside + ending for ending in ("*.cpp", "*.h", "*.lua"))):
            path = pathlib.PurePosixPath(file)
            if path.parent == folder and not any(fnmatch.fnmatch(path.stem, word) for word in words):
                yield f"{name}:1: it does not name {path.name}"


def docs_of_stdlib():
    """every public function of the standard library has a docstring: `---` lines above it, a sentence or its types."""
    for name in tracked("stdlib/*.lua"):
        for number, what in docstrings.of_stdlib(name, text_of(name)):
            yield f"{name}:{number}: {what}"


def docs_of_rows():
    """every native function has a docstring in its row."""
    for name in tracked("bindings/*.cpp"):
        for number, what in docstrings.of_rows(name, text_of(name)):
            yield f"{name}:{number}: {what}"


def run_tool(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def format_of_cpp():
    """C++ is formatted with .clang-format (`./dev check --fix` does it)."""
    tool = os.environ.get("CLANG_FORMAT", "clang-format-14")
    if not CPP:
        return
    if not shutil.which(tool):
        raise LookupError(f"no {tool} here")
    if "--fix" in sys.argv:
        run_tool([tool, "-i", *CPP])
    code, text = run_tool([tool, "--dry-run", "-Werror", *CPP])
    seen = set()
    for line in text.splitlines():
        found = re.match(r"(?:\./)?(.+?):(\d+):\d+: error", line)
        if found and found[1] not in seen:  # the first place of each file is enough
            seen.add(found[1])
            yield f"{found[1]}:{found[2]}: not formatted"
    if code != 0 and not seen:
        yield f"{tool}: {text.strip()}"


def lint_of_lua():
    """luacheck finds nothing."""
    if not LUA:
        return
    if not shutil.which("luacheck"):
        raise LookupError("no luacheck here (Debian: lua-check)")
    code, text = run_tool(["luacheck", "--formatter", "plain", "--codes", *LUA])
    lines = [line for line in text.splitlines() if line.strip()]
    if code != 0:
        yield from lines or [f"luacheck: exit code {code}"]


def main():
    passed = failed = skipped = 0
    for rule in (law_1, law_2, law_3, law_4, law_5, law_6, law_7, law_8, docs_of_stdlib, docs_of_rows, format_of_cpp, lint_of_lua):
        name = rule.__name__.replace("_", " ")
        try:
            violations = list(rule())
        except LookupError as missing:
            skipped += 1
            print(f"skipped: {name}: {missing}")
            continue
        for violation in violations:
            print(f"{violation} ({name}: {rule.__doc__})")
        failed += bool(violations)
        passed += not violations
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
