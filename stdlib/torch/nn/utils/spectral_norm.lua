-- nn.utils.spectral_norm: the old spectral normalization, by a hook before each forward.
local autograd = require "native.autograd"
local native = require "native.model"
local normalize = require("torch.nn.functional").normalize
local output_dim = require "torch.nn.utils.output_dim"
local outputs_first = require "torch.nn.utils.outputs_first"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local norms = {}

-- The hook: a table with `name`, `dim`, `n_power_iterations` and `eps`.
local SpectralNorm = {__name = "SpectralNorm"}

local function as_matrix(weight, dim)
  weight = outputs_first(weight, dim)
  return weight:reshape(weight:size(0), -1)
end

local CONTIGUOUS <const> = {memory_format = torch.contiguous_format}

-- The vectors are written in place, and copied before use: backward through two forwards needs both.
local function weight_of(self, module, iterates)
  local weight, u, v = module[self.name .. "_orig"], module[self.name .. "_u"], module[self.name .. "_v"]
  local matrix = as_matrix(weight, self.dim)
  if iterates then
    local _ <close> = autograd.no_grad()
    for _ = 1, self.n_power_iterations do
      v = normalize(torch.mv(matrix:t(), u), 2.0, 0, self.eps, v)
      u = normalize(torch.mv(matrix, v), 2.0, 0, self.eps, u)
    end
    u, v = u:clone(CONTIGUOUS), v:clone(CONTIGUOUS)
  end
  return weight / torch.dot(u, torch.mv(matrix, v))
end

function SpectralNorm.__call(self, module) module[self.name] = weight_of(self, module, module.training) end

local function find(module, name)
  return module:_find_forward_pre_hook(function(hook) return getmetatable(hook) == SpectralNorm and hook.name == name end)
end

-- State dicts of the first version have the weight itself, and no `v`: it is solved for.
local function before_load(self, state, prefix, metadata, strict, missing)
  local version = (metadata.spectral_norm or {})[self.name .. ".version"]
  if version ~= nil and version >= 1 then return end
  local key = prefix .. self.name
  local orig, u = state[key .. "_orig"], state[key .. "_u"]
  if version == nil and orig ~= nil and u ~= nil and state[key .. "_v"] ~= nil and state[key] == nil then return end
  local absent = false
  for _, suffix in ipairs {"_orig", "", "_u"} do
    if state[key .. suffix] == nil then
      absent = true
      if strict then missing[#missing + 1] = key .. suffix end
    end
  end
  if absent then return end
  local _ <close> = autograd.no_grad()
  local sigma, matrix = (orig / state[key]):mean(), as_matrix(orig, self.dim)
  local v = torch.linalg.multi_dot({matrix:t():mm(matrix):pinverse(), matrix:t(), u:unsqueeze(1)}):squeeze(1)
  state[key] = nil
  state[key .. "_v"] = v:mul_(sigma / torch.dot(u, torch.mv(matrix, v)))
end

-- The version is in the metadata of state dicts.
local function after_state(self, metadata)
  local versions, key = metadata.spectral_norm or {}, self.name .. ".version"
  metadata.spectral_norm = versions
  if versions[key] ~= nil then
    vm.raise("usage", "Unexpected key in metadata['spectral_norm']: " .. key)
  end
  versions[key] = 1
end

local parse = signature("nn.utils.spectral_norm", "module, name='weight', n_power_iterations=1, eps=1e-12, dim=nil")

--- Divides a weight by its greatest singular value before each forward: the old way, see
--- nn.utils.parametrizations.spectral_norm.
---@param module Module
---@param name string 'weight'
---@param n_power_iterations integer steps for each forward in training, 1
---@param eps number against division by 0, 1e-12
---@param dim integer? of the outputs; nil is 1 of transposed convolutions, else 0
---@return Module module
---@example nn.utils.spectral_norm(nn.Linear(3, 2)).weight_u.shape  --> torch.Size([2])
---@source torch.nn.utils.spectral_norm
function norms.spectral_norm(...)
  local module, name, n_power_iterations, eps, dim = parse(...)
  if find(module, name) then
    vm.raise("usage", "Cannot register two spectral_norm hooks on the same parameter " .. name)
  end
  if n_power_iterations <= 0 then
    vm.raise("usage", ("Expected n_power_iterations to be positive, but got n_power_iterations=%d"):format(
      n_power_iterations))
  end
  local hook = setmetatable({name = name, dim = dim or output_dim(module), n_power_iterations = n_power_iterations,
    eps = eps}, SpectralNorm)
  local weight = module[name]
  if weight == nil then
    vm.raise("usage", ("`SpectralNorm` cannot be applied as parameter `%s` is None"):format(name))
  end
  local u, v
  do
    local _ <close> = autograd.no_grad()
    local matrix = as_matrix(weight, hook.dim)
    u = normalize(weight:new_empty(matrix:size(0)):normal_(0, 1), {dim = 0, eps = eps})
    v = normalize(weight:new_empty(matrix:size(1)):normal_(0, 1), {dim = 0, eps = eps})
  end
  module[name] = nil
  module:register_parameter(name .. "_orig", weight)
  module[name] = weight.data
  module:register_buffer(name .. "_u", u)
  module:register_buffer(name .. "_v", v)
  module:register_forward_pre_hook(hook)
  module:_register_state_dict_hook(function(_, _, _, metadata) after_state(hook, metadata) end)
  module:_register_load_state_dict_pre_hook(function(...) before_load(hook, ...) end)
  return module
end

local parse_remove = signature("nn.utils.remove_spectral_norm", "module, name='weight'")

--- Makes the weight a parameter again, with its present value.
---@param module Module
---@param name string 'weight'
---@return Module module
---@example nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(3, 2))).weight_u  --> nil
---@source torch.nn.utils.remove_spectral_norm
function norms.remove_spectral_norm(...)
  local module, name = parse_remove(...)
  local hook, remove = find(module, name)
  if not hook then vm.raise("usage", ("spectral_norm of '%s' not found in %s"):format(name, module)) end
  local weight
  do
    local _ <close> = autograd.no_grad()
    weight = weight_of(hook, module, false)
  end
  for _, suffix in ipairs {"", "_u", "_v", "_orig"} do module[name .. suffix] = nil end
  module:register_parameter(name, native.parameter(weight:detach(), true))
  remove()
  return module
end

return norms
