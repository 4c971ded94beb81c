-- A histogram of a tensor's values as plain numbers: what callbacks that watch a training hand to those that log it.
local torch = require "torch"

---Counts the finite values of a tensor, the absolute ones of complex numbers, in bins of equal width.
---@param tensor Tensor
---@param bins integer
---@return table? histogram counts (a list of `bins` numbers), edges (one more), count, min, max, sum, sum_squares, not_finite
---(how many were left out); nil where there is no finite value
return function(tensor, bins)
  local _ <close> = torch.no_grad()
  if tensor.is_sparse then tensor = tensor:coalesce():values() end
  local values = tensor:detach():flatten()
  values = (values:is_complex() and values:abs() or values):to(torch.float64)
  local total = values:numel()
  values = values[values:isfinite()]
  local count = values:numel()
  if count == 0 then return nil end
  local low, high = values:min():item(), values:max():item()
  local from, to = low, high
  if from == to then from, to = low - 0.5, high + 0.5 end
  local counts = torch.histc(values:cpu(), {bins = bins, min = from, max = to})
  local edges = {}
  for i = 0, bins do edges[i + 1] = from + (to - from) * i / bins end
  return {counts = counts:to(torch.int64):tolist(), edges = edges, count = count, min = low, max = high, sum = values:sum():item(),
    sum_squares = values:square():sum():item(), not_finite = total - count}
end
