-- train.predict: the outputs of a model for every sample of data.
local State = require "train.state"
local batches = require "train.batches"
local callback_list = require "train.callback_list"
local data = require "train.data"
local keywords = require "host.keywords"
local live = require "train.live"
local modes = require "train.modes"

---Runs a model over data in evaluation mode, without gradients; its mode is as before afterwards.
---@param given table model, data (batches {input, ...} or tensors; a tensor or a dataset, with batch_size = 32), callbacks,
---device, step = function(state, batch) return output end, limit_batches, verbose = 0 (1: a progress bar and a line, 2: the
---line); Keras's x, steps; attach = true (`trainhost attach` may look in)
---@return Tensor outputs all batches joined along dimension 0
return function(given)
  local torch = require "torch"
  local words, said = require("train.keras").predict(given)
  local a = keywords.check("train.predict", words, {
    model = keywords.required, data = keywords.required, callbacks = keywords.none, device = keywords.none,
    step = keywords.none, limit_batches = keywords.none, batch_size = keywords.none, verbose = keywords.none,
    attach = keywords.none,
  })
  require("train.arguments").check_model(a.model, "train.predict")
  require("train.options").check("train.predict", a, {step = "function"})
  data.of_pass("train.predict", a, said)
  local state = State.new {model = a.model, phase = "predict",
    callback_list = live.attachable(require("train.arguments").with_progress(callback_list(a.callbacks), a.verbose),
      "train.predict", a)}
  local _ <close> = state:guard()
  local step = a.step or function(_, batch) return a.model(type(batch) == "table" and batch[1] or batch) end
  if a.device then a.model:to(a.device) end
  local _ <close> = modes.eval(a.model)
  local _ <close> = torch.no_grad()
  if require("host").dry_run() then a.limit_batches = 1 end
  state.batch_count = batches.count(a.data, a.limit_batches)
  local outputs = {}
  state:emit("predict_begin")
  for i, batch in batches.each(a.data, a.limit_batches) do
    if a.device then batch = batches.to(batch, a.device) end
    state.batch, state.inputs = i, batch
    state:emit("predict_batch_begin")
    local output = step(state, batch)
    if not torch.is_tensor(output) then
      require("native.vm").raise("usage", ("train.predict: the output must be a tensor, got %s"):format(type(output)),
        "give step = function(state, batch) return tensor end")
    end
    state.output = output
    outputs[i + 1] = output
    state:emit("predict_batch_end")
  end
  state:emit("predict_end")
  if #outputs == 0 then require("native.vm").raise("usage", "train.predict: data has no batches") end
  return torch.cat(outputs, 0)
end
