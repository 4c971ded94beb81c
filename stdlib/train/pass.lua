-- One pass over data in evaluation mode and without gradients: validation and train.evaluate.
local batches = require "train.batches"
local modes = require "train.modes"

---@param state table
---@param data any what train.batches takes
---@param event string "valid" or "evaluate": the begin of the event names
---@param aggregate table takes the losses and metrics
---@param options table {step, limit, device, denominator, weighted = the third of each batch is the weights of its samples,
---weights = function(batch) returning them}
---@return integer batches how many there were
return function(state, data, event, aggregate, options)
  local _ <close> = modes.eval(state.model)
  local _ <close> = state.model and require("torch").no_grad() or nil
  local phase, batch_before, count_before = state.phase, state.batch, state.batch_count
  state.phase, state.batch, state.batch_count, state.inputs = event, 0, batches.count(data, options.limit), nil
  aggregate:begin(state.logs, state)
  state:emit(event .. "_begin")
  local batch_begin, batch_end = event .. "_batch_begin", event .. "_batch_end"
  for i, batch in batches.each(data, options.limit, state.epoch) do
    if options.device then batch = batches.to(batch, options.device) end
    state.batch, state.inputs, state.samples, state.count = i, batch, nil, nil
    state.sample_weight = options.weights and options.weights(batch) or options.weighted and batch[3] or nil
    state.output, state.target = nil, nil
    state:emit(batch_begin)
    local loss, parts = options.step(state, batch)
    local mean, count, means = options.denominator:measure(state, batch, loss, parts)
    aggregate:update(mean, means, count, state.output, state.target, state.sample_weight)
    state:emit(batch_end)
  end
  state:emit(event .. "_end")
  local done = state.inputs == nil and 0 or state.batch + 1
  state.phase, state.batch, state.batch_count = phase, batch_before, count_before
  return done
end
