-- What an optimizer that evaluates the loss several times a step is given by train.fit: torch.optim.LBFGS, and those of
-- your own with `needs_closure = true`.
local closure = {}

local function usage(message, hint) require("native.vm").raise("usage", "train.fit: " .. message, hint) end

---Is it one? A usage error where an argument of train.fit does not go with it.
---@param a table the arguments
---@return boolean
function closure.check(a)
  local optimizer = a.optimizer
  if optimizer == nil or optimizer.needs_closure ~= true then return false end
  local name = type(optimizer.__name) == "string" and optimizer.__name or "this optimizer"
  local function refuse(what, why)
    usage(("%s does not go with %s, %s"):format(what, name, why),
      "leave it out, or take an optimizer that evaluates the loss once a step")
  end
  if a.accumulate > 1 then
    refuse(("accumulate = %d"):format(a.accumulate), "which evaluates the loss of one batch again and again; a larger batch_size does it")
  end
  for _, option in ipairs {"clip_grad_norm", "clip_grad_value", "scaler"} do
    if a[option] then refuse(option, "which compares losses and gradients of several points") end
  end
  return true
end

---The closure of the batch that the state is at. Its loss and gradients are there already: the first call gives that loss,
---each further one clears the gradients, runs the step of the training again and takes its backward.
---@param state table
---@param a table the arguments
---@return fun(): Tensor
function closure.new(state, a)
  local is_first, batch = true, state.inputs
  return function()
    if is_first then
      is_first = false
      return state.loss
    end
    local loss, output, target, count, samples = state.loss, state.output, state.target, state.count, state.samples
    -- The logs and metrics are of the loss before the step, as LBFGS:step returns it.
    local _ <close> = setmetatable({}, {__close = function()
      state.loss, state.output, state.target, state.count, state.samples = loss, output, target, count, samples
    state.skip_step = nil  -- of an evaluation within the step: the next batch has its own
    end})
    state.count, state.samples = nil, nil
    state.optimizer:zero_grad()
    a.denominator:measure(state, batch, a.step(state, batch))
    state:emit("before_backward")
    local again = state.loss
    again:backward()
    state:emit("after_backward")
    return again
  end
end

return closure
