# The choice of an overload, against PyTorch's own parser: every list of signatures, and calls that tell them apart.
import re

import torch
from exchange import Exchange, difference

NAMESPACES = {"torch.": torch, "torch.linalg.": torch.linalg, "torch.fft.": torch.fft, "torch.special.": torch.special}
# Parsers of PyTorch that are no operator's.
BY_HAND = {f"torch.sparse_{kind}_tensor" for kind in ("coo", "csr", "csc", "bsr", "bsc", "compressed")} | {
    "torch.is_autocast_enabled", "torch.set_autocast_enabled", "Tensor:new", "Tensor:set_", "Tensor:to", "Tensor:nonzero"}


def listed(text):
    """The signatures of an error text, as one line each."""
    lines = [line[3:].strip() for line in text.split("\n") if line.startswith(" * ")]
    # A float is written as native_functions.yaml has it.
    return [re.sub(r"(= \d+)\.0?(?=[,)])", r"\1", line) for line in lines]


def python_lists():
    """{Lua expression: (Lua call that nothing takes, the signatures that Python lists for it)}"""
    lists = {}

    def note(name, function, *first):
        try:
            function(*first, *[object()] * 40)
        except TypeError as error:
            if (signatures := listed(str(error))) and name not in BY_HAND:
                lists[name] = signatures
        except Exception:
            pass

    for prefix, namespace in NAMESPACES.items():
        for name in dir(namespace):
            function = getattr(namespace, name)
            if type(function).__name__ == "builtin_function_or_method":
                note(prefix + name, function)
    for name in dir(torch._C.TensorBase):
        function = getattr(torch.Tensor, name)
        if type(function).__name__ == "method_descriptor" and not name.startswith("__"):
            note("Tensor:" + name, function, torch.zeros(2))
    return lists


def test_every_list_of_signatures_is_pytorchs(trainhost, tmp_path):
    lists, exchange = python_lists(), Exchange(tmp_path)
    for name in lists:
        wrong = ", ".join(["io.stdout"] * 40)
        space, method = name.split(":") if ":" in name else (name, None)
        call = f'torch.zeros(2)["{method}"](torch.zeros(2), {wrong})' if method else f'{name}({wrong})'
        exchange.expression(name, call)
    got = exchange.run(trainhost)
    differ, hidden = {}, []
    for name, signatures in lists.items():
        ours = listed(got[name].error or "")
        if not ours and re.search("has no", got[name].error or ""):
            hidden.append(name)
        elif ours != signatures:
            differ[name] = f"{signatures} != {ours or got[name].error}"
    print(f"{len(lists) - len(differ) - len(hidden)} of {len(lists)} lists equal")
    assert not differ, f"{len(differ)} of {len(lists)}\n" + "\n".join(f"{k}: {v:.900}" for k, v in differ.items())
    assert len(lists) > 280 and len(hidden) < 8, hidden


