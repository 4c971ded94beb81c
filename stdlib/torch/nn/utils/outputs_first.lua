-- A weight whose first dimension is its layer's outputs.

---@param weight Tensor
---@param dim integer of the outputs
---@return Tensor
return function(weight, dim)
  if dim == 0 then return weight end
  local order = {dim}
  for d = 0, weight:dim() - 1 do
    if d ~= dim then order[#order + 1] = d end
  end
  return weight:permute(order)
end
