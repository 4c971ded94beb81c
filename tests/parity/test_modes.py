# Modes of the whole process against Python: what is drawn from a seed, dtypes and values under autocast, the state of
# the flags of torch.backends.
import json

import pytest
import torch
from exchange import Exchange

DRAWS = [  # Lua, Python
    ("torch.rand(5)", lambda: torch.rand(5)),
    ("torch.randn(17)", lambda: torch.randn(17)),
    ("torch.randn(3, 5, {dtype = torch.float64})", lambda: torch.randn(3, 5, dtype=torch.float64)),
    ("torch.randint(3, 100, {9})", lambda: torch.randint(3, 100, (9,))),
    ("torch.randperm(31)", lambda: torch.randperm(31)),
    ("torch.bernoulli(torch.full({20}, 0.3))", lambda: torch.bernoulli(torch.full((20,), 0.3))),
    ("torch.multinomial(torch.arange(1.0, 9.0), 5)", lambda: torch.multinomial(torch.arange(1.0, 9.0), 5)),
    ("torch.normal(0, 2, {6})", lambda: torch.normal(0, 2, (6,))),
    ("torch.poisson(torch.full({7}, 4.0))", lambda: torch.poisson(torch.full((7,), 4.0))),
    ("torch.empty(5):exponential_(2.0)", lambda: torch.empty(5).exponential_(2.0)),
    ("torch.empty(5):cauchy_()", lambda: torch.empty(5).cauchy_()),
    ("torch.empty(5):geometric_(0.3)", lambda: torch.empty(5).geometric_(0.3)),
    ("torch.empty(5):log_normal_()", lambda: torch.empty(5).log_normal_()),
    ("torch.dropout(torch.ones(16), 0.5, true)", lambda: torch.dropout(torch.ones(16), 0.5, True)),
    ("torch.random.fork_rng(function() return torch.rand(2) end)", None),
    ("torch.rand(3)", lambda: torch.rand(3)),
    ("torch.rand(3, {generator = torch.Generator():manual_seed(5)})",
     lambda: torch.rand(3, generator=torch.Generator().manual_seed(5))),
    ("torch.get_rng_state()", lambda: torch.get_rng_state()),
]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, 2**63 - 1, -(2**63)])
def test_seeds_draw_pythons_numbers(tmp_path, trainhost, seed):
    exchange = Exchange(tmp_path)
    literal = "math.mininteger" if seed == -(2**63) else str(seed)
    body = f"torch.manual_seed({literal}) return " + ", ".join(lua for lua, _ in DRAWS)
    exchange.case("draws", body)
    torch.manual_seed(seed)
    expected = []
    for _, python in DRAWS:
        if python is None:
            with torch.random.fork_rng():
                expected.append(torch.rand(2))
        else:
            expected.append(python())
    result = exchange.run(trainhost)["draws"]
    assert result.error is None, result.error
    for (lua, _), ours, theirs in zip(DRAWS, result.values, expected, strict=True):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs), lua


AUTOCAST = [
    "mm(a, b)", "matmul(a, b)", "addmm(a, a, b)", "bmm(c, c)", "baddbmm(c, c, c)", "nn.functional.linear(a, b)",
    "conv2d(image, kernel)", "exp(a)", "softmax(a, 0)", "cat({a, h})", "stack({a, h})", "add(a, h)", "mul(a, b)",
    "nn.functional.mse_loss(h, a)", "log_softmax(h, 0)", "sum(h)", "linalg.inv(d)", "einsum('ij,jk->ik', a, b)",
    "nn.functional.scaled_dot_product_attention(q, q, q)", "cumsum(h, 0)", "norm(h)", "fft.fft(a)",
]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_autocast_chooses_pythons_dtypes(tmp_path, trainhost, dtype):
    torch.manual_seed(0)
    tensors = {
        "a": torch.randn(4, 4), "b": torch.randn(4, 4), "c": torch.randn(2, 4, 4), "image": torch.randn(1, 3, 8, 8),
        "kernel": torch.randn(2, 3, 3, 3), "h": torch.randn(4, 4).to(getattr(torch, dtype)),
        "d": torch.eye(4) + 0.1 * torch.randn(4, 4), "q": torch.randn(1, 2, 4, 8),
    }
    exchange = Exchange(tmp_path)
    setup = "".join(f"local {name} = {exchange.tensor(tensor)}\n" for name, tensor in tensors.items())
    expected = {}
    for call in AUTOCAST:
        exchange.case(call, f"{setup} return torch.autocast('cpu', {{dtype = torch.{dtype}}}, function() "
                            f"return torch.{call} end)")
        python = call.replace("{", "[").replace("}", "]")
        with torch.autocast("cpu", dtype=getattr(torch, dtype)):
            expected[call] = eval("torch." + python, {"torch": torch, **tensors})
    results = exchange.run(trainhost)
    wrong = []
    for call, theirs in expected.items():
        result = results[call]
        ours = result.values[0] if result.values else None
        if ours is None or ours.dtype != theirs.dtype or not torch.allclose(ours, theirs, rtol=1e-2, atol=1e-2):
            wrong.append(f"{call}: {result.error or ours.dtype}, Python {theirs.dtype}")
    assert not wrong, "\n".join(wrong)


