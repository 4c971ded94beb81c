-- nn.utils.rnn.PackedSequence: sequences of different lengths, step after step without padding.
local ops = require "native.ops"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local scatter_ <const>, arange <const>, empty_like <const> = ops.find_any "aten::scatter_", ops.find_any "aten::arange",
  ops.find_any "aten::empty_like"

local packed = {}

local ORDER <const> = {"data", "batch_sizes", "sorted_indices", "unsorted_indices"}

---@class PackedSequence
---@field data Tensor [sum of lengths, ...], the steps of all sequences
---@field batch_sizes Tensor [longest], how many sequences each step has, on the CPU
---@field sorted_indices Tensor? [batch], how the batch was put in order of length
---@field unsorted_indices Tensor? [batch], the way back
local methods = {}
local meta = {__name = "PackedSequence"}

-- The four parts also by place, as those of Python's named tuple.
function meta.__index(self, key)
  if math.type(key) == "integer" then return rawget(self, ORDER[key]) end
  if key == "is_cuda" then return rawget(self, "data").is_cuda end
  return methods[key]
end

function meta.__len() return #ORDER end

function meta.__tostring(self)
  local parts = {}
  for i, name in ipairs(ORDER) do
    local value = rawget(self, name)
    parts[i] = name .. "=" .. (value == nil and "None" or tostring(value))
  end
  return "PackedSequence(" .. table.concat(parts, ", ") .. ")"
end

--- The permutation that undoes another; nil for nil.
---@param permutation Tensor? [n]
---@return Tensor? [n]
---@example nn.utils.rnn.invert_permutation(torch.tensor{2, 0, 1})  --> tensor([1, 2, 0])
---@source torch.nn.utils.rnn.invert_permutation
function packed.invert_permutation(permutation)
  if permutation == nil then return nil end
  local inverse = empty_like(permutation, {memory_format = torch.contiguous_format})
  return scatter_(inverse, 0, permutation, arange(0, permutation:numel(), {device = permutation.device}))
end

--- What layers make of what they have computed: the parts are taken as they are.
function packed.make(data, batch_sizes, sorted_indices, unsorted_indices)
  return setmetatable({data = data, batch_sizes = batch_sizes, sorted_indices = sorted_indices,
    unsorted_indices = unsorted_indices}, meta)
end

--- Is the value a packed sequence?
---@return boolean
function packed.is(value) return getmetatable(value) == meta end

local parse = signature("nn.utils.rnn.PackedSequence",
  "data, batch_sizes=nil, sorted_indices=nil, unsorted_indices=nil")

--- Sequences that are packed already; pack_sequence and pack_padded_sequence make them.
---@param data Tensor|Tensor[] [sum of lengths, ...], or a list of data and batch_sizes
---@param batch_sizes Tensor? [longest], on the CPU
---@param sorted_indices Tensor? [batch], nil
---@param unsorted_indices Tensor? [batch], the inverse of sorted_indices
---@return PackedSequence
---@example nn.utils.rnn.PackedSequence(torch.ones(3), torch.tensor{2, 1}).batch_sizes  --> tensor([2, 1])
---@source torch.nn.utils.rnn.PackedSequence
function packed.PackedSequence(data, ...)
  local batch_sizes, sorted_indices, unsorted_indices
  data, batch_sizes, sorted_indices, unsorted_indices = parse(data, ...)
  if unsorted_indices == nil then unsorted_indices = packed.invert_permutation(sorted_indices) end
  if batch_sizes == nil then
    if type(data) ~= "table" or #data ~= 2 then
      vm.raise("usage", "Expected data to be a list or tuple of length 2")
    end
    return packed.make(data[1], data[2], sorted_indices, unsorted_indices)
  end
  if batch_sizes.device.type ~= "cpu" then
    vm.raise("device", "batch_sizes should always be on CPU. Instances of PackedSequence should never be created "
      .. "manually. They should be instantiated by functions like pack_sequence and pack_padded_sequences in "
      .. "nn.utils.rnn. https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence")
  end
  return packed.make(data, batch_sizes, sorted_indices, unsorted_indices)
end

local function map(self, f)
  local sorted, unsorted = rawget(self, "sorted_indices"), rawget(self, "unsorted_indices")
  return packed.make(f(self.data), self.batch_sizes, sorted and f(sorted), unsorted and f(unsorted))
end

--- Converts the data; the indices follow to its device, the batch sizes stay on the CPU.
---@return PackedSequence self if nothing changes
---@example nn.utils.rnn.pack_sequence{torch.ones(2)}:to(torch.float64).data.dtype  --> torch.float64
function methods:to(...)
  local data = self.data:to(...)
  if data == self.data then return self end
  local sorted, unsorted = rawget(self, "sorted_indices"), rawget(self, "unsorted_indices")
  return packed.make(data, self.batch_sizes, sorted and sorted:to(data.device), unsorted and unsorted:to(data.device))
end

function methods:cuda(device) return self:to(device and "cuda:" .. tostring(device) or "cuda") end
function methods:cpu() return self:to("cpu") end
function methods:double() return self:to(torch.float64) end
function methods:float() return self:to(torch.float32) end
function methods:half() return self:to(torch.float16) end
function methods:long() return self:to(torch.int64) end
function methods:int() return self:to(torch.int32) end
function methods:short() return self:to(torch.int16) end
function methods:char() return self:to(torch.int8) end
function methods:byte() return self:to(torch.uint8) end
function methods:is_pinned() return self.data:is_pinned() end
function methods:pin_memory() return map(self, function(part) return part:pin_memory() end) end

return packed
