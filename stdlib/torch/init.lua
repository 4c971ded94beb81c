-- The module `torch`: operators by name, dtypes and devices, and the namespaces of PyTorch, loaded when they are
-- first used.
local ops = require "native.ops"
local keywords = require "host.keywords"
local namespace = require "host.namespace"
local native = require "native.tensor"
local autograd = require "native.autograd"
local vm = require "native.vm"

local torch = { __version__ = vm.versions().torch, is_tensor = native.is_tensor }

torch.pi, torch.e, torch.inf, torch.nan = math.pi, math.exp(1), math.huge, -(0 / 0)

-- Functions of the native module that PyTorch has under the same name.
for _, name in ipairs {
  "tensor", "as_tensor", "scope", "device", "Generator", "None", "slice", "set_printoptions", "get_printoptions",
  "set_default_dtype", "get_default_dtype", "manual_seed", "seed", "initial_seed", "get_rng_state",
  "set_rng_state", "set_num_threads", "get_num_threads", "set_num_interop_threads", "get_num_interop_threads",
  "complex", "Size", "finfo", "iinfo", "set_default_device", "get_default_device",
} do
  torch[name] = native[name]
end
for _, name in ipairs {
  "no_grad", "enable_grad", "set_grad_enabled", "is_grad_enabled", "inference_mode", "is_inference_mode_enabled",
  "set_anomaly_enabled", "is_anomaly_enabled", "is_anomaly_check_nan_enabled",
} do
  torch[name] = autograd[name]
end
for name, value in pairs(native) do
  if type(value) == "userdata" then torch[name] = value end -- dtypes, layouts, memory formats
end

local function operator_names(accepts)
  local names = {}
  for _, name in ipairs(ops.names()) do
    local short = accepts(name)
    if short then names[#names + 1] = short end
  end
  return names
end

-- A namespace whose operators are catalogued with a prefix: torch.linalg.norm is the operator linalg_norm.
local function operators_with(space, prefix, files)
  local function names() return operator_names(function(name) return name:match("^" .. prefix .. "(.+)$") end) end
  return namespace(space, {
    files = files, names = names,
    find = function(name) return ops.find(prefix .. name) end,
    hint = function(name) return keywords.did_you_mean(name, names()) end,
  })
end

torch.linalg = operators_with("torch.linalg", "linalg_", {["torch.errors"] = "LinAlgError"})
torch.fft = operators_with("torch.fft", "fft_")
torch.special = operators_with("torch.special", "special_")

for name, method in pairs(require "torch.tensor") do native.methods[name] = method end

-- Namespaces that are files of their own, and the functions that files hold.
local modules = {
  autograd = "torch.autograd", func = "torch.func",
  nn = "torch.nn", optim = "torch.optim", utils = "torch.utils", datasets = "torch.datasets", signal = "torch.signal",
  masked = "torch.masked", sparse = "torch.sparse", nested = "torch.nested", ops = "torch.ops",
  serialization = "torch.serialization",
  cpu = "torch.cpu", cuda = "torch.cuda", accelerator = "torch.accelerator", backends = "torch.backends",
  amp = "torch.amp", random = "torch.random", version = "torch.version", __config__ = "torch.config",
}
local files = {
  ["torch.functional"] = "einsum meshgrid block_diag cartesian_prod broadcast_tensors chain_matmul tensordot norm cdist stft "
    .. "atleast_1d atleast_2d atleast_3d",
  ["torch.distinct"] = "unique unique_consecutive",
  ["torch.shapes"] = "broadcast_shapes split unravel_index nonzero",
  ["torch.decompositions"] = "lu svd_lowrank pca_lowrank",
  ["torch.lobpcg"] = "lobpcg",
  ["torch.control_flow"] = "cond while_loop",
  ["torch.removed"] = "matrix_rank solve lstsq eig symeig",
  ["torch.arrays"] = "asarray frombuffer typename is_storage set_default_tensor_type",
  ["torch.sparse_factories"] = "sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor "
    .. "sparse_compressed_tensor",
  ["torch.serialization"] = "save load load_metadata",
  ["torch.func"] = "vmap",
  ["torch.process"] = "use_deterministic_algorithms are_deterministic_algorithms_enabled "
    .. "is_deterministic_algorithms_warn_only_enabled set_deterministic_debug_mode get_deterministic_debug_mode "
    .. "set_float32_matmul_precision get_float32_matmul_precision set_flush_denormal is_warn_always_enabled "
    .. "set_warn_always has_mkl has_mkldnn has_openmp has_lapack has_spectral compiled_with_cxx11_abi get_device_module",
  ["torch.streams"] = "Stream Event",
  ["torch.grad_scaler"] = "GradScaler",
  ["torch.storage"] = "UntypedStorage",
  ["torch.errors"] = "OutOfMemoryError AcceleratorError",
  ["torch.tensor_types"] = "Tensor BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor "
    .. "IntTensor LongTensor ShortTensor",
  ["torch.amp"] = "autocast is_autocast_enabled set_autocast_enabled get_autocast_dtype set_autocast_dtype "
    .. "clear_autocast_cache is_autocast_cache_enabled set_autocast_cache_enabled autocast_increment_nesting "
    .. "autocast_decrement_nesting is_autocast_cpu_enabled is_autocast_ipu_enabled is_autocast_xla_enabled "
    .. "set_autocast_cpu_enabled set_autocast_ipu_enabled set_autocast_xla_enabled get_autocast_cpu_dtype "
    .. "get_autocast_gpu_dtype get_autocast_ipu_dtype get_autocast_xla_dtype set_autocast_cpu_dtype "
    .. "set_autocast_gpu_dtype set_autocast_ipu_dtype set_autocast_xla_dtype",
}
-- Operators under another name.
local aliases = { dsmm = "mm", spmm = "mm", hsmm = "hspmm", saddmm = "sspaddmm" }
torch.newaxis = torch.None

-- The nearest operators, but for a name that is no operator and nearer.
local function hint(name)
  local others = {}
  for key in next, torch do others[#others + 1] = tostring(key) end
  for key in pairs(modules) do others[#others + 1] = key end
  for _, list in pairs(files) do
    for key in list:gmatch("%S+") do others[#others + 1] = key end
  end
  table.sort(others)
  local near, of_operators = vm.nearest(name, others, 1)[1], ops.nearest(name)
  if not near then return of_operators end
  local names = of_operators and {of_operators:match("'([^']*)'")} or {}
  names[#names + 1] = near
  return vm.nearest(name, names, 1)[1] == near and keywords.did_you_mean(name, {near}) or of_operators
end

return namespace("torch", {
  held = torch, modules = modules, files = files,
  find = function(name) return ops.find(aliases[name] or name) end,
  hint = hint,
  absent = {
    mps = "Apple's GPUs: this host is built for the CPU and CUDA", xpu = "Intel's GPUs: this host is built for the CPU and CUDA",
    mtia = "this host is built for the CPU and CUDA", compile = "Python's compiler",
    jit = "TorchScript: Python's own way to write models down",
    dtype = "a class for type checks: x.dtype is a value such as torch.float32",
    layout = "a class for type checks: x.layout is a value such as torch.strided",
    memory_format = "a class for type checks: torch.channels_last is a value of it",
  },
  -- Operators, those of torch.linalg and the like there, and the aliases.
  names = function()
    local names = operator_names(function(name)
      local elsewhere = name == "repeat" or name:find("^linalg_") or name:find("^fft_") or name:find("^special_")
      return not elsewhere and name
    end)
    for name in pairs(aliases) do names[#names + 1] = name end
    return names
  end,
})
