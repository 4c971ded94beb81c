-- The methods of nn.utils.prune: which elements or channels go.
local Base = require "torch.nn.utils.pruning_method"
local signature = require "torch.signature"
local text = require "torch.python_text"
local torch = require "torch"
local vm = require "native.vm"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

-- A share (a float) or a count (an integer).
local function check_amount(amount)
  if type(amount) ~= "number" then
    fail("Invalid type for amount: %s. Must be int or float.", tostring(amount))
  end
  if amount < 0 or (math.type(amount) == "float" and not (amount <= 1.0)) then
    fail("amount=%s should either be a float in the range [0, 1] or a non-negative integer", text.value(amount))
  end
  return amount
end

-- As Python rounds: halves to the even neighbour.
local function round(x)
  local floor = math.floor(x)
  local rest = x - floor
  if rest > 0.5 or (rest == 0.5 and floor % 2 == 1) then floor = floor + 1 end
  return math.tointeger(floor)
end

local function count_of(amount, size)
  local count = math.type(amount) == "integer" and amount or round(amount * size)
  if count > size then
    fail("amount=%d should be smaller than the number of parameters to prune=%d", count, size)
  end
  return count
end

local function check_structured(t, dim)
  if t:dim() <= 1 then
    fail("Structured pruning can only be applied to multidimensional tensors. Found tensor of shape %s with %d dims",
      t.shape, t:dim())
  end
  if dim >= t:dim() then fail("Invalid index %d for tensor of size %s", dim, t.shape) end
end

-- Zeros in a copy of the mask, at flat places.
local function without(mask, places)
  mask = mask:clone({memory_format = torch.contiguous_format})
  if places ~= nil then mask:view(-1):index_fill_(0, places, 0) end
  return mask
end

-- Ones in the channels of these places, times the mask so far.
local function channels(t, dim, places, mask)
  local own = torch.zeros_like(t):index_fill_(dim, places, 1)
  return own:mul_(mask:to(own.dtype))
end

local methods = {}

local function define(name, kind)
  local class = Base.class(name)
  class.PRUNING_TYPE = kind
  methods[name] = class
  return class
end

local Identity = define("Identity", "unstructured")

--- Takes nothing.
---@example nn.utils.prune.Identity():prune(torch.ones(2))  --> tensor([1., 1.])
---@source torch.nn.utils.prune.Identity
function Identity:__init() end
--- Prunes nothing.
---@example nn.utils.prune.Identity():compute_mask(torch.rand(2), torch.ones(2))  --> tensor([1., 1.])
function Identity:compute_mask(_, default_mask) return default_mask end

local RandomUnstructured = define("RandomUnstructured", "unstructured")
local parse_amount = signature("prune.RandomUnstructured", "amount")

--- Prunes elements at random.
---@param amount integer|number how many, or a share in [0, 1]
---@example nn.utils.prune.RandomUnstructured(1):prune(torch.ones(4)):sum()  --> tensor(3.)
---@source torch.nn.utils.prune.RandomUnstructured
function RandomUnstructured:__init(...) self.amount = check_amount(parse_amount(...)) end
--- A mask without random elements.
---@example nn.utils.prune.RandomUnstructured(2):compute_mask(torch.rand(2), torch.ones(2))  --> tensor([0., 0.])
function RandomUnstructured:compute_mask(t, default_mask)
  local count = count_of(self.amount, t:numel())
  if count == 0 then return without(default_mask) end
  local _, places = torch.topk(torch.rand_like(t):view(-1), count)
  return without(default_mask, places)
end

local L1Unstructured = define("L1Unstructured", "unstructured")

--- Prunes the elements with the least absolute values.
---@param amount integer|number how many, or a share in [0, 1]
---@example nn.utils.prune.L1Unstructured(1):prune(torch.tensor{3., -1., 2.})  --> tensor([3., -0., 2.])
---@source torch.nn.utils.prune.L1Unstructured
function L1Unstructured:__init(...) self.amount = check_amount(parse_amount(...)) end
--- A mask without the least elements.
---@example nn.utils.prune.L1Unstructured(1):compute_mask(torch.tensor{3., 1.}, torch.ones(2))  --> tensor([1., 0.])
function L1Unstructured:compute_mask(t, default_mask)
  local count = count_of(self.amount, t:numel())
  if count == 0 then return without(default_mask) end
  local _, places = torch.topk(torch.abs(t):view(-1), count, {largest = false})
  return without(default_mask, places)