# Lua: Python. `x` is [2, 3] float32, `k` [3] int64, `s` a 0-dim float32, `i` a 0-dim int64, `w` needs a gradient.
CALLS = {
    "x:view(3, 2)": None, "x:view({3, 2})": None, "x:view(i, 3)": None, "x:view(6)": None, "torch.zeros(2, 3)": None,
    "torch.zeros{2, 3, dtype = torch.int8}": "torch.zeros(2, 3, dtype=torch.int8)",
    "torch.rand(2, 3, {dtype = torch.float64}):shape_()": None, "x:permute(1, 0)": None, "x:expand(2, 2, 3)": None,
    "x:sum(1)": None, "x:sum({0, 1})": "x.sum((0, 1))", "x:sum(nil, true)": "x.sum(None, True)",
    "x:sum{axis = 0, keepdims = true}": "x.sum(axis=0, keepdims=True)", "torch.sum{a = x}": "torch.sum(a=x)",
    "torch.add{x, x2 = x}": "torch.add(x, x2=x)", "torch.max(x, 1)": None, "torch.max(x, x)": None, "x:max()": None,
    "torch.clamp(x, 1, 3)": None, "torch.clamp(x, s, i)": None, "x:clamp{min = s}": "x.clamp(min=s)",
    "torch.clamp(k, 1.5)": None, "x:clamp(nil, 2)": "x.clamp(None, 2)",
    "torch.pow(2, k)": None, "torch.pow(k, 2.0)": None, "torch.pow(x, s)": None, "torch.pow(s, x)": None,
    "torch.add(x, 2, x)": None, "x:add(2, x)": "x.add(2, x)", "torch.sub(x, 2, x)": None, "x:clone():add_(3, x)": None,
    "torch.addmm(2, x, 3, x:t():t()[{torch.slice(2), torch.slice(2)}], x)": "torch.addmm(2, x, 3, x[:2, :2], x)",
    "torch.addmm(0.5, x, x[{torch.slice(2), torch.slice(2)}], x)": "torch.addmm(0.5, x, x[:2, :2], x)",
    "torch.addcmul(x, 2, x, x)": None, "torch.addcdiv(x, 2, x, x + 1)": None, "torch.addr(2, x, 3, k[{torch.slice(2)}], k)":
    "torch.addr(2, x, 3, k[:2], k)", "torch.addmv(2, x[{torch.slice(2), 0}], 1, x, x[0])": "torch.addmv(2, x[:2, 0], 1, x, x[0])",
    "torch.subtract(x, 2, 3)": None, "torch.rsub(x, 2)": None, "torch.mul(2, x)": None, "torch.div(x, 2, {rounding_mode = 'floor'})":
    "torch.div(x, 2, rounding_mode='floor')", "torch.floor_divide(7, k + 1)": None, "torch.true_divide(k, 2)": None,
    "torch.where(x:gt(2), x, 0)": "torch.where(x > 2, x, 0)", "torch.where(x:gt(2), 1, 0)": "torch.where(x > 2, 1, 0)",
    "torch.where(x:gt(2))": "torch.where(x > 2)", "x:where(x:gt(2), 0.5)": "x.where(x > 2, 0.5)",
    "torch.where(x:gt(2), 1.5, k)": "torch.where(x > 2, 1.5, k)",
    "x:nonzero{as_tuple = true}": "x.nonzero(as_tuple=True)", "torch.nonzero(x)": None,
    "torch.nonzero(x, {as_tuple = false})": "torch.nonzero(x, as_tuple=False)",
    "x:to(torch.float64)": None, "x:to(k)": None, "x:to('cpu', torch.int32)": None, "x:to{dtype = torch.bool}": "x.to(dtype=torch.bool)",
    "x:type('torch.DoubleTensor')": None, "x:type()": None, "x:type(torch.int8)": None, "x:type_as(k)": None,
    "torch.arange(5)": None, "torch.arange(1, 5)": None, "torch.arange(1, 5, 2)": None, "torch.arange(1.5, 4)": None,
    "torch.arange(0, 1, 0.25)": None, "torch.arange{end_ = 4}": "torch.arange(end=4)", "torch.arange(i)": None,
    "torch.range(1, 4)": None, "torch.full({2}, 3)": None, "torch.full({2}, 3.5)": None, "torch.full({2}, true)": "torch.full((2,), True)",
    "torch.full({2}, 3, {dtype = torch.float64})": "torch.full((2,), 3, dtype=torch.float64)",
    "torch.linspace(0, 1, 5)": None, "torch.linspace(s, 1, 3)": None, "torch.logspace(0, 2, 3)": None,
    "torch.eye(2)": None, "torch.eye(2, 3)": None, "torch.ones_like(k)": None, "torch.zeros_like(x, {dtype = torch.int8})":
    "torch.zeros_like(x, dtype=torch.int8)", "x:new_zeros(2, 3)": None, "x:new_full({2}, 7)": None, "x:new_ones{2}": "x.new_ones((2,))",
    "x:new_tensor({1, 2})": None, "torch.scalar_tensor(3)": None, "torch.empty(0)": None, "torch.tril_indices(3, 3)": None,
    "torch.std(x, 1)": None, "torch.std(x, false)": "torch.std(x, False)", "torch.std(x, {1}, true, true)": "torch.std(x, (1,), True, True)",
    "torch.std(x, 1, {correction = 0})": "torch.std(x, 1, correction=0)", "torch.std(x)": None, "torch.var_mean(x, 0)": None,
    "torch.all(x, 1)": None, "torch.all(x, {0, 1})": "torch.all(x, (0, 1))", "torch.any(x)": None, "torch.any(x, 0, true)": "torch.any(x, 0, True)",
    "torch.squeeze(x[{torch.slice(1)}])": "torch.squeeze(x[:1])", "x:unsqueeze(0):squeeze(0)": None, "x:unsqueeze(0):squeeze({0, 1})":
    "x.unsqueeze(0).squeeze((0, 1))", "torch.tensor_split(k, 2)": None, "torch.tensor_split(k, {1, 2})": "torch.tensor_split(k, (1, 2))",
    "torch.tensor_split(k, torch.tensor({1}))": "torch.tensor_split(k, torch.tensor([1]))", "torch.split(k, 2)": None,
    "x:split({1, 2}, 1)": "x.split((1, 2), 1)", "torch.chunk(k, 2)": None, "x:repeat_interleave(2)": None,
    "torch.repeat_interleave(k)": None, "torch.repeat_interleave(x, k, 1)": None, "torch.quantile(x, 0.5)": None,
    "torch.quantile(x, torch.tensor({0.1, 0.5}), 1)": "torch.quantile(x, torch.tensor([0.1, 0.5]), 1)",
    "torch.bucketize(1.5, x[0])": None, "torch.bucketize(x, x[0])": None, "torch.searchsorted(x[0], 1.5)": None,
    "torch.sort(x, 1, true)": "torch.sort(x, 1, True)", "torch.sort(x, {stable = true, dim = 0})": "torch.sort(x, stable=True, dim=0)",
    "torch.lerp(x, x + 1, 0.5)": None, "torch.lerp(x, x + 1, x)": None, "torch.lerp(x, x + 1, s)": None,
    "x:scatter(1, torch.tensor({{0}, {1}}), 9)": "x.scatter(1, torch.tensor([[0], [1]]), 9)",
    "x:scatter(1, torch.tensor({{0}, {1}}), x)": "x.scatter(1, torch.tensor([[0], [1]]), x)",
    "x:scatter(1, torch.tensor({{0}, {1}}), 9, {reduce = 'add'})": "x.scatter(1, torch.tensor([[0], [1]]), 9, reduce='add')",
    "x:masked_fill(x:gt(2), s)": "x.masked_fill(x > 2, s)", "x:index_fill(1, torch.tensor({0}), s)": "x.index_fill(1, torch.tensor([0]), s)",
    "torch.norm(x)": None, "torch.norm(x, 1)": None, "torch.linalg.norm(x, 'fro')": None, "torch.linalg.norm(x, 1, {0, 1})":
    "torch.linalg.norm(x, 1, (0, 1))", "torch.roll(x, 1)": None, "torch.roll(x, {1, 1}, {0, 1})": "torch.roll(x, (1, 1), (0, 1))",
    "torch.flip(x, {0})": None, "x:flip(0, 1)": None, "torch.rot90(x)": None, "torch.movedim(x, 0, 1)": None,
    "torch.bitwise_and(5, k)": None, "torch.remainder(7, k + 1)": None, "torch.fmod(x, 2)": None, "torch.xlogy(2, x)": None,
    "torch.special.zeta(2, x + 2)": None, "torch.float_power(2, x)": None, "torch.copysign(x, -1)": None,
    "torch.heaviside(x, s)": None, "torch.isin(k, 1)": None, "torch.isin(1, k)": None, "torch.isin(k, k)": None,
    "torch.conv2d(x[{nil_, nil_}], torch.ones(1, 1, 2, 2), nil, 1, 'same')":
    "torch.conv2d(x[None, None], torch.ones(1, 1, 2, 2), None, 1, 'same')",
    "torch.gradient(x[0])": None, "torch.gradient(x[0], {spacing = 2})": "torch.gradient(x[0], spacing=2)",
    "torch.result_type(x, 1)": None, "torch.result_type(k, 1.5)": None, "torch.result_type(1, 2.0)": None,
    "torch.promote_types(torch.int8, torch.float16)": None, "torch.can_cast(torch.float64, torch.int8)": None,
    "torch.cat({x, x}, 1)": "torch.cat((x, x), 1)", "torch.stack({x, x}, {dim = 2})": "torch.stack((x, x), dim=2)",
    "torch._foreach_add({x, k}, 2)": "torch._foreach_add([x, k], 2)", "torch._foreach_mul({x}, {x})": "torch._foreach_mul([x], [x])",
    "torch._foreach_add({x}, {1.5})": "torch._foreach_add([x], [1.5])", "torch._softmax(x, 1, false)": "torch._softmax(x, 1, False)",
    "x:__and__(1)": None, "k:__and__(1)": None, "x:copy_(2)": None, "x:copy_(k)": None, "x:fill_(s)": None,
    "torch.max(x, 1, {out = {torch.empty(0), torch.empty(0, {dtype = torch.int64})}})": "torch.max(x, 1)",
    "torch.add(x, x, {out = torch.empty(0)})": "x + x", "torch.arange(4, {out = torch.empty(9)})": "torch.arange(4.)",
    "torch.full({2}, 7, {out = torch.empty(2), dtype = torch.float32})": "torch.full((2,), 7.)",
    "torch.sum(x, 1, {out = torch.empty(0)})": "x.sum(1)", "torch.zeros(2, {dtype = torch.float64, out = torch.empty(2)})":
    "torch.zeros(2, dtype=torch.float64, out=torch.empty(2))", "torch.add(x, w0)": None, "torch.mul(x, w0)": None,
    "torch.add(x, x, {alpha = w0})": "torch.add(x, x, alpha=w0)", "torch.add(x, x, {alpha = s})": "torch.add(x, x, alpha=s)",
    "torch.full({2}, w0)": "torch.full((2,), w0)", "torch.dropout(x, s, false)": "torch.dropout(x, s, False)",
    "k + true": "k + True", "k * 2.0": None, "k / 2": None, "s + i": None, "x + z": None, "z * x": None, "z - x": None, "x / z": None, "z / (x + 1)": None,
    "k * z": None, "x ^ z": "x ** z", "z ^ (x + 1)": "z ** (x + 1)", "torch.full({2}, z)": None, "torch.tensor({z, 1})": "torch.tensor([z, 1])",
    "torch.tensor(z)": None, "torch.tensor(z):item()": None, "torch.tensor({{z, 1}, {2, 3}}):tolist()": "torch.tensor([[z, 1], [2, 3]]).tolist()",
    "torch.zeros(2, {dtype = torch.complex64}):fill_(z)": "torch.zeros(2, dtype=torch.complex64).fill_(z)",
    "torch.add(x, x, {alpha = z})": "torch.add(x, x, alpha=z)", "torch.complex(x, x)": None, "torch.result_type(x, z)": None,
    "x:double():add(z)": None, "torch.tensor({1, 2, 3.5})": "torch.tensor([1, 2, 3.5])", "torch.tensor({true, 2})": "torch.tensor([True, 2])",
    "torch.tensor({s, 2})": "torch.tensor([s, 2])", "torch.tensor(x.shape)": None, "torch.zeros(x.shape)": None, "x:view(x.shape)": None,
    "x.shape:numel()": None, "x:size()": "list(x.size())", "x:size(-1)": None, "x:size{dim = 0}": "x.size(dim=0)", "x:stride()": None, "x:stride(0)": None,
    "torch.finfo(torch.bfloat16).max": None, "torch.finfo().eps": None, "tostring(torch.finfo(torch.float16))": "str(torch.finfo(torch.float16))",
    "torch.iinfo(torch.int32).min": None, "tostring(torch.iinfo(torch.int64))": "str(torch.iinfo(torch.int64))", "torch.iinfo(torch.uint8).bits": None,
    "torch.float16.itemsize": None, "torch.bool.is_signed": None, "torch.float32:to_complex()": None, "torch.complex128:to_real()": None,
    "torch.int8:to_complex()": None, "x:cfloat()": None, "x:cdouble()": None, "x:half()": None, "x:element_size()": None, "x.itemsize": None,
    "x.nbytes": None, "x.output_nr": None, "x._version": None, "x.is_sparse_csr": None, "x.is_nested": None, "x.is_mkldnn": None,
    "x.is_xpu": None, "x.name": None, "x.real": None, "x.imag": None, "x.H": None, "x.mT": None, "k.mT": None, "x[{nil_}].H": "x[None].H",
    "x.T": None, "x.ndim": None, "x:is_contiguous()": None, "x:is_contiguous{memory_format = torch.channels_last}":
    "x.is_contiguous(memory_format=torch.channels_last)", "x:item()": None, "x[{0, 0}]:item()": "x[0, 0].item()", "x:tolist()": None,
    "x:_is_view()": None, "x[0]:_is_view()": None, "x:storage_offset()": None, "x:get_device()": None, "x:equal(x)": None, "x:dim()": None,
}
LUA_ONLY = {"torch.rand(2, 3, {dtype = torch.float64}):shape_()"}


