-- What the searches that train for a while share: their arguments, and a step that is taken on trial.
local Denominator = require "train.denominator"
local State = require "train.state"
local arguments = require "train.arguments"
local batches = require "train.batches"
local by_name = require "train.by_name"
local callback_list = require "train.callback_list"

local trial = {}

---Checks model, optimizer, loss and step, and finds those that are given by name.
---@param a table the arguments, changed in place
---@param where string "train.lr_find"
function trial.check(a, where)
  arguments.check_model(a.model, where)
  if type(a.loss) == "string" then a.loss = by_name.loss(where, a.loss) end
  if type(a.optimizer) == "string" then a.optimizer = by_name.optimizer(where, a.optimizer, a.model) end
  if a.step == nil and a.loss == nil then
    require("native.vm").raise("usage", where .. ": keyword 'loss' is required")
  end
end

---The forward of a batch, as train.fit does it: gradients are cleared, `state.loss` is what the backward takes.
---@param a table of trial.check, with device
---@param where string
---@return fun(batch: any): Tensor|number forward gives the mean loss
---@return table state
function trial.forward(a, where)
  local denominator = Denominator.new {loss = not a.step and a.loss or nil, where = where}
  local step = a.step or arguments.default_step(a.loss, where, denominator)
  local state = State.new {model = a.model, optimizer = a.optimizer, phase = "train", callback_list = callback_list()}
  return function(batch)
    if a.device then batch = batches.to(batch, a.device) end
    state.inputs, state.samples, state.count = batch, nil, nil
    a.optimizer:zero_grad()
    local loss, parts = step(state, batch)
    state.loss = loss
    return (denominator:measure(state, batch, loss, parts))
  end, state
end

return trial
