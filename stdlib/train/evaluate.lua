-- train.evaluate: the loss and metrics of a model on data, weighted by samples.
local Aggregate = require "train.aggregate"
local Denominator = require "train.denominator"
local State = require "train.state"
local arguments = require "train.arguments"
local autologged = require "train.autologged"
local by_name = require "train.by_name"
local callback_list = require "train.callback_list"
local data = require "train.data"
local keras = require "train.keras"
local keywords = require "host.keywords"
local live = require "train.live"
local logs = require "train.logs"
local options = require "train.options"
local pass = require "train.pass"
local precision = require "train.precision"

---Scores a model in evaluation mode, without gradients; its mode is as before afterwards.
---@param given table model, data (batches; tensors {x, y [, sample_weight]} or a dataset, with batch_size = 32), loss,
---metrics, weighted_metrics (get the samples' weights), callbacks, device, step = function(state, batch) return loss, logs end,
---limit_batches, reduction = "mean"|"sum" of the loss, count = function(batch, state) returning what a batch counts,
---autocast = true | dtype, verbose = 0 (1: a progress bar and a line, 2: the line); Keras's x, y, sample_weight, steps;
---attach = true (`trainhost attach` may look in)
---@return table scores loss and metrics by name
return function(given)
  local raise = require("native.vm").raise
  local words, said = keras.evaluate(given)
  local a = keywords.check("train.evaluate", words, {
    model = keywords.none, data = keywords.required, loss = keywords.none, metrics = keywords.none,
    callbacks = keywords.none, device = keywords.none, step = keywords.none, limit_batches = keywords.none,
    batch_size = keywords.none, reduction = keywords.none, count = keywords.none, autocast = keywords.none,
    weighted_metrics = keywords.none, verbose = keywords.none, attach = keywords.none,
  })
  options.check("train.evaluate", a, {step = "function", count = "function", reduction = {"mean", "sum"}})
  local loss = a.loss
  if type(a.loss) == "string" then a.loss = by_name.loss("train.evaluate", a.loss) end
  if not a.step then
    if a.model == nil then raise("usage", "train.evaluate: keyword 'model' is required") end
    if a.loss == nil then raise("usage", "train.evaluate: keyword 'loss' is required") end
    arguments.check_loss(a.loss, "train.evaluate")
  end
  if a.model ~= nil then arguments.check_model(a.model, "train.evaluate") end
  a.metrics = by_name.metrics("train.evaluate", a.metrics or {}, loss)
  arguments.check_metrics(a.metrics, "train.evaluate")
  local weighted_names = by_name.weighted_metrics("train.evaluate", a.metrics, a.weighted_metrics, loss)
  local weighted = data.of_pass("train.evaluate", a, said)
  local list = arguments.with_progress(autologged.evaluation(callback_list(a.callbacks)), a.verbose)
  local state = State.new {model = a.model, metrics = a.metrics, phase = "evaluate",
    callback_list = live.attachable(list, "train.evaluate", a)}
  local _ <close> = state:guard()
  if a.device and a.model then a.model:to(a.device) end
  local denominator = Denominator.new {loss = not a.step and a.loss or nil, count = a.count, reduction = a.reduction,
    where = "train.evaluate"}
  local batches = pass(state, a.data, "evaluate", Aggregate.new(a.metrics, "", weighted_names), {
    step = precision.step(a.step or arguments.default_step(a.loss, "train.evaluate", denominator), a, "train.evaluate"),
    limit = require("host").dry_run() and 1 or a.limit_batches, device = a.device, denominator = denominator, weighted = weighted,
  })
  if batches == 0 then raise("usage", "train.evaluate: data has no batches") end
  return logs.copy(state.logs)
end
