# .npy and .npz against numpy itself, and nested tables in safetensors files against the package.
import json
import re
import struct

import numpy
import pytest
import safetensors
import safetensors.torch
import torch

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
          "float64", "complex64", "complex128"]


def arrays():
    random = numpy.random.default_rng(1)
    made = {name: random.integers(0, 2 if name == "bool" else 100, (2, 3, 5)).astype(name) for name in DTYPES}
    made["scalar"] = numpy.array(2.5)
    made["empty"] = numpy.zeros((0, 3), "float32")
    made["fortran"] = numpy.asfortranarray(made["float32"])
    made["turned"] = made["int32"][0].T
    made["strided"] = made["int64"][:, ::2]
    made["vector"] = numpy.arange(7.0)
    for name in ("int16", "int32", "uint64", "float16", "float64", "complex64", "complex128"):
        made["big_" + name] = made[name].astype(numpy.dtype(name).newbyteorder(">"))
    return made


def same(tensor, array):
    assert str(tensor.dtype) == f"torch.{array.dtype.newbyteorder('=').name}"
    assert tuple(tensor.shape) == array.shape
    assert tensor.contiguous().numpy().tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()


READ = """
  local torch = require "torch"
  for i = 1, #arg do
    for way, options in pairs {read = {}, mapped = {mmap = true}} do
      local got = torch.load(arg[i], options)
      torch.save(got, arg[i] .. "." .. way .. ".pt")
      torch.save(got, way .. "." .. arg[i])
    end
  end"""


def test_npy_files_come_and_go_as_numpy_writes_them(trainhost, tmp_path):
    made = arrays()
    for name, array in made.items():
        numpy.save(tmp_path / f"{name}.npy", array)
    for version in ((2, 0), (3, 0)):
        with open(tmp_path / f"version{version[0]}.npy", "wb") as file:
            numpy.lib.format.write_array(file, made["float64"], version=version)
        made[f"version{version[0]}"] = made["float64"]
    trainhost.run("-e", READ, "--", *[f"{name}.npy" for name in made], cwd=tmp_path)
    for name, array in made.items():
        plain = array.astype(array.dtype.newbyteorder("="), order="K")
        for way in ("read", "mapped"):
            got = torch.load(tmp_path / f"{name}.npy.{way}.pt")
            same(got, array)
            if array.size and name != "strided":
                assert got.stride() == torch.from_numpy(plain).stride()
            numpy.save(tmp_path / "again.npy", plain)
            assert (tmp_path / f"{way}.{name}.npy").read_bytes() == (tmp_path / "again.npy").read_bytes(), name


@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
def test_npz_files_come_and_go(trainhost, tmp_path, save):
    made = arrays()
    save(tmp_path / "a.npz", **made)
    trainhost.run("-e", READ, "--", "a.npz", cwd=tmp_path)
    for way in ("read", "mapped"):
        got = torch.load(tmp_path / f"a.npz.{way}.pt")
        assert list(got) == list(made)
        with numpy.load(tmp_path / f"{way}.a.npz") as again:
            assert list(again) == list(made)
            for name in made:
                same(got[name], made[name])
                same(torch.from_numpy(again[name]), made[name])


def test_npz_files_are_written_from_lists_and_packed(trainhost, tmp_path):
    trainhost.lua("""
      local torch = require "torch"
      torch.save({torch.ones(2), torch.zeros(3)}, "list.npz")
      torch.save({a = torch.zeros(100000)}, "packed.npz", {compressed = true})
      torch.save({["../up"] = torch.ones(1)}, "names.npz")
      for path, value in pairs {["a.npy"] = torch.ones(2):to(torch.bfloat16), ["b.npz"] = {a = torch.ones(2):to(torch.float8_e5m2)}, ["c.npy"] = {torch.ones(1)}} do
        local ok, err = pcall(torch.save, value, path)
        assert(not ok and (err.kind == "dtype" or err.kind == "usage"), err)
      end""", cwd=tmp_path)
    with numpy.load(tmp_path / "list.npz") as got:
        assert list(got) == ["arr_0", "arr_1"] and got["arr_0"].tolist() == [1, 1]
    assert numpy.load(tmp_path / "packed.npz")["a"].shape == (100000,) and (tmp_path / "packed.npz").stat().st_size < 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.npz", "names.npz", "packed.npz"]


@pytest.mark.parametrize("array, text", [
    (numpy.array(["2026-01-01"], "M8[D]"), "dtype '<M8[D]', which PyTorch does not have"),
    (numpy.array([None, 1], object), "Python objects, which are pickles"),
    (numpy.zeros(2, [("x", "f4"), ("y", "i4")]), "structured dtype"), (numpy.array(["2020-01-01"], "datetime64[D]"), "'<M8[D]'"),
    (numpy.zeros(2, "longdouble"), "'<f16'"), (numpy.zeros(2, "V3"), "'|V3'")])
