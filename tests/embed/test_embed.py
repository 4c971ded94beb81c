# libtrainhost as other programs use it: installed, found by CMake, embedded.
import os
import pathlib
import re
import subprocess

import pytest


def run(*words, check=True, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600, **options)
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


@pytest.fixture(scope="module")
def build(trainhost):
    return trainhost.path.parent


@pytest.fixture(scope="module")
def prefix(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--build", build, "--target", "libtrainhost", "trainhost")
    run("cmake", "--install", build, "--prefix", folder)
    return folder


@pytest.fixture(scope="module")
def programs(prefix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    run("cmake", "-G", "Ninja", "-S", pathlib.Path(__file__).parent, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", folder)
    return folder


def test_the_installed_program_runs(prefix):
    assert run(prefix / "bin/trainhost", "-e", "print(require('torch').ones(1))").stdout == "tensor([1.])\n"


def test_the_headers_know_neither_lua_nor_torch(prefix):
    for header in (prefix / "include").rglob("*.h"):
        for included in re.findall(r'#include ["<]([^">]+)', header.read_text()):
            assert not re.match(r"(lua|ATen|torch|c10)", included), f"{header.name} includes {included}"
            assert "/" not in included or (prefix / "include" / included).exists()


def test_a_program_embeds_it_and_finds_its_process_untouched(programs):
    done = run(programs / "policy")
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_modules_of_a_program_train_in_a_script_and_the_other_way(programs, tmp_path):
    done = run(programs / "models", tmp_path, pathlib.Path(__file__).parent / "models.lua")
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_program_with_a_lua_of_its_own_embeds_it(programs):
    assert run(programs / "own_lua").stdout == "ok\n"
    needed = run("readelf", "-d", programs / "own_lua").stdout
    assert "liblua5.4.so" in needed and "libtrainhost.so.0.1" in needed


def test_the_library_hides_the_lua_inside(prefix):
    library = next((prefix / "lib").rglob("libtrainhost.so"))
    names = run("nm", "-D", "--defined-only", library).stdout
    assert not re.search(r" [TDBW] luaL?_", names)
    needed = run("readelf", "-d", library).stdout
    assert "liblua" not in needed and "libtorch_cpu.so" in needed and "libtorch_cuda" not in needed


def test_another_minor_version_of_libtorch_is_refused(prefix, tmp_path):
    header = tmp_path / "torch/include/torch/headeronly/version.h"
    header.parent.mkdir(parents=True)
    header.write_text("#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 5\n")
    done = run("cmake", "-S", pathlib.Path(__file__).parent, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
               f"-Dtrainhost_TORCH_DIR={tmp_path / 'torch'}", check=False, env={**os.environ, "CLICOLOR": "0"})
    assert done.returncode != 0
    message = re.sub(r"\s+", " ", done.stderr)
    assert "trainhost was built against LibTorch 2." in message and "holds 2.5" in message
