# Hands tensors and cases to one trainhost process and reads back what the cases returned.
import dataclasses
import json
import math
import pathlib

import torch

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT_BYTES = 256 << 20  # of a sparse file


@dataclasses.dataclass
class Result:
    values: list | None = None
    error: str | None = None


class Exchange:
    """Collects cases as Lua code; `run` gives {name: Result}. Every suite is one process."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.bytes = bytearray()
        self.cases = []

    def tensor(self, tensor):
        """The Lua expression of a fresh tensor with these values."""
        tensor = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
        data = bytes(tensor.flatten().view(torch.uint8).numpy()) if tensor.numel() else b""
        offset = len(self.bytes)
        self.bytes += data + b"\0" * (-len(data) % 64)
        shape = ", ".join(map(str, tensor.shape))
        return f"X.tensor({offset}, {len(data)}, {tensor.dtype}, {{{shape}}})"

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
        self.cases.append(f"X.case({self.lua(name)}, function()\n  {body}\nend)")

    def expression(self, name, expression):
        self.case(name, "return " + expression)

    def run(self, trainhost, timeout=240):
        inputs, outputs, report, script = (self.folder / n for n in ("in.bin", "out.bin", "report.jsonl", "cases.lua"))
        inputs.write_bytes(self.bytes)
        head = (f'local torch = require "torch"\ntorch.set_num_threads(1)\n'
                f'local X = dofile({self.lua(str(HERE / "exchange.lua"))})({self.lua(str(inputs))}, {len(self.bytes)}, '
                f'{self.lua(str(outputs))}, {OUTPUT_BYTES}, {self.lua(str(report))})\n')
        script.write_text(head + "\n".join(self.cases) + "\n")
        done = trainhost.run(script, timeout=timeout, check=False)
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        data = torch.from_file(str(outputs), shared=False, size=OUTPUT_BYTES, dtype=torch.uint8)
        results = {}
        for line in report.read_text().splitlines():
            row = json.loads(line)
            values = row.get("values")
            results[row["name"]] = Result(values and [read(value, data) for value in values] or values,
                                          row.get("error"))
        missing = len(self.cases) - len(results)
        assert missing == 0, f"{missing} cases did not report"
        return results


def read(value, data):
    if isinstance(value, list):
        return [read(item, data) for item in value]
    if not isinstance(value, dict):
        return value
    if "integer" in value:
        return int(value["integer"])
    if "float" in value:
        return float(value["float"]) if "n" in value["float"] else float.fromhex(value["float"])
    dtype = getattr(torch, value["dtype"].removeprefix("torch."))
    if value["bytes"] == 0:
        return torch.empty(value["shape"], dtype=dtype)
    part = data[value["offset"]:value["offset"] + value["bytes"]].clone()
    return part.view(dtype).reshape(value["shape"])


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
    if isinstance(expected, (torch.dtype, torch.device)):
        expected = str(expected)
    return None if type(expected) is type(got) and expected == got else f"expected {expected!r}, got {got!r}"
