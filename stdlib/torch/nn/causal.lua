-- Causal masks of the transformers' layers: how they are made and how they are told.
local native = require "native.model"
local ops = require "native.ops"
local signature = require "torch.signature"

local full <const>, triu <const> = ops.find_any "aten::full", ops.find_any "aten::triu"

local causal = {}

local function mask(size, device, dtype)
  if dtype == nil and device == nil then return triu(full({size, size}, -math.huge), 1) end
  return triu(full({size, size}, -math.huge, {dtype = dtype, device = device}), 1)
end

local parse = signature("Transformer.generate_square_subsequent_mask", "sz, device=nil, dtype=nil")

--- A mask to be added that hides what comes later: -inf above the diagonal, 0 elsewhere.
---@param sz integer length
---@param device any the default device
---@param dtype dtype? the default dtype
---@return Tensor [sz, sz]
---@example nn.Transformer.generate_square_subsequent_mask(3)[1]  --> tensor([0., 0., -inf])
---@source torch.nn.Transformer.generate_square_subsequent_mask
function causal.generate_square_subsequent_mask(first, ...)
  if native.is_module(first) then return mask(parse(...)) end  -- model:generate_square_subsequent_mask(n)
  return mask(parse(first, ...))
end

--- The length of the sequences, nil of a nested tensor.
function causal.length_of(x, batch_first)
  if x.is_nested then return nil end
  return x:size(x:dim() ~= 2 and batch_first and 1 or 0)
end

--- Is the mask the causal one? `is_causal`, unless it is nil.
function causal.detect(given, is_causal, size)
  if is_causal ~= nil or given == nil then return is_causal == true end
  size = size or given:size(-2)
  if given:dim() ~= 2 or given:size(0) ~= size or given:size(1) ~= size then return false end
  return given:eq(mask(size, given.device, given.dtype)):all():item()
end

return causal
