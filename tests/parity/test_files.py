# Files against their real readers and writers: the safetensors package, PyTorch's DataLoader order, Python's own IDX.
import gzip
import json
import pathlib
import random
import struct

import numpy
import pytest
import safetensors.torch
import torch

FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")

DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
          torch.float32, torch.float64, torch.complex64, torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn,
          torch.float8_e5m2]


def bits(tensor):
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def sample_tensors():
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for dtype in DTYPES:
        raw = torch.randint(0, 2 if dtype == torch.bool else 256, (3, 4 * dtype.itemsize), generator=generator,
                            dtype=torch.uint8)
        tensors[str(dtype)] = raw.view(dtype)
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.empty(0, 7)
    tensors["layers.0.weight \"ä\"\n"] = torch.rand(5, 2, generator=generator)
    return tensors


def test_what_the_package_writes_we_read_and_write_back_to_it_bit_for_bit(trainhost, tmp_path):
    tensors = sample_tensors()
    safetensors.torch.save_file(tensors, tmp_path / "python.safetensors", metadata={"who": "python"})
    trainhost.lua("""
      local torch = require "torch"
      for name, mmap in pairs {copied = false, mapped = true} do
        local tensors = torch.load("python.safetensors", {mmap = mmap})
        assert(torch.load_metadata("python.safetensors").who == "python")
        torch.save(tensors, name .. ".safetensors", {metadata = {who = "trainhost"}})
      end""", cwd=tmp_path)
    for name in ("copied", "mapped"):
        with safetensors.safe_open(tmp_path / f"{name}.safetensors", "pt") as file:
            assert file.metadata() == {"who": "trainhost"}
            assert set(file.keys()) == set(tensors)
            for key, tensor in tensors.items():
                assert bits(file.get_tensor(key)) == bits(tensor), key
        assert (tmp_path / f"{name}.safetensors").stat().st_size % 8 == (tmp_path / "python.safetensors").stat().st_size % 8


def test_what_we_make_the_package_reads(trainhost, tmp_path):
    trainhost.lua("""
      local torch = require "torch"
      torch.save({
        f = torch.arange(6):view(2, 3):to(torch.float32), turned = torch.arange(6):view(2, 3):t(),
        bf = torch.tensor({1.5, -2.25}):to(torch.bfloat16), mask = torch.tensor {true, false, true},
        none = torch.zeros(0, 3), scalar = torch.tensor(7), complex = torch.complex(torch.ones(2), torch.zeros(2)),
      }, "ours.safetensors")""", cwd=tmp_path)
    got = safetensors.torch.load_file(tmp_path / "ours.safetensors")
    want = {"f": torch.arange(6.).view(2, 3), "turned": torch.arange(6).view(2, 3).t(),
            "bf": torch.tensor([1.5, -2.25], dtype=torch.bfloat16), "mask": torch.tensor([True, False, True]),
            "none": torch.zeros(0, 3), "scalar": torch.tensor(7), "complex": torch.ones(2, dtype=torch.complex64)}
    assert set(got) == set(want)
    for key, tensor in want.items():
        assert bits(got[key]) == bits(tensor), key


def test_a_checkpoint_folder_holds_files_that_the_package_reads(trainhost, tmp_path):
    trainhost.lua("""
      local torch, host = require "torch", require "host"
      host.checkpoint.save("c", {tensors = {model = {w = torch.ones(2), b = torch.zeros(1)}}, state = {epoch = 3}})""",
                  cwd=tmp_path)
    got = safetensors.torch.load_file(tmp_path / "c/model.safetensors")
    assert torch.equal(got["w"], torch.ones(2)) and torch.equal(got["b"], torch.zeros(1))
    assert json.loads((tmp_path / "c/state.json").read_text())["state"] == {"epoch": 3}
    listed = {row["name"]: row["bytes"] for row in json.loads((tmp_path / "c/manifest.json").read_text())["files"]}
    assert listed == {name: (tmp_path / "c" / name).stat().st_size for name in ("model.safetensors", "state.json")}


def flipped_and_cut(good, count, seed):
    """`count` damaged copies of a file: three of four with one to three flipped bits, the rest cut short."""
    rng = random.Random(seed)
    for k in range(count):
        if k % 4 == 3:
            yield good[:rng.randrange(len(good))]
            continue
        data = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            # the header is where damage can hurt: half of the flips go there
            at = rng.randrange(min(len(data), 600)) if rng.random() < 0.5 else rng.randrange(len(data))
            data[at] ^= 1 << rng.randrange(8)
        yield bytes(data)


