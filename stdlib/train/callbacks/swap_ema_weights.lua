-- train.SwapEMAWeights: validation and prediction see the moving average of the weights, training never does.
local keywords = require "host.keywords"
local options = require "train.options"
local torch = require "torch"

local SwapEMAWeights = {__name = "SwapEMAWeights", group = "policy"}
SwapEMAWeights.__index = SwapEMAWeights

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function SwapEMAWeights:check(state)
  if not state.model then usage("needs a model") end
end

local function make_average(self, model)
  local utils = torch.optim.swa_utils
  self._model = model
  self._average = utils.AveragedModel(model, {multi_avg_fn = utils.get_ema_multi_avg_fn(self.momentum)})
  self._average.n_averaged:fill_(1)  -- the weights of the start are the first that are averaged, as in Keras
end

-- Exchanges the model's parameters with the averages.
local function exchange(self)
  local _ <close> = torch.no_grad()
  local mine = self._average.module:parameters()
  for i, parameter in ipairs(self._model:parameters()) do
    local other = parameter:detach():clone()
    parameter:copy_(mine[i])
    mine[i]:copy_(other)
  end
end

local function overwrite(self)
  local _ <close> = torch.no_grad()
  local averages = self._average.module:parameters()
  for i, parameter in ipairs(self._model:parameters()) do parameter:copy_(averages[i]) end
end

local function swap_in(self, model)
  if self._swapped then return end
  if not self._average then make_average(self, model) end
  if model and not rawequal(model, self._model) and model ~= self._model then return end  -- of another model
  exchange(self)
  self._swapped = true
end

local function swap_out(self)
  if not self._swapped then return end
  exchange(self)
  self._swapped = false
end

function SwapEMAWeights:on_train_begin(state)
  swap_out(self)
  make_average(self, state.model)
end

function SwapEMAWeights:on_epoch_begin() swap_out(self) end
function SwapEMAWeights:on_batch_begin() swap_out(self) end

function SwapEMAWeights:on_after_step(state)
  if not self._average then make_average(self, state.model) end
  self._average:update_parameters(self._model)
  local every = self.overwrite_frequency
  if every and (state.step + 1) % every == 0 then
    overwrite(self)
  end
end

for _, phase in ipairs {"valid", "evaluate", "predict"} do
  SwapEMAWeights[("on_%s_begin"):format(phase)] = function(self, state) swap_in(self, state.model) end
  SwapEMAWeights[("on_%s_end"):format(phase)] = function(self) swap_out(self) end
end

-- Keras's swap_on_epoch: the checkpoint that is saved at the end of the epoch has the averages. What comes after, be it a
-- batch, the end or an error, has the weights back.
function SwapEMAWeights:on_epoch_end(state)
  if self.swap_on_epoch then swap_in(self, state.model) end
end

function SwapEMAWeights:on_train_end()
  swap_out(self)
  if self.final then overwrite(self) end
end

function SwapEMAWeights:on_exception() swap_out(self) end

---The averages in the model for as long as a scope lasts: `local _ <close> = ema:swapped()`.
---@return table scope
function SwapEMAWeights:swapped()
  if not self._average then usage("SwapEMAWeights: there are no averages before the first step") end
  local was = self._swapped
  swap_in(self, self._model)
  return setmetatable({}, {__close = function() if not was then swap_out(self) end end})
end

---The averages as a model of their own.
---@return Module
function SwapEMAWeights:average()
  if not self._average then usage("SwapEMAWeights: there are no averages before the first step") end
  return self._average.module
end

--- What a checkpoint keeps: the averages, and those weights that are not in the model just now.
---@private
---@return table
function SwapEMAWeights:state_dict()
  local dict = {swapped = self._swapped or false, averages = {}}
  if self._average then
    for name, parameter in self._average.module:named_parameters() do dict.averages[name] = parameter:detach() end
  end
  return dict
end

--- Goes on from what a checkpoint kept. A checkpoint of swapped weights has the averages in its model.
---@private
---@param dict table
function SwapEMAWeights:load_state_dict(dict)
  if self._average then
    local _ <close> = torch.no_grad()
    for name, parameter in self._average.module:named_parameters() do
      if dict.averages[name] ~= nil then parameter:copy_(dict.averages[name]) end
    end
    self._swapped = dict.swapped
  end
end

---Keeps a moving average of the weights, average = momentum * average + (1 - momentum) * weights after each step, and puts it
---into the model while it is validated, evaluated or predicts with this callback; afterwards, and after an error, the
---weights are those of the training again.
---@param arguments? table swap_on_epoch = false (Keras's: also at the end of each epoch, for checkpoints), momentum = 0.99,
---overwrite_frequency (steps after which the average replaces the weights; Keras's ema_overwrite_frequency), final = false
---(the model ends with the averages), errors = "raise", budget
---@return table callback with `swapped()` (a scope) and `average()` (a model)
return function(arguments)
  local self = setmetatable(options.of_callback("train.SwapEMAWeights", arguments, {
    swap_on_epoch = false, momentum = 0.99, overwrite_frequency = keywords.none, final = false,
  }, {swap_on_epoch = "flag", momentum = "not_negative", overwrite_frequency = "positive_count", final = "flag"}), SwapEMAWeights)
  if self.momentum > 1 then usage(("train.SwapEMAWeights: momentum must be 0 to 1, got %s"):format(self.momentum)) end
  return self
end
