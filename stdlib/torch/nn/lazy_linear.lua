-- nn.LazyLinear: a Linear that learns its number of inputs from the first batch.
local Linear = require("torch.nn.linear").Linear
local lazy = require "torch.nn.lazy"
local uninitialized = require "torch.nn.uninitialized"
local vm = require "native.vm"

---@class LazyLinear : Linear
local LazyLinear, parse = lazy.over("LazyLinear", Linear, "out_features, bias=true, device=nil, dtype=nil",
  "out_features: size, bias: flag?", "in_features")

--- A Linear that learns `in_features` from its first input, and is one from then on.
---@param out_features integer
---@param bias boolean adds a vector, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local layer = nn.LazyLinear(2)
--- layer(torch.ones(4, 3))
--- layer  --> Linear(in_features=3, out_features=2, bias=True)
---@source torch.nn.LazyLinear
function LazyLinear:__init(...)
  local out_features, bias, device, dtype = parse(...)
  Linear.__init(self, 0, 0, false)
  lazy.LazyModuleMixin.__init(self)
  self.weight = uninitialized.UninitializedParameter(true, device, dtype)
  self.out_features = out_features
  if bias then self.bias = uninitialized.UninitializedParameter(true, device, dtype) end
end

--- Gives the parameters the shape for this input.
---@param x Tensor [..., in_features]
---@example local layer = nn.LazyLinear(2)
--- layer:initialize_parameters(torch.ones(4, 3))
--- layer.weight.shape  --> torch.Size([2, 3])
function LazyLinear:initialize_parameters(x)
  local given = x:size(-1)
  if self:has_uninitialized_params() then
    self.in_features = given
    self.weight:materialize{self.out_features, given}
    if self.bias then self.bias:materialize{self.out_features} end
    self:reset_parameters()
  elseif self.in_features == 0 then
    if given ~= self.weight:size(-1) then
      vm.raise("shape", ("The in_features inferred from input: %d is not equal to in_features from self.weight: %d"):format(
        given, self.weight:size(-1)))
    end
    self.in_features = given
  end
end

return LazyLinear
