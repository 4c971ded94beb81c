# Hands tensors and cases to one trainhost process and reads back what the cases returned.
import dataclasses
import json
import math
import pathlib
import subprocess

import numpy
import torch

EXCHANGE = pathlib.Path(__file__).resolve().parent / "exchange.lua"
OUTPUT_BYTES = 256 << 20  # of a sparse file


@dataclasses.dataclass
class Result:
    values: list | None = None
    error: str | None = None
    kind: str = ""  # of the error
    type: str = ""  # the class of Python's that the error says it is; "": it says none


@dataclasses.dataclass
class Sparse:
    """A sparse tensor of Lua's."""
    layout: str
    coalesced: bool
    shape: list
    parts: list


class Exchange:
    """Collects cases as Lua code; `run` gives {name: Result}. Every suite is one process."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.bytes = bytearray()
        self.cases = []

    def tensor(self, tensor):
        """The Lua expression of a fresh tensor with these values, strides and flags."""
        tensor = tensor.detach()
        if tensor.layout != torch.strided:
            return self.sparse(tensor)
        conj, neg = tensor.is_conj(), tensor.is_neg()
        tensor = tensor.conj() if conj else tensor
        tensor = torch._neg_view(tensor) if neg else tensor
        geometry = ""
        usual = torch.empty(tensor.shape, device="meta").stride()
        if tensor.stride() == usual and tensor.storage_offset() == 0:
            data = as_bytes(tensor)
        else:
            storage = tensor.untyped_storage()
            data = bytes(torch.empty(0, dtype=torch.uint8).set_(storage).numpy())
            geometry = f", {self.lua(tensor.stride())}, {tensor.storage_offset()}"
        offset = len(self.bytes)
        self.bytes += data + b"\0" * (-len(data) % 64)
        code = f"X.tensor({offset}, {len(data)}, {tensor.dtype}, {self.lua(tensor.shape)}{geometry})"
        code = f"torch.ops.aten._neg_view({code})" if neg else code
        return code + ":conj()" if conj else code

    def sparse(self, tensor):
        if tensor.layout == torch.sparse_coo:
            return (f"torch.sparse_coo_tensor({self.tensor(tensor._indices())}, {self.tensor(tensor._values())}, "
                    f"{self.lua(tensor.shape)}, {{is_coalesced = {self.lua(tensor.is_coalesced())}}})")
        by_row = tensor.layout in (torch.sparse_csr, torch.sparse_bsr)
        compressed = tensor.crow_indices() if by_row else tensor.ccol_indices()
        plain = tensor.col_indices() if by_row else tensor.row_indices()
        return (f"torch.sparse_compressed_tensor({self.tensor(compressed)}, {self.tensor(plain)}, "
                f"{self.tensor(tensor.values())}, {self.lua(tensor.shape)}, {{layout = {tensor.layout}}})")

    def lua(self, value):
        """The Lua expression of a Python value."""
        if value is None:
            return "torch.None"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return "math.mininteger" if value == -(2 ** 63) else str(value)
        if isinstance(value, float):
            if math.isnan(value):
                return "(0/0)"
            return ("-" if value < 0 else "") + "math.huge" if math.isinf(value) else value.hex()
        if isinstance(value, complex):
            return f"torch.complex({self.lua(value.real)}, {self.lua(value.imag)})"
        if isinstance(value, numpy.generic):
            return self.lua(value.item())
        if isinstance(value, str):
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, (list, tuple)):
            return "{" + ", ".join(map(self.lua, value)) + "}"
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return str(value)
        if isinstance(value, torch.device):
            return self.lua(str(value))
        raise TypeError(f"no Lua expression for {type(value).__name__}")

    def case(self, name, body):
        """body: Lua statements that return the results."""
        self.cases.append((name, body))

    def expression(self, name, expression):
        self.case(name, "return " + expression)

    def run(self, trainhost, timeout=240):
        """{case: Result}. A case that kills the process, or on which it hangs, is a result too."""
        inputs, outputs, report = (self.folder / name for name in ("in.bin", "out.bin", "report.jsonl"))
        inputs.write_bytes(self.bytes)
        results, names = {}, [name for name, _ in self.cases]
        while len(results) < len(names):
            done = self.start(trainhost, len(results), timeout)
            assert report.exists(), f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
            data = torch.from_file(str(outputs), shared=False, size=OUTPUT_BYTES, dtype=torch.uint8)
            for line in report.read_text().splitlines():
                row = json.loads(line)
                values = row.get("values")
                results[row["name"]] = Result(values and [read(value, data) for value in values] or values,
                                              row.get("error"), row.get("kind", ""), row.get("type", ""))
            if done.returncode == 0:
                break
            assert names[:len(results)] == list(results), done.stderr[-4000:]
            if len(results) < len(names):
                results[names[len(results)]] = Result(
                    error=f"the process ended with code {done.returncode}: {done.stderr[-1000:]}")
        missing = len(self.cases) - len(results)
        assert missing == 0, f"{missing} cases did not report\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        return results

    def start(self, trainhost, first, timeout):
        """Runs the cases from number `first` on in one process."""
        inputs, outputs, report, script = (self.lua(str(self.folder / n)) for n in (
            "in.bin", "out.bin", "report.jsonl", "cases.lua"))
        head = (f'local torch = require "torch"\nlocal X = dofile({self.lua(str(EXCHANGE))})'
                f"({inputs}, {len(self.bytes)}, {outputs}, {OUTPUT_BYTES}, {report})\n")
        bodies = "\n".join(f"X.case({self.lua(name)}, [==[\n  {body}\n]==])" for name, body in self.cases[first:])
        (self.folder / "cases.lua").write_text(head + bodies + "\n")
        try:
            return trainhost.run(self.folder / "cases.lua", timeout=timeout, check=False)
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(late.cmd, -9, "", f"stopped after {timeout} s")


def as_bytes(tensor):
    if tensor._is_zerotensor():
        return bytes(tensor.numel() * tensor.element_size())
    tensor = tensor.clone(memory_format=torch.contiguous_format)
    return bytes(tensor.flatten().view(torch.uint8).numpy()) if tensor.numel() else b""


def read(value, data):
    if isinstance(value, list):
        return [read(item, data) for item in value]
    if not isinstance(value, dict):
        return value
    if "integer" in value:
        return int(value["integer"])
    if "complex" in value:
        return complex(*(float(part) if "n" in part else float.fromhex(part) for part in value["complex"]))
    if "float" in value:
        return float.fromhex(value["float"])
    if "layout" in value:
        return Sparse(value["layout"], value["coalesced"], value["shape"], [read(part, data) for part in value["parts"]])
    dtype = getattr(torch, value["dtype"].removeprefix("torch."))
    if value["bytes"]:
        tensor = data[value["offset"]:value["offset"] + value["bytes"]].clone().view(dtype).reshape(value["shape"])
    else:
        tensor = torch.empty(value["shape"], dtype=dtype)
    tensor.lua_strides, tensor.lua_requires_grad = tuple(value["strides"]), value["grad"]
    return tensor


def difference(expected, got, rtol=0.0, atol=0.0):
    """What is not equal, in a line, or None. Tensors: dtype, shape and values (nan equals nan); a Lua number
    stands for a Python number of any kind, a table for a tuple."""
    if isinstance(expected, torch.Tensor):
        if not isinstance(got, torch.Tensor):
            return f"expected a tensor, got {got!r}"
        if expected.dtype != got.dtype or expected.shape != got.shape:
            return f"expected {expected.dtype} {tuple(expected.shape)}, got {got.dtype} {tuple(got.shape)}"
        expected = expected.detach().resolve_conj().resolve_neg()
        if expected.dtype.itemsize == 1 and expected.is_floating_point():
            expected, got = expected.float(), got.float()
        if expected.dtype in (torch.uint16, torch.uint32, torch.uint64, torch.complex32):
            same = torch.equal(expected.contiguous().flatten().view(torch.uint8), got.flatten().view(torch.uint8))
            return None if same else f"expected {expected}, got {got}"
        if torch.allclose(expected, got, rtol=rtol, atol=atol, equal_nan=True) if expected.numel() else True:
            return None
        if expected.dtype == torch.bool:
            return f"{(expected != got).sum()} booleans differ"
        wide = torch.complex128 if expected.is_complex() else torch.float64
        gap = (expected.to(wide) - got.to(wide)).abs()
        return f"greatest difference {gap.nan_to_num().max().item():g} of {expected.abs().max().item():g}"
    if isinstance(expected, (list, tuple)):
        if not isinstance(got, list) or len(expected) != len(got):
            return f"expected {len(expected)} values, got {got!r:.200}"
        for position, (a, b) in enumerate(zip(expected, got)):
            if text := difference(a, b, rtol, atol):
                return f"[{position}] {text}"
        return None
    if isinstance(expected, float) and isinstance(got, (int, float)):
        same = math.isclose(expected, got, rel_tol=rtol, abs_tol=atol) or expected == got or (
            math.isnan(expected) and math.isnan(got))
        return None if same else f"expected {expected!r}, got {got!r}"
    if isinstance(expected, complex) and isinstance(got, complex):
        return difference([expected.real, expected.imag], [got.real, got.imag], rtol, atol)
    if isinstance(expected, (torch.dtype, torch.device)):
        expected = str(expected)
    return None if type(expected) is type(got) and expected == got else f"expected {expected!r}, got {got!r}"