def test_arrays_of_neither_numbers_nor_strings_are_refused_with_the_reason(trainhost, tmp_path, array, text):
    numpy.save(tmp_path / "a.npy", array)
    numpy.savez(tmp_path / "a.npz", before=numpy.ones(2), x=array, after=numpy.array(["text"]))
    out = trainhost.lua("""
      local torch = require "torch"
      local arrays = torch.load("a.npz")
      for _, read in ipairs {function() return torch.load "a.npy" end, function() return arrays.x end} do
        local ok, err = pcall(read)
        print(ok, err.kind, err.message)
      end
      local names = {}
      for name in pairs(arrays) do names[#names + 1] = name end
      assert(table.concat(names, " ") == "before after" and arrays.before:sum():item() == 2 and arrays.after[1] == "text")
      assert(arrays.nothing == nil)""", cwd=tmp_path).splitlines()
    assert all(line.startswith("false\tio\t") and text in line for line in out) and "'x'" in out[1], out


def test_nested_tables_are_one_safetensors_file_that_the_package_reads(trainhost, tmp_path):
    out = trainhost.lua("""
      local torch, test = require "torch", require "test"
      local net = torch.nn.Linear(2, 3)
      local optimizer = torch.optim.AdamW(net:parameters())
      net(torch.ones(1, 2)):sum():backward()
      optimizer:step()
      local shared = torch.arange(3)
      local value = {model = net:state_dict(), optimizer = optimizer:state_dict(), epoch = 3, loss = 0.5, name = "x\\n\\u{e4}", done = false,
        list = {1, 2.5, {shared, shared}}, nan = 0 / 0, inf = -math.huge, [5] = "five", empty = {}, half = torch.ones(2):to(torch.bfloat16)}
      torch.save(value, "a.safetensors", {metadata = {note = "n"}})
      for _, mmap in ipairs {false, true} do
        local back = torch.load("a.safetensors", {mmap = mmap})
        assert(back.nan ~= back.nan)
        back.nan, value.nan = nil, nil
        test.equal(back, value)
        local names = {}
        for name in pairs(back.model) do names[#names + 1] = name end
        test.equal(names, {"weight", "bias"})
        test.equal(math.type(back.epoch), "integer")
        assert(rawequal(back.list[3][1], back.list[3][2]))
      end
      test.equal(torch.load_metadata("a.safetensors"), {note = "n"})
      torch.save({}, "empty.safetensors")
      test.equal(torch.load("empty.safetensors"), {})
      print(net.weight:sum():item())""", cwd=tmp_path)
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert set(file.keys()) == {"model.weight", "model.bias", "half", "list.2.0", *(
            f"optimizer.state.{i}.{name}" for i in (0, 1) for name in ("step", "exp_avg", "exp_avg_sq"))}
        assert abs(file.get_tensor("model.weight").sum().item() - float(out)) < 1e-5
        assert file.metadata()["note"] == "n"
        pairs = dict(json.loads(file.metadata()["trainhost"])["$pairs"])
        assert pairs["epoch"] == 3 and pairs["half"] == {"$tensor": "half"}


def header(text, data=b""):
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw + data


def one(dtype="F32", shape="[2]", offsets="[0,8]", data=bytes(8), name="a", more=""):
    return header('{"%s":{"dtype":"%s","shape":%s,"data_offsets":%s%s}}' % (name, dtype, shape, offsets, more), data)


RULES = {
    "good": one(), "scalar": one(shape="[]", offsets="[0,4]", data=bytes(4)), "empty": one(shape="[0,3]", offsets="[0,0]", data=b""),
    "none": header("{}"), "spaces": header("{}   "), "unaligned": header('{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}} ', bytes(8)),
    "cut prefix": b"\0\0\0", "no file": b"", "too long": struct.pack("<Q", 100) + b"{}", "beyond": struct.pack("<Q", 2**63) + b"{}",
    "no brace": header(" {}"), "a list": header("[]"), "no JSON": header("{"), "no UTF-8": header(b'{"\xff":{}}'),
    "hole": header('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}', bytes(3)),
    "overlap": header('{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}', bytes(3)),
    "twice the same bytes": header('{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', bytes(2)),
    "begins late": one(offsets="[1,9]", data=bytes(9)), "out of range": one(data=bytes(7)), "more data": one(data=bytes(9)),
    "backwards": one(offsets="[8,0]"), "wrong size": one(shape="[3]"), "negative": one(shape="[-2]"), "fraction": one(shape="[2.0]"),
    "overflow": one(shape="[4611686018427387904,4611686018427387904]"), "overflow to zero": one(shape="[4294967296,4294967296,0]", offsets="[0,0]", data=b""),
    "dtype": one(dtype="F33"), "dtype in small": one(dtype="f32"), "no dtype": header('{"a":{"shape":[],"data_offsets":[0,0]}}'),
    "three offsets": one(offsets="[0,8,8]"), "one offset": one(offsets="[0]"), "text as shape": one(shape='"2"'),
    "metadata": header('{"__metadata__":{"a":"b"}}'), "metadata of a number": header('{"__metadata__":{"a":1}}'),
    "metadata of an object": header('{"__metadata__":{"a":{}}}'), "metadata as text": header('{"__metadata__":"a"}'),
    "behind the header": header('{} {}'), "a bool": one(dtype="BOOL", shape="[2]", offsets="[0,2]", data=b"\1\0"),
}
# Where we are stricter than the package, and why.
STRICTER = {"overflow to zero": "LibTorch multiplies the sizes of empty tensors too"}


