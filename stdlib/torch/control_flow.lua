-- torch.cond and torch.while_loop: control flow by tensors. Run at once here, as PyTorch runs them outside of a trace.
local is_tensor = require("native.tensor").is_tensor
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local control_flow = {}

local function fail(message, ...) vm.raise("usage", message:format(...)) end

local parse_cond = signature("torch.cond", "pred, true_fn, false_fn, operands={}")

--- true_fn(operands...) or false_fn(operands...), by a condition.
---@param pred boolean|Tensor of one element
---@param true_fn fun(...: Tensor): ...
---@param false_fn fun(...: Tensor): ...
---@param operands? any[] {}
---@return ...
---@example torch.cond(true, function(x) return x:sin() end, function(x) return x:cos() end, {torch.zeros(2)})
--- --> tensor([0., 0.])
function control_flow.cond(...)
  local pred, true_fn, false_fn, operands = parse_cond(...)
  if not is_tensor(pred) and type(pred) ~= "boolean" then
    fail("Expected pred to be bool or tensor, but got %s.", text.value(pred))
  end
  if is_tensor(pred) then
    if pred:numel() ~= 1 then fail("Expected pred to be bool or single-element tensor, but got %s.", tostring(pred)) end
    pred = pred:item()
    pred = pred ~= 0 and pred ~= false
  end
  if type(true_fn) ~= "function" or type(false_fn) ~= "function" then fail "Expect both branches to be callable." end
  if type(operands) ~= "table" then
    fail("Expect operands to be a tuple of possibly nested dict/list/tuple that only consists of tensor leaves, but got %s.",
      text.value(operands))
  end
  return (pred and true_fn or false_fn)(table.unpack(operands))
end

local parse_while = signature("torch.while_loop", "cond_fn, body_fn, carried_inputs")

--- Calls body_fn with what it returned last, as long as cond_fn of that is true.
---@param cond_fn fun(...: Tensor): boolean|Tensor
---@param body_fn fun(...: Tensor): ... as many as there are inputs
---@param carried_inputs any[] of the first call
---@return ...
---@example torch.while_loop(function(i) return i:lt(3) end, function(i) return i + 1 end, {torch.tensor(0)})
--- --> tensor(3)
function control_flow.while_loop(...)
  local cond_fn, body_fn, inputs = parse_while(...)
  if type(cond_fn) ~= "function" or type(body_fn) ~= "function" then fail "Expect cond_fn and body_fn to be callable." end
  if type(inputs) ~= "table" then fail("Expect carried_inputs to be a tuple, got %s", vm.describe(inputs)) end
  local values = table.pack(table.unpack(inputs))
  local count = values.n
  while true do
    local go_on = cond_fn(table.unpack(values, 1, count))
    if is_tensor(go_on) then go_on = go_on:item() end
    if type(go_on) ~= "boolean" then
      fail("cond_fn should return a boolean value or a boolean tensor but got %s", vm.describe(go_on))
    end
    if not go_on then return table.unpack(values, 1, count) end
    values = table.pack(body_fn(table.unpack(values, 1, count)))
    if values.n ~= count then
      fail("body_fn should return the same number of elements as inputs: %d, got %d", count, values.n)
    end
  end
end

return control_flow
