-- torch.nn.utils.rnn: sequences of different lengths, packed for recurrent layers and padded for all else.
local named = require "torch.named"
local ops = require "native.ops"
local packed = require "torch.nn.utils.packed_sequence"
local torch = require "torch"
local vm = require "native.vm"

local pack <const>, pad <const> = ops.find_any "aten::_pack_padded_sequence", ops.find_any "aten::_pad_packed_sequence"
local pad_sequence <const> = ops.find_any "aten::pad_sequence"

local rnn = {PackedSequence = packed.PackedSequence, invert_permutation = packed.invert_permutation}

--- Packs padded sequences.
---@param input Tensor [longest, batch, ...] or [batch, longest, ...]
---@param lengths Tensor|integer[] [batch]
---@param batch_first boolean the batch comes first, false
---@param enforce_sorted boolean the lengths must go down; false sorts them here, true
---@return PackedSequence
---@example local packed = nn.utils.rnn.pack_padded_sequence(torch.tensor{{1, 2}, {3, 0}}, {2, 1})
--- packed.data  --> tensor([1, 2, 3])
---@source torch.nn.utils.rnn.pack_padded_sequence
rnn.pack_padded_sequence = named("nn.utils.rnn.pack_padded_sequence",
  "input, lengths, batch_first=false, enforce_sorted=true", function(input, lengths, batch_first, enforce_sorted)
    if torch.is_tensor(lengths) then lengths = lengths:to(torch.int64)
    else lengths = torch.as_tensor(lengths, {dtype = torch.int64, device = "cpu"}) end
    local sorted
    if not enforce_sorted then
      lengths, sorted = torch.sort(lengths, {descending = true})
      sorted = sorted:to(input.device)
      input = input:index_select(batch_first and 0 or 1, sorted)
    end
    local data, batch_sizes = pack(input, lengths, batch_first)
    return packed.make(data, batch_sizes, sorted, packed.invert_permutation(sorted))
  end)

--- Sequences with padding of a packed sequence: the inverse of pack_padded_sequence.
---@param sequence PackedSequence
---@param batch_first boolean the batch comes first, false
---@param padding_value number what stands after the end of a sequence, 0.0
---@param total_length integer? of the padded sequences, that of the longest
---@return Tensor [longest, batch, ...] or [batch, longest, ...]
---@return Tensor lengths [batch]
---@example local packed = nn.utils.rnn.pack_sequence{torch.tensor{1, 2}, torch.tensor{3}}
--- local padded = nn.utils.rnn.pad_packed_sequence(packed, {batch_first = true})
--- padded[1]  --> tensor([3, 0])
---@source torch.nn.utils.rnn.pad_packed_sequence
rnn.pad_packed_sequence = named("nn.utils.rnn.pad_packed_sequence",
  "sequence, batch_first=false, padding_value=0.0, total_length=nil",
  function(sequence, batch_first, padding_value, total_length)
    if not packed.is(sequence) then
      vm.raise("usage", "pad_packed_sequence: argument 'sequence' must be a PackedSequence, got "
        .. vm.describe(sequence))
    end
    local longest = sequence.batch_sizes:size(0)
    if total_length ~= nil and total_length < longest then
      vm.raise("usage", ("Expected total_length to be at least the length of the longest sequence in input, but got "
        .. "total_length=%d and max sequence length being %d"):format(total_length, longest))
    end
    local padded, lengths = pad(sequence.data, sequence.batch_sizes, batch_first, padding_value, total_length or longest)
    local unsorted = sequence.unsorted_indices
    if unsorted == nil then return padded, lengths end
    return padded:index_select(batch_first and 0 or 1, unsorted), lengths:index_select(0, unsorted:cpu())
  end)

--- Puts sequences of different lengths into one tensor.
---@param sequences Tensor[]|Tensor each [length, ...]
---@param batch_first boolean the batch comes first, false
---@param padding_value number fills what is short, 0.0
---@param padding_side string 'right' or 'left', 'right'
---@return Tensor [longest, batch, ...] or [batch, longest, ...]
---@example nn.utils.rnn.pad_sequence({torch.ones(2), torch.ones(1)}, true)[1]  --> tensor([1., 0.])
---@source torch.nn.utils.rnn.pad_sequence
rnn.pad_sequence = named("nn.utils.rnn.pad_sequence",
  "sequences, batch_first=false, padding_value=0.0, padding_side='right'",
  function(sequences, batch_first, padding_value, padding_side)
    if torch.is_tensor(sequences) then sequences = sequences:unbind(0) end
    if type(sequences) ~= "table" then
      vm.raise("usage", "pad_sequence: Expected iterable for input sequences, but got arg of type: "
        .. vm.describe(sequences))
    end
    return pad_sequence(sequences, batch_first, padding_value, padding_side)
  end)

--- Takes the padding away: the inverse of pad_sequence. The padded tensor stays as it is.
---@param padded_sequences Tensor [longest, batch, ...] or [batch, longest, ...]
---@param lengths Tensor [batch]
---@param batch_first boolean the batch comes first, false
---@return Tensor[] each [length, ...]
---@example #nn.utils.rnn.unpad_sequence(torch.ones(3, 2), torch.tensor{3, 1})  --> 2
---@source torch.nn.utils.rnn.unpad_sequence
rnn.unpad_sequence = named("nn.utils.rnn.unpad_sequence", "padded_sequences, lengths, batch_first=false",
  function(padded, lengths, batch_first)
    if not batch_first then padded = padded:transpose(0, 1) end
    local steps = torch.arange(padded:size(1), {device = lengths.device})
    local all = {}
    if padded:size(0) ~= lengths:size(0) then
      vm.raise("usage", ("unpad_sequence: there are %d sequences and %d lengths"):format(padded:size(0), lengths:size(0)))
    end
    for i = 1, padded:size(0) do all[i] = padded[i - 1][steps:lt(lengths[i - 1])] end
    return all
  end)

--- Packs sequences of different lengths.
---@param sequences Tensor[] each [length, ...]
---@param enforce_sorted boolean the lengths must go down; false sorts them here, true
---@return PackedSequence
---@example nn.utils.rnn.pack_sequence{torch.tensor{1, 2}, torch.tensor{3}}.data  --> tensor([1, 3, 2])
---@source torch.nn.utils.rnn.pack_sequence
rnn.pack_sequence = named("nn.utils.rnn.pack_sequence", "sequences, enforce_sorted=true",
  function(sequences, enforce_sorted)
    local lengths = {}
    for i, sequence in ipairs(sequences) do lengths[i] = sequence:size(0) end
    return rnn.pack_padded_sequence(rnn.pad_sequence(sequences), lengths, false, enforce_sorted)
  end)

--- The sequences of a packed sequence: the inverse of pack_sequence.
---@param packed_sequences PackedSequence
---@return Tensor[] each [length, ...]
---@example nn.utils.rnn.unpack_sequence(nn.utils.rnn.pack_sequence{torch.tensor{1, 2}, torch.tensor{3}})[2]  --> tensor([3])
---@source torch.nn.utils.rnn.unpack_sequence
rnn.unpack_sequence = named("nn.utils.rnn.unpack_sequence", "packed_sequences", function(sequences)
  local padded, lengths = rnn.pad_packed_sequence(sequences, true)
  return rnn.unpad_sequence(padded, lengths, true)
end)

return require("host.namespace")("torch.nn.utils.rnn", {held = rnn})
