-- torch.nn.utils.parametrizations: parametrizations that are ready to use.
local module_class = require("torch.nn.module").class
local ops = require "native.ops"
local parametrize = require "torch.nn.utils.parametrize"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"
local output_dim = require "torch.nn.utils.output_dim"

local weight_norm <const>, norm_except_dim <const> = ops.find_any "aten::_weight_norm",
  ops.find_any "aten::norm_except_dim"

local parametrizations = {}

local MAPS <const> = {matrix_exp = true, cayley = true, householder = true}

local function tensor_of(module, name)
  local tensor = module[name]
  if not torch.is_tensor(tensor) then
    vm.raise("usage", ("Module '%s' has no parameter or buffer with name '%s'"):format(module, name))
  end
  return tensor
end

local parse_orthogonal = signature("nn.utils.parametrizations.orthogonal",
  "module, name='weight', orthogonal_map=nil, *, use_trivialization=true")

--- Keeps a matrix orthogonal (its columns, or its rows if it is wide).
---@param module Module
---@param name string 'weight'
---@param orthogonal_map string? 'matrix_exp', 'cayley' or 'householder'; nil is the first for square and complex
--- matrices, else the last
---@param use_trivialization boolean what is learned is the change from the first matrix, true
---@return Module module
---@example local layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
--- torch.allclose(layer.weight:t():matmul(layer.weight), torch.eye(3), {atol = 1e-5})  --> true
---@source torch.nn.utils.parametrizations.orthogonal
function parametrizations.orthogonal(...)
  local module, name, orthogonal_map, use_trivialization = parse_orthogonal(...)
  local weight = tensor_of(module, name)
  if weight:dim() < 2 then
    vm.raise("shape", ("Expected a matrix or batch of matrices. Got a tensor of %d dimensions."):format(weight:dim()))
  end
  if orthogonal_map == nil then
    local square = weight:size(-2) == weight:size(-1)
    orthogonal_map = (square or torch.is_complex(weight)) and "matrix_exp" or "householder"
  end
  if not MAPS[orthogonal_map] then
    vm.raise("usage", 'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: '
      .. tostring(orthogonal_map))
  end
  local Orthogonal = require "torch.nn.utils.orthogonal"
  return parametrize.register_parametrization(module, name, Orthogonal(weight, orthogonal_map, use_trivialization),
    {unsafe = true})
end

local WeightNorm = module_class("_WeightNorm")
--- The norm is over all dimensions but `dim`, over all if that is -1.
function WeightNorm:__init(dim) self.dim = dim end
--- The weight of magnitude and direction.
function WeightNorm:forward(g, v) return weight_norm(v, g, self.dim) end
--- Magnitude and direction of a weight.
function WeightNorm:right_inverse(weight) return norm_except_dim(weight, 2, self.dim), weight end

local parse_weight_norm = signature("nn.utils.parametrizations.weight_norm", "module, name='weight', dim=0")

--- Keeps a weight as magnitude (original0) and direction (original1) (Salimans and Kingma 2016).
---@param module Module
---@param name string 'weight'
---@param dim integer? the norm is over all other dimensions; nil over all, 0
---@return Module module
---@example nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)).parametrizations.weight.original0.shape  --> torch.Size([2, 1])
---@source torch.nn.utils.parametrizations.weight_norm
function parametrizations.weight_norm(...)
  local module, name, dim = parse_weight_norm(...)
  parametrize.register_parametrization(module, name, WeightNorm(dim or -1), {unsafe = true})
  -- State dicts of the old nn.utils.weight_norm.
  module:_register_load_state_dict_pre_hook(function(state, prefix)
    local g, v = prefix .. name .. "_g", prefix .. name .. "_v"
    if state[g] == nil or state[v] == nil then return end
    local original = prefix .. "parametrizations." .. name .. ".original"
    state[original .. 0], state[original .. 1] = state[g], state[v]
    state[g], state[v] = nil, nil
  end)
  return module
end

local parse_spectral_norm = signature("nn.utils.parametrizations.spectral_norm",
  "module, name='weight', n_power_iterations=1, eps=1e-12, dim=nil")

--- Divides a weight by its greatest singular value (Miyato 2018), which power iteration follows in training.
---@param module Module
---@param name string 'weight'
---@param n_power_iterations integer steps for each forward, 1
---@param eps number against division by 0, 1e-12
---@param dim integer? of the outputs; nil is 1 of transposed convolutions, else 0
---@return Module module
---@example nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)).weight.shape  --> torch.Size([3, 3])
---@source torch.nn.utils.parametrizations.spectral_norm
function parametrizations.spectral_norm(...)
  local module, name, n_power_iterations, eps, dim = parse_spectral_norm(...)
  local SpectralNorm = require "torch.nn.utils.spectral_parametrization"
  local made = SpectralNorm(tensor_of(module, name), n_power_iterations, dim or output_dim(module), eps)
  return parametrize.register_parametrization(module, name, made)
end

return require("host.namespace")("torch.nn.utils.parametrizations", {held = parametrizations})
