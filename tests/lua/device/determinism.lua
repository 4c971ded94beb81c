-- Determinism, precision and the flags of torch.backends.
local test = require "test"
local torch = require "torch"

local backends = torch.backends

test.case("use_deterministic_algorithms is set and told", function()
  test.equal(torch.are_deterministic_algorithms_enabled(), false)
  torch.use_deterministic_algorithms(true)
  test.equal({torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
    torch.get_deterministic_debug_mode()}, {true, false, 2})
  torch.use_deterministic_algorithms(true, {warn_only = true})
  test.equal({torch.is_deterministic_algorithms_warn_only_enabled(), torch.get_deterministic_debug_mode()}, {true, 1})
  torch.use_deterministic_algorithms(false)
  test.equal(torch.get_deterministic_debug_mode(), 0)
  test.raises("must be a boolean", torch.use_deterministic_algorithms, 1)
end)

test.case("an operator without a deterministic way raises, or warns", function()
  torch.use_deterministic_algorithms(true)
  local x = torch.ones(3)
  test.raises("does not have a deterministic implementation", function()
    return torch.ops.aten.put(x, torch.tensor {0}, torch.ones(1), false)
  end)
  torch.use_deterministic_algorithms(true, {warn_only = true})
  torch.ops.aten.put(x, torch.tensor {0}, torch.ones(1), false)
  torch.use_deterministic_algorithms(false)
end)

test.case("new memory is filled while it is on", function()
  torch.use_deterministic_algorithms(true)
  test.equal(torch.empty(2):isnan():all():item(), true)
  torch.use_deterministic_algorithms(false)
end)

test.case("set_deterministic_debug_mode takes words and numbers", function()
  for mode, number in pairs {default = 0, warn = 1, error = 2} do
    torch.set_deterministic_debug_mode(mode)
    test.equal(torch.get_deterministic_debug_mode(), number)
    torch.set_deterministic_debug_mode(number)
    test.equal(torch.get_deterministic_debug_mode(), number)
  end
  torch.set_deterministic_debug_mode("default")
  test.raises("expected one of `default`, `warn`, `error`, but got foo", torch.set_deterministic_debug_mode, "foo")
  test.raises("expected 0, 1, or 2, but got 3", torch.set_deterministic_debug_mode, 3)
  test.raises("debug_mode must be str or int", torch.set_deterministic_debug_mode, {})
end)

test.case("float32_matmul_precision, flush_denormal", function()
  test.equal(torch.get_float32_matmul_precision(), "highest")
  torch.set_float32_matmul_precision("high")
  test.equal(torch.get_float32_matmul_precision(), "high")
  test.equal(backends.cuda.matmul.allow_tf32, true)
  torch.set_float32_matmul_precision("highest")
  test.equal(backends.cuda.matmul.allow_tf32, false)
  if torch.set_flush_denormal(true) then
    test.equal((torch.tensor {1e-323}:to(torch.float64) * 1):item(), 0.0)
    torch.set_flush_denormal(false)
  end
end)

test.case("flags are read and set as attributes", function()
  for _, name in ipairs {"enabled", "benchmark", "deterministic"} do
    local before = backends.cudnn[name]
    backends.cudnn[name] = not before
    test.equal(backends.cudnn[name], not before)
    backends.cudnn[name] = before
  end
  backends.mkldnn.enabled = false
  test.equal(backends.mkldnn.enabled, false)
  backends.mkldnn.enabled = true
  backends.cuda.matmul.allow_fp16_reduced_precision_reduction = {false, false}
  test.equal(backends.cuda.matmul.allow_fp16_reduced_precision_reduction_split_k, false)
  backends.cuda.matmul.allow_fp16_reduced_precision_reduction = true
  test.equal(backends.cuda.matmul.allow_fp16_reduced_precision_reduction_split_k, true)
  backends.cuda.enable_math_sdp(false)
  test.equal(backends.cuda.math_sdp_enabled(), false)
  backends.cuda.enable_math_sdp(true)
  backends.mha.set_fastpath_enabled(false)
  test.equal(backends.mha.get_fastpath_enabled(), false)
  backends.mha.set_fastpath_enabled(true)
  test.raises("torch.backends.cudnn has no 'foo'", function() return backends.cudnn.foo end)
  test.raises("torch.backends.cudnn has no 'foo'", function() backends.cudnn.foo = 1 end)
  test.raises("expects a boolean, got number 3", function() backends.cudnn.enabled = 3 end)
  test.raises("foo is not a valid value for quantized engine", function() backends.quantized.engine = "foo" end)
  test.raises("cannot be set", function() backends.quantized.supported_engines = {} end)
end)

test.case("flags hold for a scope or a function", function()
  do
    local _ <close> = backends.mkldnn.flags {enabled = false}
    test.equal(backends.mkldnn.enabled, false)
  end
  test.equal(backends.mkldnn.enabled, true)
  test.equal(backends.cudnn.flags({enabled = true, benchmark = true}, function(x) return {x, backends.cudnn.benchmark} end,
    5), {5, true})
  test.equal({backends.cudnn.enabled, backends.cudnn.benchmark, backends.cudnn.deterministic}, {true, false, false})
end)

test.case("precision by backend and operator", function()
  backends.mkldnn.matmul.fp32_precision = "bf16"
  test.equal(backends.mkldnn.matmul.fp32_precision, "bf16")
  backends.mkldnn.matmul.fp32_precision = "ieee"
  test.raises("Unknown precision: foo", function() backends.mkldnn.conv.fp32_precision = "foo" end)
end)

test.case("what was built in", function()
  for _, f in ipairs {backends.mkl.is_available, backends.mkldnn.is_available, backends.openmp.is_available} do
    test.equal(type(f()), "boolean")
  end
  test.equal(torch.has_openmp, backends.openmp.is_available())
  test.equal(torch.has_spectral, true)
  test.truthy(torch.__config__.show():find("PyTorch built with", 1, true))
  test.truthy(torch.__config__.parallel_info():find("get_num_threads", 1, true))
  test.truthy(backends.cpu.get_cpu_capability():match("^%u+"))
end)

test.case("threads are set within reason", function()
  local threads = torch.get_num_threads()
  torch.set_num_threads(2)
  test.equal(torch.get_num_threads(), 2)
  torch.set_num_threads(threads)
  test.raises("set_num_threads expects a positive integer", torch.set_num_threads, 0)
  test.raises("set_num_threads expects a positive integer", torch.set_num_threads, 1 << 40)
end)
