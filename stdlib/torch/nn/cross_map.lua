-- The function of nn.CrossMapLRN2d: sums of squares over neighbouring channels, each made from the one before.
local autograd = require "torch.autograd"
local torch = require "torch"
local vm = require "native.vm"

local CrossMap = autograd.Function("CrossMapLRN2d")

function CrossMap.forward(ctx, x, size, alpha, beta, k)
  if x:dim() ~= 4 then
    vm.raise("shape", ("CrossMapLRN2d: Expected input to be 4D, got %dD instead."):format(x:dim()))
  end
  local channels, square = x:size(1), x:pow(2)
  local scale = torch.empty_like(x)
  local reach = (size - 1) // 2 + 1
  local first = scale:select(1, 0)
  first:zero_()
  for c = 0, math.min(reach, channels) - 1 do first:add_(square:select(1, c)) end
  for c = 1, channels - 1 do
    local current = scale:select(1, c)
    current:copy_(scale:select(1, c - 1))
    if c < channels - reach + 1 then current:add_(square:select(1, c + reach - 1)) end
    if c > reach then current:sub_(square:select(1, c - reach)) end
  end
  scale:mul_(alpha / size):add_(k)
  local output = scale:pow(-beta):mul_(x)
  ctx.size, ctx.alpha, ctx.beta, ctx.scale = size, alpha, beta, scale
  ctx:save_for_backward(x, output)
  return output
end

function CrossMap.backward(ctx, grad)
  local x, output = table.unpack(ctx.saved_tensors)
  local size, scale, channels = ctx.size, ctx.scale, x:size(1)
  local factor = 2 * ctx.alpha * ctx.beta / size
  local before = (size + 1) // 2  -- size - (size - 1) / 2, cut off
  local result = scale:pow(-ctx.beta):mul_(grad)
  local ratio = torch.zeros({x:size(0), channels + size - 1, x:size(2), x:size(3)}, {dtype = x.dtype, device = x.device})
  ratio:narrow(1, before, channels):copy_((grad * output):div_(scale))
  local sum = ratio:narrow(1, 0, size - 1):sum(1)
  for c = 0, channels - 1 do
    sum:add_(ratio:select(1, c + size - 1))
    result:select(1, c):addcmul_(x:select(1, c), sum, {value = -factor})
    sum:sub_(ratio:select(1, c))
  end
  return result, nil, nil, nil, nil
end

return CrossMap