def test_damaged_safetensors_are_refused_or_read_as_the_package_reads_them(trainhost, tmp_path):
    torch.manual_seed(0)
    safetensors.torch.save_file({"a": torch.rand(20, 3), "b": torch.arange(7), "mask": torch.tensor([True, False])},
                                tmp_path / "good.safetensors")
    copies = list(flipped_and_cut((tmp_path / "good.safetensors").read_bytes(), 400, seed=1))
    for k, data in enumerate(copies):
        (tmp_path / f"{k}.safetensors").write_bytes(data)
    out = trainhost.lua(f"""
      local torch = require "torch"
      for k = 0, {len(copies) - 1} do
        local ok, got = pcall(torch.load, k .. ".safetensors", {{mmap = k % 2 == 1}})
        if ok then
          local parts = {{}}
          for name, x in pairs(got) do parts[#parts + 1] = ("%s:%d"):format(name:gsub("[^%w]", "?"), x:numel()) end
          table.sort(parts)
          print("ok", table.concat(parts, " "))
        else
          print(got.kind, got.message)
        end
      end""", cwd=tmp_path).splitlines()
    assert len(out) == len(copies)
    refused = 0
    for line, data in zip(out, copies):
        kind, text = line.split("\t", 1)
        assert kind in ("ok", "io"), line
        refused += kind == "io"
        if kind == "ok":  # never more lenient than the package
            try:
                got = safetensors.torch.load(data)
            except Exception as error:  # noqa: BLE001
                pytest.fail(f"we read {text}, the package says {error}")
            assert sum(int(part.rsplit(":", 1)[1]) for part in text.split()) == sum(x.numel() for x in got.values())
    assert refused > 100


def read_idx(path):
    data = gzip.decompress(path.read_bytes())
    assert data[:3] == b"\0\0\x08"
    shape = struct.unpack(f">{data[3]}I", data[4:4 + 4 * data[3]])
    return torch.from_numpy(numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * data[3]).reshape(shape).copy())


@pytest.mark.skipif(not FASHION.exists(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_batches_equal_pythons(trainhost, tmp_path):
    """The same split and the same batches as random_split and DataLoader make of Python's own reading."""
    trainhost.lua("""
      local torch = require "torch"
      local data = torch.utils.data
      local set = torch.datasets.fashion_mnist {root = "/usr/share/datasets/fashion-mnist", normalize = {0.286, 0.353}}
      local _, valid = data.random_split(set.train, {55000, 5000}, {seed = 1})
      for x, y in data.DataLoader(valid, {batch_size = 5000, workers = 1}):iter() do
        torch.save({x = x, y = y}, "valid.safetensors")
      end
      for x, y in data.DataLoader(set.test, {batch_size = 10000}):iter() do
        torch.save({x = x, y = y}, "test.safetensors")
      end""", cwd=tmp_path)
    images, labels = read_idx(FASHION / "train-images-idx3-ubyte.gz"), read_idx(FASHION / "train-labels-idx1-ubyte.gz")
    images = images.unsqueeze(1).to(torch.float32).div(255).sub(torch.tensor(0.286)).div(torch.tensor(0.353))
    _, valid = torch.utils.data.random_split(torch.utils.data.TensorDataset(images, labels.long()), [55000, 5000],
                                             generator=torch.Generator().manual_seed(1))
    x, y = next(iter(torch.utils.data.DataLoader(valid, batch_size=5000)))
    got = safetensors.torch.load_file(tmp_path / "valid.safetensors")
    assert torch.equal(got["x"], x) and torch.equal(got["y"], y)
    got = safetensors.torch.load_file(tmp_path / "test.safetensors")
    want = read_idx(FASHION / "t10k-images-idx3-ubyte.gz").unsqueeze(1).to(torch.float32).div(255)
    assert torch.equal(got["x"], want.sub(torch.tensor(0.286)).div(torch.tensor(0.353)))
    assert torch.equal(got["y"], read_idx(FASHION / "t10k-labels-idx1-ubyte.gz").long())


@pytest.mark.skipif(not FASHION.exists(), reason="dataset-fashion-mnist is not installed")
def test_damaged_idx_files_are_refused_or_read_the_same(trainhost, tmp_path):
    good = (FASHION / "t10k-labels-idx1-ubyte.gz").read_bytes()
    copies = list(flipped_and_cut(good, 100, seed=2))
    folder = tmp_path / "sets"
    plain = gzip.compress(struct.pack(">I3I", 0x803, 10000, 28, 28) + bytes(7840000), 1)
    for k, data in enumerate(copies):
        (folder / str(k)).mkdir(parents=True)
        for part in ("train", "t10k"):
            (folder / str(k) / f"{part}-images-idx3-ubyte.gz").write_bytes(plain)
            (folder / str(k) / f"{part}-labels-idx1-ubyte.gz").write_bytes(data)
    out = trainhost.lua(f"""
      local torch = require "torch"
      for k = 0, {len(copies) - 1} do
        local ok, got = pcall(torch.datasets.fashion_mnist, "sets/" .. k)
        print(ok and "ok" or got.kind, ok and got.test.tensors[2]:mul(torch.arange(1, 10001)):sum():item() or got.message)
      end""", cwd=tmp_path).splitlines()
    labels = read_idx(FASHION / "t10k-labels-idx1-ubyte.gz").long()
    want = str((labels * torch.arange(1, 10001)).sum().item())
    kinds = [line.split("\t", 1) for line in out]
    assert len(kinds) == len(copies)
    assert all(kind == "io" or (kind == "ok" and text == want) for kind, text in kinds)
    assert sum(kind == "io" for kind, _ in kinds) > 50
