-- The module `torch`: operators by name, dtypes and devices, and the namespaces of PyTorch, loaded when they are
-- first used.
local ops = require "native.ops"
local model = require "native.model"
local native = require "native.tensor"
local vm = require "native.vm"

local torch = { __version__ = vm.versions().torch, is_tensor = model.is_tensor }

torch.pi, torch.e, torch.inf, torch.nan = math.pi, math.exp(1), math.huge, -(0 / 0)

-- Functions of the native module that PyTorch has under the same name.
for _, name in ipairs {
  "tensor", "as_tensor", "device", "Generator", "None", "slice", "set_printoptions", "get_printoptions",
  "set_default_dtype", "get_default_dtype", "no_grad", "enable_grad", "set_grad_enabled", "is_grad_enabled",
  "inference_mode", "is_inference_mode_enabled", "manual_seed", "seed", "initial_seed", "get_rng_state",
  "set_rng_state", "set_num_threads", "get_num_threads", "set_num_interop_threads", "get_num_interop_threads",
} do
  torch[name] = native[name]
end
for name, value in pairs(native) do
  if type(value) == "userdata" then torch[name] = value end -- dtypes, layouts, memory formats
end

-- A namespace whose operators are catalogued with a prefix: torch.linalg.norm is the operator linalg_norm.
local function operators_with(space, prefix)
  return setmetatable({}, {
    __index = function(t, name)
      local op = type(name) == "string" and ops.find(prefix .. name)
      if not op then
        vm.raise("usage", ("%s has no '%s'"):format(space, name), ops.nearest(prefix .. tostring(name)))
      end
      rawset(t, name, op)
      return op
    end,
  })
end

torch.linalg = operators_with("torch.linalg", "linalg_")
torch.fft = operators_with("torch.fft", "fft_")
torch.special = operators_with("torch.special", "special_")

torch.autograd = { backward = native.backward, grad = native.grad }

for name, method in pairs(require "torch.tensor") do native.methods[name] = method end

-- Namespaces that are files of their own, and the functions that one of them holds.
local namespaces = {
  nn = "torch.nn", optim = "torch.optim", utils = "torch.utils", datasets = "torch.datasets",
  ops = "torch.ops", cpu = "torch.cpu", cuda = "torch.cuda", accelerator = "torch.accelerator", backends = "torch.backends",
  amp = "torch.amp", random = "torch.random", __config__ = "torch.config",
}
local held = {
  einsum = "torch.functional", meshgrid = "torch.functional", block_diag = "torch.functional",
  cartesian_prod = "torch.functional", broadcast_tensors = "torch.functional", tensordot = "torch.functional",
  norm = "torch.functional", cdist = "torch.functional", stft = "torch.functional", unique = "torch.functional",
  unique_consecutive = "torch.functional", atleast_1d = "torch.functional", atleast_2d = "torch.functional",
  atleast_3d = "torch.functional",
  use_deterministic_algorithms = "torch.process", are_deterministic_algorithms_enabled = "torch.process",
  is_deterministic_algorithms_warn_only_enabled = "torch.process", set_deterministic_debug_mode = "torch.process",
  get_deterministic_debug_mode = "torch.process", set_float32_matmul_precision = "torch.process",
  get_float32_matmul_precision = "torch.process", set_flush_denormal = "torch.process",
  is_warn_always_enabled = "torch.process", set_warn_always = "torch.process", has_mkl = "torch.process",
  has_mkldnn = "torch.process", has_openmp = "torch.process", has_lapack = "torch.process",
  has_spectral = "torch.process", compiled_with_cxx11_abi = "torch.process", get_device_module = "torch.process",
  Stream = "torch.streams", Event = "torch.streams",
  save = "torch.serialization", load = "torch.serialization", load_metadata = "torch.serialization",
}

for _, name in ipairs {
  "autocast", "is_autocast_enabled", "set_autocast_enabled", "get_autocast_dtype", "set_autocast_dtype",
  "clear_autocast_cache", "is_autocast_cache_enabled", "set_autocast_cache_enabled", "autocast_increment_nesting",
  "autocast_decrement_nesting", "is_autocast_cpu_enabled", "is_autocast_ipu_enabled", "is_autocast_xla_enabled",
  "set_autocast_cpu_enabled", "set_autocast_ipu_enabled", "set_autocast_xla_enabled", "get_autocast_cpu_dtype",
  "get_autocast_gpu_dtype", "get_autocast_ipu_dtype", "get_autocast_xla_dtype", "set_autocast_cpu_dtype",
  "set_autocast_gpu_dtype", "set_autocast_ipu_dtype", "set_autocast_xla_dtype",
} do
  held[name] = "torch.amp"
end

return setmetatable(torch, {
  __index = function(t, name)
    local value
    if namespaces[name] then
      value = require(namespaces[name])
    elseif held[name] then
      value = require(held[name])[name]
      if value == false then return false end
    else
      value = type(name) == "string" and ops.find(name)
    end
    if not value then
      vm.raise("usage", ("torch has no '%s'"):format(tostring(name)), ops.nearest(tostring(name)))
    end
    rawset(t, name, value)
    return value
  end,
})
