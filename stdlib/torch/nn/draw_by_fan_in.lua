-- How linear and convolution layers draw their first weights.
local init = require "torch.nn.initializers"

--- Draws both evenly, of a range that the inputs to one output give, as PyTorch does when it makes the layer.
---@param weight Tensor
---@param bias Tensor?
return function(weight, bias)
  init.kaiming_uniform_(weight, math.sqrt(5))
  if bias then
    local fan_in = init.calculate_fan_in_and_fan_out(weight)
    local bound = fan_in > 0 and 1 / math.sqrt(fan_in) or 0
    init.uniform_(bias, -bound, bound)
  end
end