FLAGS = """
cudnn.enabled cudnn.benchmark cudnn.deterministic cudnn.allow_tf32 cudnn.fp32_precision cudnn.conv.fp32_precision
cudnn.rnn.fp32_precision mkldnn.enabled mkldnn.deterministic mkldnn.fp32_precision mkldnn.matmul.fp32_precision
mkldnn.conv.fp32_precision cuda.matmul.allow_tf32 cuda.matmul.fp32_precision
cuda.matmul.allow_fp16_reduced_precision_reduction cuda.matmul.allow_bf16_reduced_precision_reduction
cuda.matmul.allow_fp16_accumulation cuda.matmul.allow_bf16_reduced_precision_reduction_split_k
cuda.flash_sdp_enabled() cuda.mem_efficient_sdp_enabled() cuda.math_sdp_enabled() cuda.cudnn_sdp_enabled()
cuda.is_built() cuda.is_flash_attention_available() mkl.is_available() mkldnn.is_available() openmp.is_available()
mps.is_available() mps.is_built() nnpack.is_available() mha.get_fastpath_enabled() cpu.get_cpu_capability()
quantized.engine quantized.supported_engines fp32_precision miopen.immediate cudnn.is_available() kleidiai.is_available()
""".split()

STEPS = [  # what changes the flags, in Lua and Python alike but for the dots
    "", "torch.set_float32_matmul_precision('high')", "torch.set_float32_matmul_precision('medium')",
    "torch.backends.cudnn.benchmark = TRUE", "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    "torch.backends.cuda.matmul.allow_fp16_accumulation = TRUE", "torch.backends.cuda.enable_flash_sdp(FALSE)",
]

PYTHON_FLAGS = """
import json, sys, warnings
import torch
warnings.simplefilter("ignore")
TRUE, FALSE = True, False
def read(flag):
    try:
        return eval("torch.backends." + flag)
    except RuntimeError as e:
        return "error: " + str(e)[:40]
out = []
for step in json.loads(sys.argv[1]):
    exec(step)
    out.append([read(flag) for flag in json.loads(sys.argv[2])])
print(json.dumps(out))
"""


def test_flags_are_pythons(trainhost, tmp_path):
    import subprocess
    import sys
    done = subprocess.run([sys.executable, "-c", PYTHON_FLAGS, json.dumps(STEPS), json.dumps(FLAGS)],
                          capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    lua = "local TRUE, FALSE, torch, host = true, false, require 'torch', require 'host'\nlocal out = {}\n"
    for step in STEPS:
        lua += step + "\nout[#out + 1] = {}\n"
        for flag in FLAGS:
            lua += (f"do local ok, v = pcall(function() return torch.backends.{flag} end) "
                    f"if not ok then v = 'error: ' .. v.message:sub(1, 40) end table.insert(out[#out], v) end\n")
    ours = json.loads(trainhost.lua(lua + "print(host.json.encode(out))"))
    for step, mine, python in zip(STEPS, ours, theirs, strict=True):
        for flag, a, b in zip(FLAGS, mine, python, strict=True):
            assert a == b, f"after {step!r}: torch.backends.{flag} is {a!r}, in Python {b!r}"
