-- torch.backends: what was built in, and flags of the libraries below, as in torch/backends/*.
local context = require "native.context"
local device = require "native.device"
local mode = require "torch.mode"
local named = require "torch.named"
local ordered = require "host.ordered"
local vm = require "native.vm"

-- A namespace with attributes that are read and set in LibTorch: {name = {get, set}}.
local function namespace(name, attributes, held)
  local function attribute(key)
    if attributes[key] then return attributes[key] end
    local known = ordered.keys(attributes)
    for held_name in pairs(held or {}) do known[#known + 1] = held_name end
    table.sort(known)
    vm.raise("usage", ("%s has no '%s'"):format(name, tostring(key)), "it has " .. table.concat(known, ", "))
  end
  return setmetatable(held or {}, {
    __name = name,
    __index = function(_, key) return attribute(key)[1]() end,
    __newindex = function(_, key, value)
      local set = attribute(key)[2]
      if not set then vm.raise("usage", ("%s.%s cannot be set"):format(name, key)) end
      set(value)
    end,
  })
end

local function flag(id, name)
  return {function() return context.get(id) end, function(value) context.set(id, value, name) end}
end

local function precision(backend, operator)
  return {
    function() return context.fp32_precision(backend, operator) end,
    function(value) context.set_fp32_precision(backend, operator, value) end,
  }
end

local function only_precision(name, backend, operator)
  return namespace(name, {fp32_precision = precision(backend, operator)})
end

-- set_flags(...) sets those that are given and returns what they were; flags(...) does so until a scope ends or while
-- a function runs. `order`: the attributes in the order of the arguments; `spec`: the defaults of flags.
local function add_flags(space, order, spec, name)
  local attribute = {}
  for i, key in ipairs(order) do attribute[i] = key end

  local function set_flags(...)
    local before = {}
    for i, key in ipairs(attribute) do
      before[i] = space[key]
      local value = select(i, ...)
      if value ~= nil then space[key] = value end
    end
    return table.unpack(before, 1, #attribute)
  end

  rawset(space, "set_flags", set_flags)
  rawset(space, "flags", mode(name .. ".flags", spec, function(...)
    local before = table.pack(set_flags(...))
    return function() set_flags(table.unpack(before, 1, before.n)) end
  end))
  return space
end

local function is(name) return function() return context.has(name) end end
local function never() return false end

local backends = {}

backends.cudnn = add_flags(namespace("torch.backends.cudnn", {
  enabled = flag("cudnn_enabled", "torch.backends.cudnn.enabled"),
  benchmark = flag("cudnn_benchmark", "torch.backends.cudnn.benchmark"),
  deterministic = flag("cudnn_deterministic", "torch.backends.cudnn.deterministic"),
  allow_tf32 = flag("cudnn_allow_tf32", "torch.backends.cudnn.allow_tf32"),
  benchmark_limit = {
    function() return context.has("cudnn") and context.benchmark_limit() or nil end,
    function(value) if context.has "cudnn" then context.set_benchmark_limit(value) end end,
  },
  fp32_precision = precision("cuda", "all"),
}, {
  conv = only_precision("torch.backends.cudnn.conv", "cuda", "conv"),
  rnn = only_precision("torch.backends.cudnn.rnn", "cuda", "rnn"),
  is_available = function() return device.is_built("cuda") and context.has("cudnn") end,
  version = context.cudnn_version,
  --- Can cuDNN compute with this tensor?
  ---@param tensor Tensor
  is_acceptable = function(tensor)
    local dtype = tostring(tensor.dtype)
    return context.get("cudnn_enabled") and tensor.is_cuda and context.has("cudnn")
      and (dtype == "torch.float16" or dtype == "torch.float32" or dtype == "torch.float64")
  end,
}), {"enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32", "fp32_precision"},
  "enabled=false, benchmark=false, benchmark_limit=10, deterministic=false, allow_tf32=true, fp32_precision='none'",
  "torch.backends.cudnn")

backends.mkldnn = add_flags(namespace("torch.backends.mkldnn", {
  enabled = flag("mkldnn_enabled", "torch.backends.mkldnn.enabled"),
  deterministic = flag("mkldnn_deterministic", "torch.backends.mkldnn.deterministic"),
  -- For Intel's GPUs, which this LibTorch does not have: it is read as nil, and LibTorch warns who sets it.
  allow_tf32 = {function() return nil end, flag("mkldnn_allow_tf32", "torch.backends.mkldnn.allow_tf32")[2]},
  fp32_precision = precision("mkldnn", "all"),
}, {
  matmul = only_precision("torch.backends.mkldnn.matmul", "mkldnn", "matmul"),
  conv = only_precision("torch.backends.mkldnn.conv", "mkldnn", "conv"),
  rnn = only_precision("torch.backends.mkldnn.rnn", "mkldnn", "rnn"),
  is_available = is "mkldnn", is_acl_available = never,
}), {"enabled", "deterministic", "allow_tf32", "fp32_precision"},
  "enabled=false, deterministic=false, allow_tf32=true, fp32_precision='none'", "torch.backends.mkldnn")

backends.nnpack = add_flags(namespace("torch.backends.nnpack", {
  enabled = flag("nnpack_enabled", "torch.backends.nnpack.enabled"),
}, {is_available = function() return context.show_config():find("NNPACK is enabled", 1, true) ~= nil end}),
  {"enabled"}, "enabled=false", "torch.backends.nnpack")

-- --- CUDA's matrix products and attention

-- true, or {allow_reduced_precision, allow_splitk}
local function set_reduction(dtype, name)
  return function(value)
    local list = type(value) == "table" and value or {value}
    if #list < 1 then vm.raise("usage", name .. " expects at least one boolean argument") end
    if #list > 2 then vm.raise("usage", name .. " expects at most two boolean arguments") end
    for i = 1, #list do
      if type(list[i]) ~= "boolean" then
        vm.raise("usage", ("%s expects a bool or a list of bools, but got %s"):format(name, vm.describe(list[i])))
      end
    end
    context.set_reduction(dtype, list[1], list[2] ~= false)
  end
end

local matmul = {
  allow_tf32 = flag("cublas_allow_tf32", "torch.backends.cuda.matmul.allow_tf32"),
  allow_fp16_accumulation = flag("cublas_fp16_accumulation", "torch.backends.cuda.matmul.allow_fp16_accumulation"),
  fp32_precision = precision("cuda", "matmul"),
}
for _, dtype in ipairs {"fp16", "bf16"} do
  local name = ("allow_%s_reduced_precision_reduction"):format(dtype)
  matmul[name] = {function() return (context.reduction(dtype)) end, set_reduction(dtype, name)}
  matmul[name .. "_split_k"] = {function() return (select(2, context.reduction(dtype))) end}
end

backends.cuda = {
  is_built = function() return device.is_built("cuda") end,
  matmul = namespace("torch.backends.cuda.matmul", matmul),
  preferred_linalg_library = context.preferred_linalg, preferred_blas_library = context.preferred_blas,
  is_flash_attention_available = function() return device.count("cuda") > 0 end,
  is_ck_sdpa_available = never,
}
for _, kind in ipairs {"flash", "mem_efficient", "math", "cudnn"} do
  --- Kernels of scaled dot product attention that may be taken: enable_flash_sdp(false), flash_sdp_enabled().
  backends.cuda[kind .. "_sdp_enabled"] = function() return context.get(kind .. "_sdp") end
  local name <const> = ("torch.backends.cuda.enable_%s_sdp"):format(kind)
  backends.cuda["enable_" .. kind .. "_sdp"] = named(name, "enabled", function(enabled)
    context.set(kind .. "_sdp", enabled, name)
  end)
end

---@param enabled boolean
backends.cuda.allow_fp16_bf16_reduction_math_sdp = named("torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp",
  "enabled", function(enabled)
    context.set("fp16_bf16_reduction_math_sdp", enabled, "torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp")
  end)
function backends.cuda.fp16_bf16_reduction_math_sdp_allowed() return context.get "fp16_bf16_reduction_math_sdp" end

-- The plans of CUDA's Fourier transforms on the current device.
local function plans(name) return require("native.ops").find_any("aten::_cufft_" .. name) end
local function of_current(name) return plans(name)(device.current("cuda")) end

backends.cuda.cufft_plan_cache = namespace("torch.backends.cuda.cufft_plan_cache", {
  size = {function() return of_current("get_plan_cache_size") end},
  max_size = {
    function() return of_current("get_plan_cache_max_size") end,
    function(value) plans("set_plan_cache_max_size")(device.current("cuda"), value) end,
  },
}, {
  --- Forgets the plans.
  clear = function() of_current("clear_plan_cache") end,
})

local KERNELS <const> = {"flash", "math", "mem_efficient", "cudnn"}

--- Only these kernels of scaled dot product attention until the scope ends, or while a function runs.
---@param enable_flash? boolean true
---@param enable_math? boolean true
---@param enable_mem_efficient? boolean true
---@param enable_cudnn? boolean true
backends.cuda.sdp_kernel = mode("torch.backends.cuda.sdp_kernel",
  "enable_flash=true, enable_math=true, enable_mem_efficient=true, enable_cudnn=true", function(...)
    local before = {}
    local function set(i, enabled) backends.cuda[("enable_%s_sdp"):format(KERNELS[i])](enabled) end
    for i, kind in ipairs(KERNELS) do
      before[i] = context.get(kind .. "_sdp")
      set(i, (select(i, ...)))
    end
    return function()
      for i, enabled in ipairs(before) do set(i, enabled) end
    end
  end)

-- --- Small ones

backends.mkl = {is_available = is "mkl"}
backends.openmp = {is_available = is "openmp"}
backends.mps = {is_available = is "mps", is_built = is "mps"}
backends.kleidiai = {is_available = is "kleidiai"}
backends.xnnpack = {is_available = is "xnnpack"}
backends.cusparselt = {is_available = never, version = function() return nil end,
  --- nil: cuSPARSELt is not there.
  get_max_alg_id = function() return nil end}
backends.opt_einsum = {is_available = never}
backends.cpu = {get_cpu_capability = context.cpu_capability}
backends.miopen = namespace("torch.backends.miopen", {
  immediate = flag("miopen_immediate", "torch.backends.miopen.immediate"),
})
backends.quantized = namespace("torch.backends.quantized", {
  engine = {context.engine, context.set_engine}, supported_engines = {context.engines},
})

local fastpath = true

backends.mha = {
  --- May nn.MultiheadAttention and the Transformer layers take one fused operator in evaluation?
  get_fastpath_enabled = function() return fastpath end,
  set_fastpath_enabled = named("torch.backends.mha.set_fastpath_enabled", "value", function(value)
    if type(value) ~= "boolean" then
      vm.raise("usage", "torch.backends.mha.set_fastpath_enabled expects a boolean, got " .. vm.describe(value))
    end
    fastpath = value
  end),
}

return namespace("torch.backends", {fp32_precision = precision("generic", "all")}, backends)
