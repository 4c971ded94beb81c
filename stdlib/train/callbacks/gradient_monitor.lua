-- train.GradientMonitor: norms of gradients, updates and activations by layer, warnings that name the layer, interventions.
local activations = require "train.activations"
local gradient_policy = require "train.gradient_policy"
local histogram = require "train.histogram"
local keywords = require "host.keywords"
local layers = require "train.layers"
local numbers = require "train.numbers"
local options = require "train.options"
local ordered = require "host.ordered"
local running_median = require "train.running_median"
local torch = require "torch"

local GradientMonitor = {__name = "GradientMonitor", group = "metrics", errors = "raise", writes = {"grad_norm"},
  writes_vary = true, state_fields = {"recent", "warned", "listed", "interventions", "_sums", "_counts"}}
GradientMonitor.__index = GradientMonitor

local short <const>, keep <const> = numbers.short, require("native.tensor").keep
local LEAST <const> = 5  -- norms that make a median

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function GradientMonitor:check(state)
  if not state.model and not state.optimizer then require("native.vm").raise("usage", "needs a model or an optimizer") end
  local writes = {"grad_norm"}
  local known = layers.new(state)
  for _, kind in ipairs {"grad_norm", self.update_ratio and "update_ratio" or nil} do
    for _, name in ipairs(known.order) do writes[#writes + 1] = kind .. "/" .. name end
  end
  for _, name in ipairs(self.activations and state.model and activations.names(state.model) or {}) do
    writes[#writes + 1] = "activation_norm/" .. name
  end
  self.writes = writes
end

-- "grad_norm/0" and so on, made once.
local KEYS <const> = {"grad_norm", "update_ratio", "finite", "vanishing", "exploding", "small", "large"}

local function look_at(self, state)
  local known = layers.new(state)
  known.keys = {}
  for _, kind in ipairs(KEYS) do
    known.keys[kind] = {}
    for _, name in ipairs(known.order) do known.keys[kind][name] = kind .. "/" .. name end
  end
  self._layers, self._copies = known, nil
end

local function note(self, state, text)
  if text and self.verbose then state:say("GradientMonitor: " .. text) end
end

local function forget(self)
  self.recent, self.warned, self.listed, self.interventions = {}, {}, false, 0
  self._sums, self._counts = {}, {}
end

function GradientMonitor:on_train_begin(state)
  forget(self)
  self._median = running_median(self.recent)
  look_at(self, state)
end

local function close_activations(self)
  if self._activations then self._activations:close() end
  self._activations = nil
end

function GradientMonitor:on_epoch_begin(state)
  self._sums, self._counts = {}, {}
  if not self._layers or not self._layers:is_current(state) then
    look_at(self, state)
  end
end

-- Every log_freq steps from the first one, and once in an epoch.
local function is_due(self, state) return state.step % self.log_freq == 0 or self._counts.grad_norm == nil end

function GradientMonitor:on_batch_begin(state)
  if not self.activations or not state.model then return end
  close_activations(self)
  if is_due(self, state) then self._activations = activations.open(state.model) end
end

local function log(self, state, name, value)
  state.logs[name] = value
  if value - value ~= 0 then return end
  self._sums[name] = (self._sums[name] or 0) + value
  self._counts[name] = (self._counts[name] or 0) + 1
end

-- Is what `key` says to be told now? Once, until it is no longer bad.
local function is_news(self, key, is_bad)
  if not is_bad then
    self.warned[key] = nil
    return false
  end
  local news = not self.warned[key]
  self.warned[key] = true
  return news
end

local function tell(self, state, text, ...)
  if self.verbose then state:say(("warning: GradientMonitor: step %d: %s"):format(state.step + 1, text:format(...))) end
end

-- What is said at the first step that is read.
local function introduce(self, state, norms)
  self.listed = true
  note(self, state, not self.max_norm and gradient_policy.about_spikes(self.policy, self.spike))
  local names = {}
  for i, tensor in ipairs(self._layers.tensors) do
    if not norms[i] and tensor.requires_grad then names[#names + 1] = self._layers.names[i] end
  end
  self.without_gradient = names
  if #names == 0 or not self.verbose then return end
  state:say(("warning: GradientMonitor: %d parameter%s without gradient: %s"):format(#names, #names == 1 and "" or "s",
    table.concat(names, ", ")))
end

local function largest(by_layer, order)
  local name
  for _, each in ipairs(order) do
    if by_layer[each] and (not name or by_layer[each] > by_layer[name] or by_layer[each] ~= by_layer[each]) then name = each end
  end
  return name
end

-- The whole norm against max_norm and the median of those before.
local function judge(self, state, by_layer, total)
  local known = self._layers
  if self._median.recent ~= self.recent then self._median = running_median(self.recent) end  -- of a checkpoint
  local middle = #self.recent >= LEAST and self._median:value() or nil
  local is_finite = total - total == 0
  local is_over = is_finite and self.max_norm and total > self.max_norm
  local is_spike = is_finite and middle and middle > 0 and total > self.spike * middle
  if is_over or is_spike then
    local name, bound = largest(by_layer, known.order), is_over and self.max_norm or middle * self.spike
    local from = name and ", most of it in " .. known:layer(name) or ""
    local over = is_over and is_news(self, "max_norm", true)
    local spike = is_spike and is_news(self, "spike", true)
      and ("a spike: %s times the running median %s"):format(short(total / middle), short(middle))
    if over or spike then
      local above = over and "above max_norm = " .. short(self.max_norm)
      tell(self, state, "the gradient's norm %s is %s%s%s", short(total), above and spike and above .. ", " .. spike or above or spike,
        from, gradient_policy.action(self.policy, bound))
    end
    if self.policy ~= "warn" then self.interventions = self.interventions + 1 end
    gradient_policy.act(self.policy, state, known, {kind = is_over and "max_norm" or "spike", norm = total, median = middle,
      layer = name, bound = bound, step = state.step})
  end
  if not is_over then self.warned.max_norm = nil end
  if not is_spike then self.warned.spike = nil end
  if is_finite then self._median:push(total, self.window) end
end

local function judge_layers(self, state, by_layer)
  local known = self._layers
  for _, name in ipairs(known.order) do
    local norm = by_layer[name]
    if norm then
      if is_news(self, known.keys.finite[name], norm - norm ~= 0) then
        tell(self, state, "the gradient of %s is not finite (train.NanGuard tells why)", known:layer(name))
      end
      if is_news(self, known.keys.vanishing[name], norm < self.vanishing) then
        tell(self, state, "vanishing gradient: the norm of %s is %s, below %s", known:layer(name), short(norm),
          short(self.vanishing))
      end
      if is_news(self, known.keys.exploding[name], norm > self.exploding and norm < math.huge) then
        tell(self, state, "exploding gradient: the norm of %s is %s, above %s", known:layer(name), short(norm),
          short(self.exploding))
      end
    end
  end
end

local function take_histograms(self, state)
  local all = {}
  for i, tensor in ipairs(self._layers.tensors) do
    local name = self._layers.names[i]
    all["weights/" .. name] = histogram(tensor, self.bins)
    if tensor.grad ~= nil then all["gradients/" .. name] = histogram(tensor.grad, self.bins) end
  end
  if self._activations then
    for i, name in ipairs(self._activations.names) do
      all["activations/" .. name] = histogram(self._activations.outputs[i], self.bins)
    end
  end
  state.histograms = all
end

-- The weights of now, for what the step will have changed.
local function remember_weights(self)
  local _ <close> = torch.no_grad()
  if self._copies then
    torch.ops.aten._foreach_copy_(self._copies, self._layers.tensors)
  else
    self._copies = {}
    for i, tensor in ipairs(self._layers.tensors) do self._copies[i] = keep(tensor:detach():clone()) end
  end
  self._compares = true
end

function GradientMonitor:on_before_step(state)
  if not self._layers then self:on_train_begin(state) end
  local due = is_due(self, state)
  if due or self.policy ~= "warn" then
    local norms = self._layers:gradient_norms()
    local by_layer, total = self._layers:by_layer(norms)
    if due then
      if not self.listed then introduce(self, state, norms) end
      log(self, state, "grad_norm", total)
      local known = self._layers
      for _, name in ipairs(known.order) do
        if by_layer[name] then log(self, state, known.keys.grad_norm[name], by_layer[name]) end
      end
      if self._activations then
        local sizes = self._activations:sizes()
        for _, name in ipairs(self._activations.names) do log(self, state, "activation_norm/" .. name, sizes[name]) end
      end
      if self.histograms then take_histograms(self, state) end
      if self.update_ratio then remember_weights(self) end
      judge_layers(self, state, by_layer)
    end
    judge(self, state, by_layer, total)
  end
  if self.clip then gradient_policy.clip(self._layers, self.clip) end
end

function GradientMonitor:on_after_step(state)
  if not self._compares then return end
  self._compares = false
  local known = self._layers
  local changes, norms = known:changes(self._copies)
  local updates, weights = known:by_layer(changes), known:by_layer(norms)
  for _, name in ipairs(known.order) do
    if weights[name] > 0 then
      local ratio = updates[name] / weights[name]
      log(self, state, known.keys.update_ratio[name], ratio)
      local is_trained = ratio > 0 or known:has_gradient(name)
      if is_news(self, known.keys.small[name], is_trained and ratio < self.least_update) then
        tell(self, state, "the update of %s is %s of its weights, below %s", known:layer(name), short(ratio),
          short(self.least_update))
      end
      if is_news(self, known.keys.large[name], ratio > self.greatest_update) then
        tell(self, state, "the update of %s is %s of its weights, above %s", known:layer(name), short(ratio),
          short(self.greatest_update))
      end
    end
  end
end

function GradientMonitor:on_batch_end()
  self._compares = false
  close_activations(self)
end

-- What the epoch's logs say is the mean of what was read in it.
function GradientMonitor:on_epoch_end(state)
  for _, name in ipairs(ordered.keys(self._sums)) do state.logs[name] = self._sums[name] / self._counts[name] end
end

function GradientMonitor:on_train_end(state)
  close_activations(self)
  note(self, state, gradient_policy.summary(self.policy, self.interventions))
end
function GradientMonitor:on_exception() close_activations(self) end

---Watches gradients before they are clipped, every `log_freq` steps: logs `grad_norm`, `grad_norm/<layer>` and
---`update_ratio/<layer>` (|update| / |weight| of the step), with `activations` also `activation_norm/<layer>` (the root of
---the mean square of what a layer gives, by hooks that are there at these steps only); at the end of an epoch the mean of
---what was read in it. Warns once, until it recovers, with the layer's name: vanishing and exploding gradients, a norm above
---`max_norm` or above `spike` times the running median, updates out of bounds; lists parameters without gradient once.
---@param arguments? table log_freq = 10, max_norm, spike = 10 (times the median of the last `window` = 50 norms), clip (the
---norm that every step's gradients are scaled down to, after they were read), policy = "warn"|"clip"|"skip"|"stop"|
---function(state, event) for a norm that is too large (any but "warn" reads every step; "clip" scales it down to max_norm, or
---to `spike` times the median; without max_norm a policy is about spikes alone; event has kind, norm, median, layer, bound);
---what was done is told with the warning and counted at the end), vanishing = 1e-7, exploding = 1e4 (norms of a layer),
---update_ratio = true, least_update = 1e-5, greatest_update = 1e-1, activations = false, histograms = false
---(state.histograms["gradients/0.weight"], "weights/...", "activations/..." = {counts, edges, ...} at each reading),
---bins = 64, verbose = true, errors = "raise", budget
---@return table callback `interventions` counts the steps that a policy has acted on
return function(arguments)
  local self = setmetatable(options.of_callback("train.GradientMonitor", arguments, {
    log_freq = 10, max_norm = keywords.none, spike = 10, window = 50, clip = keywords.none, policy = "warn", vanishing = 1e-7,
    exploding = 1e4, update_ratio = true, least_update = 1e-5, greatest_update = 1e-1, activations = false,
    histograms = false, bins = 64, verbose = true,
  }, {
    log_freq = "positive_count", max_norm = "positive", spike = "positive", window = "positive_count",
    clip = "positive", vanishing = "not_negative", exploding = "not_negative", update_ratio = "flag",
    least_update = "not_negative", greatest_update = "not_negative", activations = "flag", histograms = "flag",
    bins = "positive_count", verbose = "verbose",
  }), GradientMonitor)
  if type(self.policy) ~= "function" then
    options.check("train.GradientMonitor", self, {policy = gradient_policy.NAMES})
  end
  forget(self)
  return self
end