end

local RandomStructured = define("RandomStructured", "structured")
local parse_random = signature("prune.RandomStructured", "amount, dim=-1")

--- Prunes channels at random.
---@param amount integer|number how many, or a share in [0, 1]
---@param dim integer of the channels, -1
---@example nn.utils.prune.RandomStructured(1, 0):prune(torch.ones(3, 2)):sum()  --> tensor(4.)
---@source torch.nn.utils.prune.RandomStructured
function RandomStructured:__init(...)
  local amount, dim = parse_random(...)
  self.amount, self.dim = check_amount(amount), dim
end
--- A mask without random channels.
---@example nn.utils.prune.RandomStructured(1):compute_mask(torch.rand(2, 2), torch.ones(2, 2)):sum()  --> tensor(2.)
function RandomStructured:compute_mask(t, default_mask)
  check_structured(t, self.dim)
  local size = t:size(self.dim)
  local count = count_of(self.amount, size)
  if count == 0 then return default_mask end
  local drawn = torch.rand(size)
  local threshold = torch.kthvalue(drawn, count)
  return channels(t, self.dim, drawn:gt(threshold):nonzero():flatten():to(t.device), default_mask)
end

local LnStructured = define("LnStructured", "structured")
local parse_norm = signature("prune.LnStructured", "amount, n, dim=-1")

--- Prunes the channels with the least norms.
---@param amount integer|number how many, or a share in [0, 1]
---@param n number|string the norm, as torch.norm takes it
---@param dim integer of the channels, -1
---@example nn.utils.prune.LnStructured(1, 2, 0):prune(torch.tensor{{1., 1.}, {3., 3.}})[0]  --> tensor([0., 0.])
---@source torch.nn.utils.prune.LnStructured
function LnStructured:__init(...)
  local amount, n, dim = parse_norm(...)
  self.amount, self.n, self.dim = check_amount(amount), n, dim
end
--- A mask without the least channels.
---@example nn.utils.prune.LnStructured(1, 1):compute_mask(torch.tensor{{3., 1.}}:expand(2, 2), torch.ones(2, 2))[0]  --> tensor([1., 0.])
function LnStructured:compute_mask(t, default_mask)
  check_structured(t, self.dim)
  local size = t:size(self.dim)
  local count = count_of(self.amount, size)
  if count == 0 then return default_mask end
  local dim, others = self.dim < 0 and self.dim + t:dim() or self.dim, {}
  for d = 0, t:dim() - 1 do
    if d ~= dim then others[#others + 1] = d end
  end
  local _, places = torch.topk(torch.norm(t, {p = self.n, dim = others}), size - count, {largest = true})
  return channels(t, self.dim, places, default_mask)
end

local CustomFromMask = define("CustomFromMask", "global")
local parse_mask = signature("prune.CustomFromMask", "mask")

--- Prunes by a mask.
---@param mask Tensor of the parameter's shape, ones where it stays
---@example nn.utils.prune.CustomFromMask(torch.tensor{1., 0.}):prune(torch.tensor{3., 4.})  --> tensor([3., 0.])
---@source torch.nn.utils.prune.CustomFromMask
function CustomFromMask:__init(...) self.mask = parse_mask(...) end
--- The masks' product.
---@example nn.utils.prune.CustomFromMask(torch.eye(2)):compute_mask(torch.ones(2, 2), torch.ones(2, 2))[0]  --> tensor([1., 0.])
function CustomFromMask:compute_mask(_, default_mask)
  if tostring(default_mask.shape) ~= tostring(self.mask.shape) then
    fail("default_mask shape %s must match self.mask shape %s", default_mask.shape, self.mask.shape)
  end
  return default_mask * self.mask:to(default_mask.dtype)
end

return methods