def test_calls_give_what_python_gives(trainhost, tmp_path):
    values = {"x": torch.arange(6.0).reshape(2, 3), "k": torch.tensor([1, 2, 0]), "s": torch.tensor(1.5), "i": torch.tensor(2)}
    exchange, expected = Exchange(tmp_path), {}
    local = "local x, k, s, i = " + ", ".join(exchange.tensor(value) for value in values.values())
    for lua, python in CALLS.items():
        if lua in LUA_ONLY:
            continue
        if python is None:
            python = re.sub(r"(?<=[\w\])}]):(?=\w)", ".", lua).replace("{", "[").replace("}", "]")
        scope = {name: value.clone() for name, value in values.items()}
        scope |= {"w0": torch.tensor(2.0, requires_grad=True), "z": complex(1, -2), "torch": torch}
        torch.manual_seed(0)
        try:
            result = eval(python, scope)
            expected[lua] = [result]
        except Exception as error:
            expected[lua] = error
        exchange.case(lua, f"{local}\n  local w0, z, nil_ = torch.tensor(2.0):requires_grad_(), torch.complex(1, -2), torch.None\n"
                           f"  torch.manual_seed(0)\n  return {lua}")
    got, wrong = exchange.run(trainhost), {}
    for lua, result in expected.items():
        ours = got[lua]
        if isinstance(result, Exception):
            # Usage errors name values in Lua's words; what a kernel says is PyTorch's.
            if not ours.error or not (isinstance(result, TypeError) or str(result).split("\n")[0] in ours.error):
                wrong[lua] = f"expected the error {result}, got {ours}"
        elif ours.error:
            wrong[lua] = f"error {ours.error}"
        else:
            # Several results are several Lua values, a list is one table.
            several = isinstance(result[0], tuple) and len(ours.values) > 1
            if text := difference(result[0], ours.values if several else ours.values[0], rtol=1e-6, atol=1e-6):
                wrong[lua] = text
    assert not wrong, f"{len(wrong)} of {len(expected)}\n" + "\n".join(f"{k}: {v:.600}" for k, v in wrong.items())
