-- What the forwards of RNN, LSTM, GRU and their cells share: weights, checks, packed sequences.
local keywords = require "host.keywords"
local packed = require "torch.nn.utils.packed_sequence"
local torch = require "torch"
local vm = require "native.vm"

local is_packed <const>, pack <const> = packed.is, packed.make

local recurrent = {}

--- The weights in the operators' order: one table for the layer's life, filled anew at each call, so that a parameter
--- that was exchanged, parametrized or handed in by functional_call counts at once.
function recurrent.weights_of(f)
  local list, names = f._flat_weights, f._flat_weights_names
  for i = 1, #names do list[i] = f[names[i]] end
  return list
end
local weights_of <const> = recurrent.weights_of

--- Raises if the keywords that end a constructor's arguments have an LSTM's projection.
function recurrent.refuse_proj_size(...)
  local last = select("#", ...) > 0 and select(-1, ...)
  if keywords.is(last) and last.proj_size ~= nil then
    vm.raise("usage", "proj_size argument is only supported for LSTM, not RNN or GRU")
  end
end

-- --- What forward checks, in PyTorch's words

local function check_input(f, x, batch_sizes)
  local dtype = f._flat_weights[1].dtype
  if x.dtype ~= dtype and not torch.is_autocast_enabled(x.device.type) then
    vm.raise("dtype", ("RNN input dtype (%s) does not match weight dtype (%s). Convert input: input.to(%s), or convert "
      .. "model: model.to(%s)"):format(x.dtype, dtype, dtype, x.dtype))
  end
  local dims = batch_sizes and 2 or 3
  if x:dim() ~= dims then
    vm.raise("shape", ("input must have %d dimensions, got %d"):format(dims, x:dim()))
  end
  if x:size(-1) ~= f.input_size then
    vm.raise("shape", ("input.size(-1) must be equal to input_size. Expected %d, got %d"):format(f.input_size, x:size(-1)))
  end
end

local function check_hidden(hx, layers, batch, size, message)
  if hx:dim() == 3 and hx:size(0) == layers and hx:size(1) == batch and hx:size(2) == size then return end
  vm.raise("shape", message:format(("(%d, %d, %d)"):format(layers, batch, size),
    "[" .. table.concat(hx.shape, ", ") .. "]"))
end

local function permuted(hx, permutation)
  return permutation == nil and hx or hx:index_select(1, permutation)
end

--- Checks the input and gives it batched: input, batch_sizes, sorted, unsorted, batch, unbatched's dim or nil.
function recurrent.prepare(f, x, name)
  if is_packed(x) then
    return x.data, x.batch_sizes, x.sorted_indices, x.unsorted_indices, x.batch_sizes[0]:item(), nil
  end
  local dims = x:dim()
  if dims ~= 2 and dims ~= 3 then
    vm.raise("shape", ("%s: Expected input to be 2D or 3D, got %dD%s instead"):format(name, dims,
      name == "RNN" and " tensor" or ""))
  end
  local batch_first, single = f.batch_first
  if dims == 2 then
    single = batch_first and 0 or 1
    x = x:unsqueeze(single)
  end
  return x, nil, nil, nil, x:size(batch_first and 0 or 1), single
end

--- The forward of RNN and GRU, whose state is one tensor.
function recurrent.run(self, f, x, hx, name, operator)
  local weights = weights_of(f)
  local input, batch_sizes, sorted, unsorted, batch, single = recurrent.prepare(f, x, name)
  local layers = f.bidirectional and 2 * f.num_layers or f.num_layers
  if hx == nil then hx = input:new_zeros(layers, batch, f.hidden_size)
  elseif batch_sizes then hx = permuted(hx, sorted)
  elseif single then
    if hx:dim() ~= 2 then
      vm.raise("shape", ("For unbatched 2-D input, hx should also be 2-D but got %d-D tensor"):format(hx:dim()))
    end
    hx = hx:unsqueeze(1)
  elseif hx:dim() ~= 3 then
    vm.raise("shape", ("For batched 3-D input, hx should also be 3-D but got %d-D tensor"):format(hx:dim()))
  end
  check_input(f, input, batch_sizes)
  check_hidden(hx, layers, batch, f.hidden_size, "Expected hidden size %s, got %s")
  if batch_sizes then
    local output, hidden = operator(input, batch_sizes, hx, weights, f.bias, f.num_layers, f.dropout, self.training,
      f.bidirectional)
    return pack(output, batch_sizes, sorted, unsorted), permuted(hidden, unsorted)
  end
  local output, hidden = operator(input, hx, weights, f.bias, f.num_layers, f.dropout, self.training, f.bidirectional,
    f.batch_first)
  if single then return output:squeeze(single), hidden:squeeze(1) end
  return output, hidden
end

recurrent.check_input, recurrent.check_hidden, recurrent.permuted = check_input, check_hidden, permuted

--- Has a cell's input or state a batch? `where` and `what` are how errors call it.
---@return boolean
function recurrent.has_batch(x, where, what)
  local dims = x:dim()
  if dims ~= 1 and dims ~= 2 then
    vm.raise("shape", ("%s: Expected %s to be 1D or 2D, got %dD instead"):format(where, what, dims))
  end
  return dims == 2
end
local has_batch <const> = recurrent.has_batch

--- The forward of RNNCell and GRUCell, whose state is one tensor.
function recurrent.step(f, x, hx, name, operator)
  local batched = has_batch(x, name, "input")
  if hx ~= nil then has_batch(hx, name, "hidden") end
  if not batched then x = x:unsqueeze(0) end
  if hx == nil then hx = x:new_zeros(x:size(0), f.hidden_size)
  elseif not batched then hx = hx:unsqueeze(0) end
  local out = operator(x, hx, f.weight_ih, f.weight_hh, f.bias_ih, f.bias_hh)
  return batched and out or out:squeeze(0)
end

return recurrent