@pytest.mark.parametrize("what", RULES)
def test_headers_are_judged_as_by_the_package(trainhost, tmp_path, what):
    try:
        want = {name: tuple(tensor.shape) for name, tensor in safetensors.torch.load(RULES[what]).items()}
    except Exception:  # noqa: BLE001
        want = None
    if what in STRICTER:
        want = None
    (tmp_path / "a.safetensors").write_bytes(RULES[what])
    out = trainhost.lua("""
      local ok, got = pcall(require "torch".load, "a.safetensors")
      if not ok then return print(got.kind, got.message) end
      for name, tensor in pairs(got) do print(name, tensor.shape) end""", cwd=tmp_path)
    if want is None:
        assert out.startswith("io\t"), out
    else:
        assert dict(re.findall(r"(\w+)\ttorch.Size\((\[.*\])\)", out)) == {name: str(list(shape)) for name, shape in want.items()}, out


def test_arrays_of_strings_are_lists_of_strings(trainhost, tmp_path):
    """Beside tensors, of one or more dimensions, in both byte orders and both orders of elements; and their errors."""
    made = {
        "words": numpy.array(["a", "", "grüße", "日本", "\U0001F600!"]),
        "bytes": numpy.array([b"ab", b"c\0d", b""]),
        "table": numpy.asfortranarray(numpy.array([["a", "bb", "c"], ["d", "e", "ff"]])),
        "one": numpy.array("alone"),
        "none": numpy.zeros((0, 3), "U4"),
        "big": numpy.array(["xy", "z"]).astype(">U2"),
        "numbers": numpy.arange(3),
    }
    numpy.savez(tmp_path / "all.npz", **made)
    numpy.savez_compressed(tmp_path / "packed.npz", **made)
    for name, array in made.items():
        numpy.save(tmp_path / f"{name}.npy", array)
    trainhost.run("-e", """
      local torch, json = require "torch", require("host").json
      local function plain(value) return torch.is_tensor(value) and value:tolist() or value end
      local out = {}
      for _, file in ipairs {"all.npz", "packed.npz"} do
        for way, options in pairs {read = {}, mapped = {mmap = true}} do
          for name, value in pairs(torch.load(file, options)) do
            out[#out + 1] = {name, plain(value), plain(torch.load(name .. ".npy", options))}
          end
        end
      end
      local f = io.open("out.json", "w")
      f:write(json.encode(out))
      f:close()""", cwd=tmp_path)
    got = json.loads((tmp_path / "out.json").read_text())
    assert len(got) == 4 * len(made)
    for name, *values in got:
        expected = made[name].tolist()
        if name == "bytes":
            expected = [each.decode() for each in expected]
        for value in values:
            assert (value or []) == expected, name


def test_damaged_arrays_of_strings_are_errors(trainhost, tmp_path):
    def write(name, descr, shape, data):
        header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        (tmp_path / name).write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + data)
    write("char.npy", "<U1", "(1,)", struct.pack("<I", 0x110000))
    write("long.npy", "<U99999999999", "(1,)", b"")
    write("short.npy", "|S8", "(2,)", b"12345678")
    write("huge.npy", "|S0", "(4611686018427387904,)", b"")
    write("rows.npy", "|S0", "(4611686018427387904, 0)", b"")
    write("letters.npy", "<Ux", "(1,)", b"")
    out = trainhost.run("-e", """
      local torch = require "torch"
      for i = 1, #arg do
        local ok, err = pcall(torch.load, arg[i])
        print(arg[i], ok, err.kind, err.message)
      end""", "--", *(f"{name}.npy" for name in ("char", "long", "short", "huge", "rows", "letters")), cwd=tmp_path)
    lines = out.stdout.strip().splitlines()
    assert len(lines) == 6
    for line, reason in zip(lines, ("is no character", "no dtype of strings", "are there", "memory", "memory",
                                    "no dtype of strings")):
        assert "\tfalse\tio\t" in line and reason in line, line
