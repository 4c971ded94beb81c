-- The module `torch`: operators by name, dtypes and devices, and the namespaces of PyTorch, loaded when they are
-- first used.
local ops = require "native.ops"
local model = require "native.model"
local native = require "native.tensor"
local autograd = require "native.autograd"
local vm = require "native.vm"

local torch = { __version__ = vm.versions().torch, is_tensor = model.is_tensor }

torch.pi, torch.e, torch.inf, torch.nan = math.pi, math.exp(1), math.huge, -(0 / 0)

-- Functions of the native module that PyTorch has under the same name.
for _, name in ipairs {
  "tensor", "as_tensor", "device", "Generator", "None", "slice", "set_printoptions", "get_printoptions",
  "set_default_dtype", "get_default_dtype", "manual_seed", "seed", "initial_seed", "get_rng_state",
  "set_rng_state", "set_num_threads", "get_num_threads", "set_num_interop_threads", "get_num_interop_threads",
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
    __names = function()
      local names = {}
      for _, name in ipairs(ops.names()) do
        if name:sub(1, #prefix) == prefix then names[#names + 1] = name:sub(#prefix + 1) end
      end
      return names
    end,
  })
end

torch.linalg = operators_with("torch.linalg", "linalg_")
torch.fft = operators_with("torch.fft", "fft_")
torch.special = operators_with("torch.special", "special_")

torch.cuda = {
  is_available = native.cuda_is_available,
  device_count = native.cuda_device_count,
  synchronize = native.cuda_synchronize,
}

for name, method in pairs(require "torch.tensor") do native.methods[name] = method end

-- Namespaces that are files of their own, and the functions that one of them holds.
local namespaces = {
  autograd = "torch.autograd", func = "torch.func",
  nn = "torch.nn", optim = "torch.optim", utils = "torch.utils", datasets = "torch.datasets",
  ops = "torch.ops",
}
local held = {
  einsum = "torch.functional", meshgrid = "torch.functional", block_diag = "torch.functional",
  cartesian_prod = "torch.functional", broadcast_tensors = "torch.functional", tensordot = "torch.functional",
  norm = "torch.functional", cdist = "torch.functional", stft = "torch.functional", unique = "torch.functional",
  unique_consecutive = "torch.functional", atleast_1d = "torch.functional", atleast_2d = "torch.functional",
  atleast_3d = "torch.functional",
  vmap = "torch.func",
  save = "torch.serialization", load = "torch.serialization", load_metadata = "torch.serialization",
}

return setmetatable(torch, {
  __index = function(t, name)
    local value
    if namespaces[name] then
      value = require(namespaces[name])
    elseif held[name] then
      value = require(held[name])[name]
    else
      value = type(name) == "string" and ops.find(name)
    end
    if not value then
      vm.raise("usage", ("torch has no '%s'"):format(tostring(name)), ops.nearest(tostring(name)))
    end
    rawset(t, name, value)
    return value
  end,
  -- What completion and help list: all that __index finds, the operators of torch.linalg and the like there.
  __names = function()
    local names = {}
    for _, name in ipairs(ops.names()) do
      if name ~= "repeat" and not name:find("^linalg_") and not name:find("^fft_") and not name:find("^special_") then
        names[#names + 1] = name
      end
    end
    for name in pairs(namespaces) do names[#names + 1] = name end
    for name in pairs(held) do names[#names + 1] = name end
    return names
  end,
})
