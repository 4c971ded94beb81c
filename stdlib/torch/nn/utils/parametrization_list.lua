-- The modules that compute one parameter of another module, and what they compute it from.
local ModuleList = require "torch.nn.module_list"
local autograd = require "native.autograd"
local module = require "torch.nn.module"
local native = require "native.model"
local register = require "torch.nn.utils.register_tensor"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local fields <const>, children_of <const> = native.fields, native.children_of

---@class ParametrizationList : ModuleList
---@field original Tensor what the first parametrization gets, if that is one tensor
---@field is_tensor boolean
---@field ntensors integer
---@field unsafe boolean
local ParametrizationList = module.class("ParametrizationList", ModuleList)
local parse = signature("ParametrizationList", "modules, original, unsafe=false")

local function fail(message, ...) vm.raise("usage", message:format(...)) end


-- A module that cannot go back says so by `_not_invertible`.
local function can_go_back(each) return each.right_inverse ~= nil and not each._not_invertible end

local function check_one(original, new)
  if original.dtype ~= new.dtype then
    fail("When `right_inverse` outputs one tensor, it may not change the dtype.\noriginal.dtype: %s\n"
      .. "right_inverse(original).dtype: %s", original.dtype, new.dtype)
  end
  if original.device ~= new.device then
    fail("When `right_inverse` outputs one tensor, it may not change the device.\noriginal.device: %s\n"
      .. "right_inverse(original).device: %s", original.device, new.device)
  end
end

local function register_several(self, original, all)
  for i, tensor in ipairs(all) do
    if not torch.is_tensor(tensor) then
      fail("'right_inverse' must return a Tensor or a reference-type opaque. Got element %d of the sequence with type %s.",
        i - 1, vm.describe(tensor))
    end
    if native.is_parameter(original) then tensor = native.parameter(tensor, original.requires_grad)
    else tensor:requires_grad_(original.requires_grad) end
    register(self, "original" .. i - 1, tensor)
  end
end

-- What `right_inverse` gave, as one tensor or a list of tensors.
local function one_or_list(first, ...)
  if select("#", ...) > 0 then return {first, ...} end
  return first
end

---@param modules Module[] the parametrizations
---@param original Tensor the parameter or buffer
---@param unsafe boolean dtype and shape may change, false
---@example nn.utils.parametrize.ParametrizationList({nn.ReLU()}, torch.tensor{-1., 2.})()  --> tensor([0., 2.])
---@source torch.nn.utils.parametrize.ParametrizationList
function ParametrizationList:__init(...)
  local modules, original, unsafe = parse(...)
  if #modules == 0 then fail("ParametrizationList requires one or more modules.") end
  ModuleList.__init(self, modules)
  self.unsafe = unsafe
  local shape, dtype, new = original.shape, original.dtype, original
  do
    local _ <close> = autograd.no_grad()
    for i = #modules, 1, -1 do
      if can_go_back(modules[i]) then new = one_or_list(modules[i]:right_inverse(new)) end
    end
  end
  self.is_tensor = torch.is_tensor(new)
  if not self.is_tensor and type(new) ~= "table" then
    fail("'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got %s", vm.describe(new))
  end
  self.ntensors = self.is_tensor and 1 or #new
  if self.is_tensor then
    check_one(original, new)
    local _ <close> = autograd.no_grad()
    original:set_(new)  -- the same tensor: the optimizer knows it
    register(self, "original", original)
  else
    register_several(self, original, new)
  end
  if unsafe then return end
  local result = self()
  if not torch.is_tensor(result) then fail("A parametrization must return a tensor. Got %s.", vm.describe(result)) end
  if result.dtype ~= dtype then
    fail("Registering a parametrization may not change the dtype of the tensor, unless `unsafe` flag is enabled.\n"
      .. "unparametrized dtype: %s\nparametrized dtype: %s", dtype, result.dtype)
  end
  if tostring(result.shape) ~= tostring(shape) then
    fail("Registering a parametrization may not change the shape of the tensor, unless `unsafe` flag is enabled.\n"
      .. "unparametrized shape: %s\nparametrized shape: %s", shape, result.shape)
  end
end

--- Sets the originals so that the parametrizations give the value, as far as they can go back.
---@param value Tensor
---@example local layer = nn.utils.parametrizations.weight_norm(nn.Linear(1, 1))
--- layer.parametrizations.weight:right_inverse(torch.tensor{{3.}})
--- layer.weight:item()  --> 3.0
function ParametrizationList:right_inverse(value)
  local _ <close> = autograd.no_grad()
  local modules = children_of(self)
  for i = #modules, 1, -1 do
    if modules[i].right_inverse == nil then
      fail("parametrization %s does not implement right_inverse.", native.class_of(modules[i]).__name)
    end
    value = one_or_list(modules[i]:right_inverse(value))
  end
  if self.is_tensor then
    if not torch.is_tensor(value) then fail("`right_inverse` should return a tensor. Got %s", vm.describe(value)) end
    if value.dtype ~= self.original.dtype then
      fail("The tensor returned by `right_inverse` has dtype %s while `original` has dtype %s", value.dtype,
        self.original.dtype)
    end
    self.original:set_(value)
    return
  end
  if type(value) ~= "table" then
    fail("'right_inverse' must return a sequence of tensors. Got %s.", vm.describe(value))
  end
  if #value ~= self.ntensors then
    fail("'right_inverse' must return a sequence of tensors of length %d. Got a sequence of length %d.", self.ntensors,
      #value)
  end
  for i, tensor in ipairs(value) do
    local original = self["original" .. i - 1]
    if tensor.dtype ~= original.dtype then
      fail("Tensor %d returned by `right_inverse` has dtype %s while `original%d` has dtype %s", i - 1, tensor.dtype,
        i - 1, original.dtype)
    end
    original:set_(tensor)
  end
end

---@return Tensor
function ParametrizationList:forward()
  local f, modules = fields(self), children_of(self)
  local x
  if f.is_tensor then x = modules[1](f.original)
  elseif f.ntensors == 2 then x = modules[1](f.original0, f.original1)
  else
    local originals = {}
    for i = 1, f.ntensors do originals[i] = f["original" .. i - 1] end
    x = modules[1](table.unpack(originals, 1, f.ntensors))
  end
  for i = 2, #modules do x = modules[i](x) end
  return x
end

return ParametrizationList
