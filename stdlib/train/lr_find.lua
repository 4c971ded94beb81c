-- train.lr_find: tries learning rates from small to large on a few batches, and suggests one.
local autologged = require "train.autologged"
local batches = require "train.batches"
local data = require "train.data"
local keywords = require "host.keywords"
local rewind = require "train.rewind"
local trial = require "train.trial"

local function usage(message, hint) require("native.vm").raise("usage", "train.lr_find: " .. message, hint) end

local Result = {__name = "lr_find"}
Result.__index = Result

---Draws the losses against the learning rates, on a logarithmic axis; the suggestion is marked.
---@param path string "lr.svg"
---@param plot_options? table of train.plot
---@return string path
function Result:plot(path, plot_options)
  local all = {}
  for key, value in pairs(plot_options or {}) do all[key] = value end
  all.series = all.series or {"loss"}
  all.x_label, all.y_label = all.x_label or "learning rate", all.y_label or "loss"
  all.x, all.log_x, all.mark = self.lrs, all.log_x ~= false, all.mark or self.suggestion
  all.title = all.title or self.suggestion and ("suggested learning rate %.3g"):format(self.suggestion) or nil
  return require "train.plot"({loss = self.losses, raw = self.raw}, path, all)
end

function Result:__tostring()
  return ("lr_find: %d trials from %.3g to %.3g, suggestion %s"):format(#self.lrs, self.lrs[1] or 0, self.lrs[#self.lrs] or 0,
    self.suggestion and ("%.3g"):format(self.suggestion) or "none")
end

-- Where the loss falls most steeply with the logarithm of the rate; the first trials and the end, where it rises, are left
-- out.
local function steepest(lrs, losses, skip_begin, skip_end)
  local best, index = 0, nil
  for i = 2 + skip_begin, #losses - 1 - skip_end do
    local slope = (losses[i + 1] - losses[i - 1]) / 2
    if slope < best and -slope > 1e-6 * math.abs(losses[i]) then best, index = slope, i end  -- more than rounding
  end
  return index and lrs[index] or nil, index
end

local function check(a)
  trial.check(a, "train.lr_find")
  if not (type(a.min_lr) == "number" and a.min_lr > 0) then usage(("min_lr must be above 0, got %s"):format(tostring(a.min_lr))) end
  if not (type(a.max_lr) == "number" and a.max_lr > a.min_lr) then
    usage(("max_lr must be above min_lr = %g, got %s"):format(a.min_lr, tostring(a.max_lr)))
  end
  local num = math.type(a.num) and math.tointeger(a.num)
  if not num or num < 5 then usage(("num must be a whole number of 5 or more, got %s"):format(tostring(a.num))) end
  a.num = num
  if not (type(a.smoothing) == "number" and a.smoothing >= 0 and a.smoothing < 1) then
    usage(("smoothing must be 0 or more and below 1, got %s"):format(tostring(a.smoothing)))
  end
end

-- Batches without end: pass after pass.
local function endless(a)
  local epoch, iterate, s, control, close = -1, nil, nil, nil, nil
  local function close_pass()
    if close then
      local _ <close> = close
      close = nil
    end
  end
  return function()
    for _ = 1, 2 do
      if iterate then
        local batch
        control, batch = iterate(s, control)
        if control ~= nil then return batch end
        close_pass()
      end
      epoch = epoch + 1
      iterate, s, control, close = batches.each(a.train, nil, epoch)
    end
    usage("train has no batches")
  end, setmetatable({}, {__close = close_pass})
end

-- The trials. Each rate has its step; the loss is that before the step.
local function try_rates(a, first_rates)
  local torch = require "torch"
  local result = {lrs = {}, losses = {}, raw = {}}
  local average, best = 0, math.huge
  local forward, state = trial.forward(a, "train.lr_find")
  local next_batch, closing = endless(a)
  local _ <close> = closing
  a.model:train()
  for i = 0, a.num - 1 do
    local lr = a.min_lr * (a.max_lr / a.min_lr) ^ (i / (a.num - 1))
    for k, group in ipairs(a.optimizer.param_groups) do group.lr = lr * first_rates[k] end
    local mean = forward(next_batch())
    local value = torch.is_tensor(mean) and mean:item() or mean
    average = a.smoothing * average + (1 - a.smoothing) * value
    local smooth = average / (1 - a.smoothing ^ (i + 1))
    if smooth ~= smooth or a.stop_factor and i > 0 and smooth > a.stop_factor * best then
      result.stopped = true
      break
    end
    result.lrs[i + 1], result.losses[i + 1], result.raw[i + 1] = lr, smooth, value
    best = math.min(best, smooth)
    state.loss:backward()
    a.optimizer:step()
    state.step = i + 1
  end
  return result
end

---Takes a step at each of `num` learning rates from min_lr to max_lr, exponentially spaced, until the loss is more than
---stop_factor times its least, and suggests the one at which the smoothed loss falls most steeply. Model, optimizer, loader
---and the default random generators are afterwards as they were, bit for bit, after an error too. Parameter groups keep the
---ratios of their learning rates.
---@param given table model, optimizer, loss, train (as of train.fit: batches, or tensors {x, y} with batch_size = 32), step,
---device, min_lr = 1e-7, max_lr = 10, num = 100, smoothing = 0.9, stop_factor = 4 (false: none), skip_begin = 5 and
---skip_end = 1 (trials that the suggestion leaves out), apply = false (sets the suggestion), plot = a file ("lr.svg")
---@return table result lrs, losses (smoothed), raw, suggestion (nil where the loss never falls), index of it, stopped;
---`result:plot("lr.svg")`
return function(given)
  local none = keywords.none
  local a = keywords.check("train.lr_find", given, {
    model = keywords.required, optimizer = keywords.required, loss = none, train = keywords.required, step = none,
    device = none, batch_size = none, min_lr = 1e-7, max_lr = 10, num = 100, smoothing = 0.9, stop_factor = 4, skip_begin = 5,
    skip_end = 1, apply = false, plot = none,
  })
  check(a)
  if a.device then a.model:to(a.device) end
  local result
  local first, ratios = a.optimizer.param_groups[1].lr, {}
  for k, group in ipairs(a.optimizer.param_groups) do ratios[k] = first ~= 0 and group.lr / first or 1 end
  do
    local _ <close> = autologged.aside()
  local _ <close> = rewind.take {model = a.model, optimizer = a.optimizer, data = a.train, random = true}
    a.train = data.loader(a.train, {where = "train.lr_find: train", batch_size = a.batch_size, tensors = not a.step, shuffle = true})
    batches.check(a.train, "train.lr_find: train")
    result = setmetatable(try_rates(a, ratios), Result)
  end
  result.suggestion, result.index = steepest(result.lrs, result.losses, a.skip_begin, a.skip_end)
  if a.apply and result.suggestion then
    for k, group in ipairs(a.optimizer.param_groups) do group.lr = result.suggestion * ratios[k] end
  end
  if a.plot then result:plot(a.plot) end
  return result
end
