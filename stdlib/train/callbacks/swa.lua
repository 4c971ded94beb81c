-- train.SWA: stochastic weight averaging: from some epoch on the mean of the weights, at a learning rate of its own.
local batches = require "train.batches"
local keywords = require "host.keywords"
local learning_rate = require "train.learning_rate"
local numbers = require "train.numbers"
local options = require "train.options"
local torch = require "torch"

local SWA = {__name = "SWA", group = "policy", writes = {"swa_models"}}
SWA.__index = SWA

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function SWA:check(state)
  if not state.model then usage("needs a model") end
  learning_rate.check(state)
  if self.swa_start < 1 and not state.epochs then usage("swa_start as a fraction needs epochs", "swa_start = 10 is an epoch") end
  local rates, groups = self.swa_lr, state.optimizer.param_groups
  if type(rates) == "table" and #rates ~= #groups then
    usage(("swa_lr has %d values, the optimizer %d parameter groups"):format(#rates, #groups))
  end
  if state.epochs and self.swa_start >= state.epochs and not state.dry_run then  -- which has one epoch
    require("host").log.warn(("train.SWA: swa_start = %s is beyond the last of %s: nothing is averaged"):format(self.swa_start,
      numbers.counted(state.epochs, "epoch")))
  end
end

-- The first epoch, from 0, whose weights are averaged.
local function first_epoch(self, state)
  if math.type(self.swa_start) == "float" and self.swa_start < 1 then
    return math.floor(self.swa_start * state.epochs)
  end
  return math.tointeger(self.swa_start)
end

function SWA:on_train_begin() self._average, self._scheduler = nil, nil end

-- From here on the learning rate is SWALR's.
local function begin(self, state)
  local utils = torch.optim.swa_utils
  self._average = utils.AveragedModel(state.model, {avg_fn = self.avg_fn, use_buffers = self.use_buffers})
  if self.swa_lr then
    self._scheduler = utils.SWALR(state.optimizer, self.swa_lr, self.anneal_epochs, self.anneal_strategy)
    for _, entry in ipairs(state.callback_list and state.callback_list.entries or {}) do
      if entry.base_name == "Scheduler" then
        state.callback_list:remove(entry.callback)
        break
      end
    end
  end
end

function SWA:on_epoch_begin(state)
  if state.epoch >= first_epoch(self, state) and not self._average then begin(self, state) end
end

function SWA:on_epoch_end(state)
  if not self._average then return end
  self._average:update_parameters(state.model)
  state.logs.swa_models = self._average.n_averaged:item()
  if self._scheduler then self._scheduler:step() end
end

-- The inputs of one pass over the training data.
local function inputs_of(state)
  local a = state.arguments or {}
  local iterate, s, control = batches.each(state.train, a.limit_train_batches, state.epoch)
  return function()
    local batch
    control, batch = iterate(s, control)
    if control == nil then return nil end
    return type(batch) == "table" and batch[1] or batch
  end
end

function SWA:on_train_end(state)
  if not self._average or self._average.n_averaged:item() == 0 then return end
  local _ <close> = torch.no_grad()
  local mine, averages = state.model:parameters(), self._average.module:parameters()
  for i, parameter in ipairs(mine) do parameter:copy_(averages[i]) end
  if self.use_buffers then
    local buffers = self._average.module:buffers()
    for i, buffer in ipairs(state.model:buffers()) do buffer:copy_(buffers[i]) end
  elseif self.update_bn and state.train then
    torch.optim.swa_utils.update_bn(inputs_of(state), state.model, mine[1] and mine[1].device)
  end
end

---The averaged model.
---@return Module
function SWA:average()
  if not self._average then usage("SWA: nothing has been averaged yet") end
  return self._average.module
end

--- What a checkpoint keeps.
---@private
---@return table
function SWA:state_dict()
  return {average = self._average and self._average:state_dict(), scheduler = self._scheduler and self._scheduler:state_dict()}
end

--- Goes on from what a checkpoint kept.
---@private
---@param dict table
---@param state table of the training
function SWA:load_state_dict(dict, state)
  if not dict.average then return end
  begin(self, state)
  self._average:load_state_dict(dict.average)
  if self._scheduler and dict.scheduler then self._scheduler:load_state_dict(dict.scheduler) end
end

---Averages the weights of the epochs from `swa_start` on (torch.optim.swa_utils.AveragedModel), while SWALR anneals the learning
---rate to `swa_lr` and holds it there instead of fit's scheduler; at the end the model gets the averages, and its batch
---normalizations the statistics that belong to them (update_bn over the training data).
---@param arguments? table swa_lr = 0.05 (or one for each group; false: the learning rate is left alone), swa_start = 0.8 (of the
---epochs; 1 or more: an epoch from 0), anneal_epochs = 10, anneal_strategy = "cos"|"linear", avg_fn (the plain mean),
---use_buffers = false (averages buffers too, in place of update_bn), update_bn = true, errors = "raise", budget
---@return table callback with `average()`, a model
return function(arguments)
  local self = setmetatable(options.of_callback("train.SWA", arguments, {
    swa_lr = 0.05, swa_start = 0.8, anneal_epochs = 10, anneal_strategy = "cos", avg_fn = keywords.none, use_buffers = false,
    update_bn = true,
  }, {
    swa_start = "not_negative", anneal_epochs = "count", anneal_strategy = {"cos", "linear"}, avg_fn = "function",
    use_buffers = "flag", update_bn = "flag",
  }), SWA)
  if self.swa_start >= 1 then options.check("train.SWA", self, {swa_start = "count"}) end
  if self.swa_lr ~= false and type(self.swa_lr) ~= "number" and type(self.swa_lr) ~= "table" then
    usage("train.SWA: swa_lr must be a number, a list of numbers or false, got " .. require("native.vm").describe(self.swa_lr))
  end
  return self
end
