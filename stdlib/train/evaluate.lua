-- train.evaluate: the loss and metrics of a model on data, weighted by samples.
local Aggregate = require "train.aggregate"
local State = require "train.state"
local arguments = require "train.arguments"
local batches = require "train.batches"
local callable = require "host.callable"
local callback_list = require "train.callback_list"
local keywords = require "host.keywords"
local logs = require "train.logs"
local pass = require "train.pass"

---Scores a model in evaluation mode, without gradients; its mode is as before afterwards.
---@param given table model, data, loss, metrics,
---callbacks, device, step = function(state, batch) return loss, logs end, limit_batches
---@return table scores loss and metrics by name
return function(given)
  local raise = require("native.vm").raise
  local a = keywords.check("train.evaluate", given, {
    model = keywords.none, data = keywords.required, loss = keywords.none, metrics = keywords.none,
    callbacks = keywords.none, device = keywords.none, step = keywords.none, limit_batches = keywords.none,
  })
  if not a.step then
    if a.model == nil then raise("usage", "train.evaluate: keyword 'model' is required") end
    if a.loss == nil then raise("usage", "train.evaluate: keyword 'loss' is required") end
    if not callable(a.loss) then
      raise("usage", ("train.evaluate: loss must be a function or a module, got %s"):format(type(a.loss)))
    end
  end
  if a.model ~= nil then arguments.check_model(a.model, "train.evaluate") end
  a.metrics = a.metrics or {}
  batches.check(a.data, "train.evaluate: data")
  arguments.check_metrics(a.metrics, "train.evaluate")
  local state = State.new {model = a.model, metrics = a.metrics, phase = "evaluate", logs = logs.new(),
    callback_list = callback_list(a.callbacks)}
  if a.device and a.model then a.model:to(a.device) end
  pass(state, a.data, "evaluate", Aggregate.new(a.metrics, ""), {
    step = a.step or arguments.default_step(a.loss, "train.evaluate"), limit = a.limit_batches, device = a.device,
  })
  return logs.copy(state.logs)
end
