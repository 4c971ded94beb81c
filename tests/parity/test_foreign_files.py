# Files of torch.save with what is no data, of other devices and byte orders, packed, or of TorchScript.
import io
import zipfile

import pytest
import torch
from torch_files import rewritten, same

REFUSED = {
    "module": (lambda: torch.nn.Linear(2, 2), "GLOBAL torch.nn.modules.linear.Linear was not an allowed global"),
    "function": (lambda: print, "GLOBAL print was not an allowed global"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.rand(2), 0.1, 0, torch.qint8), "quantized tensors are not supported"),
    "numpy": (lambda: torch.rand(2).numpy(), "GLOBAL numpy._core.multiarray._reconstruct was not an allowed global|GLOBAL numpy.core.multiarray"),
    "path": (lambda: __import__("pathlib").PurePosixPath("x"), "GLOBAL pathlib.PurePosixPath was not an allowed global"),
    "jagged": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
               "nested tensors of the jagged layout are not supported"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("zip", [True, False])
def test_what_is_no_data_is_refused_by_name(trainhost, tmp_path, what, zip):
    make, text = REFUSED[what]
    torch.save(make(), tmp_path / "a.pt", _use_new_zipfile_serialization=zip)
    out = trainhost.lua("""
      local ok, err = pcall(require "torch".load, "a.pt")
      print(ok, err.kind, err.message)""", cwd=tmp_path)
    assert out.startswith("false\tio\t") and any(part in out for part in text.split("|")), out


class Runs:
    def __reduce__(self):
        return __import__("os").system, ("touch ran",)


@pytest.mark.parametrize("zip", [True, False])
def test_no_code_of_a_file_runs(trainhost, tmp_path, zip):
    torch.save({"a": Runs()}, tmp_path / "a.pt", _use_new_zipfile_serialization=zip)
    out = trainhost.lua("""print(select(2, pcall(require "torch".load, "a.pt")))""", cwd=tmp_path)
    assert "posix.system was not an allowed global" in out and not (tmp_path / "ran").exists()


def with_location(location):
    """A state dict whose storages claim to lie elsewhere."""
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(3.), "b": torch.ones(2)}, buffer)
    source, target = zipfile.ZipFile(buffer), io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as made:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                data = data.replace(b"X\x03\x00\x00\x00cpu", b"X" + len(location).to_bytes(4, "little") + location.encode())
            made.writestr(name, data)
    return target.getvalue()


def test_map_location_is_pythons(trainhost, tmp_path):
    (tmp_path / "cuda.pt").write_bytes(with_location("cuda:0"))
    (tmp_path / "odd.pt").write_bytes(with_location("odd:1"))
    out = trainhost.lua("""
      local torch = require "torch"
      local function try(path, location)
        local ok, got = pcall(torch.load, path, {map_location = location})
        if not ok then return got.kind .. ": " .. got.message end
        return tostring(got.a.device) .. " " .. tostring(got.b.device) .. " " .. (got.a.is_meta and "" or got.a:sum():item())
      end
      print(try "cuda.pt")
      print(try("cuda.pt", "cpu"))
      print(try("cuda.pt", torch.device("cpu")))
      print(try("cuda.pt", {["cuda:0"] = "cpu"}))
      print(try("cuda.pt", {["cuda:1"] = "cpu"}))
      local seen = {}
      print(try("cuda.pt", function(storage, location) seen[#seen + 1] = location .. #storage return storage end))
      print(table.concat(seen, " "))
      print(try("cuda.pt", function(storage, location) return "cpu" end))
      print(try("cuda.pt", function(storage, location) return nil end))
      print(try("cuda.pt", "meta"))
      print(try "odd.pt")""", cwd=tmp_path).splitlines()
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError) as missing:
            torch.load(tmp_path / "cuda.pt")
        refused = f"device: cuda.pt: {missing.value}"
        assert [out[0], out[4], out[8]] == [refused] * 3
    assert out[1:4] == ["cpu cpu 3.0"] * 3 and out[5:8] == ["cpu cpu 3.0", "cuda:03 cuda:02", "cpu cpu 3.0"]
    assert out[9] == "meta meta "
    with pytest.raises(RuntimeError) as missing:
        torch.load(tmp_path / "odd.pt")
    assert out[10] == f"device: odd.pt: {missing.value}"


def test_big_endian_files_are_turned_around(trainhost, tmp_path):
    tensors = [torch.arange(5).to(d) for d in (torch.uint8, torch.int16, torch.int32, torch.float64, torch.complex64)]
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    source = zipfile.ZipFile(buffer)
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as made:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            if "/data/" in name:
                size = [1, 2, 4, 8, 4][int(name.rsplit("/", 1)[1])]
                data = b"".join(data[i:i + size][::-1] for i in range(0, len(data), size))
            made.writestr(name, data)
    rewritten(trainhost, tmp_path, "a.pt")
    same(torch.load(tmp_path / "a.pt.ours"), tensors)


def test_packed_archives_are_read_and_torchscript_is_refused(trainhost, tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pt")
    source = zipfile.ZipFile(tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as made:
        for name in source.namelist():
            made.writestr(name, source.read(name))
    rewritten(trainhost, tmp_path, "packed.pt")
    same(torch.load(tmp_path / "packed.pt.ours"), {"a": torch.zeros(1000)})
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    out = trainhost.lua("""print(select(2, pcall(require "torch".load, "script.pt")))""", cwd=tmp_path)
    assert "TorchScript archives" in out
