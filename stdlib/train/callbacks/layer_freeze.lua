-- train.LayerFreeze: freezes and unfreezes layers as epochs go by.
local keywords = require "host.keywords"
local options = require "train.options"
local ordered = require "host.ordered"

local LayerFreeze = {__name = "LayerFreeze", group = "policy"}
LayerFreeze.__index = LayerFreeze

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

-- "backbone.*" as a pattern; a plain name stands for itself and all below it.
local function pattern_of(name)
  return "^" .. name:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
end

-- The modules, else the parameters, that a name or pattern means.
local function find(model, name)
  local pattern, modules, parameters, names = pattern_of(name), {}, {}, {}
  for each, module in model:named_modules() do
    if each ~= "" then
      names[#names + 1] = each
      if each:find(pattern) then modules[#modules + 1] = module end
    end
  end
  if #modules > 0 then return modules, parameters end
  for each, parameter in model:named_parameters() do
    names[#names + 1] = each
    if each:find(pattern) then parameters[#parameters + 1] = parameter end
  end
  if #parameters == 0 then
    usage(("the model has no layer '%s'%s"):format(name, require("train.nearest").suggest(name, names)))
  end
  return modules, parameters
end

local function each_name(value, visit)
  if type(value) == "string" then return visit(value) end
  for _, name in ipairs(value or {}) do visit(name) end
end

-- One layer more from the end every k epochs; all but the last are frozen at first.
local function gradual(self, model)
  local names = self.layers
  if not names then
    names = {}
    for name, child in model:named_children() do
      if #child:parameters() > 0 then names[#names + 1] = name end
    end
  end
  if #names < 2 then usage("gradual needs two layers or more with parameters", "layers = {\"encoder.0\", \"encoder.1\", \"head\"}") end
  local frozen = table.move(names, 1, #names - 1, 1, {})
  local schedule = {{epoch = 0, freeze = frozen}}
  for i = #frozen, 1, -1 do
    schedule[#schedule + 1] = {epoch = (#frozen - i + 1) * self.gradual, unfreeze = frozen[i]}
  end
  return schedule
end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function LayerFreeze:check(state)
  if not state.model then usage("needs a model") end
  self._schedule = self.gradual and gradual(self, state.model) or self.schedule
  for _, entry in ipairs(self._schedule) do
    for _, what in ipairs {"freeze", "unfreeze"} do
      each_name(entry[what], function(name) if name ~= "*" then find(state.model, name) end end)
    end
  end
end

function LayerFreeze:on_train_begin() self._applied = 0 end

local function freeze(state, name)
  local nn = require("torch").nn
  if name == "*" then return nn.freeze(state.model) end
  local modules, parameters = find(state.model, name)
  for _, module in ipairs(modules) do nn.freeze(module) end
  for _, parameter in ipairs(parameters) do
    parameter:requires_grad_(false)
    parameter.grad = nil
  end
end

-- Parameters that the optimizer was not given when they were frozen become a group of their own.
local function hand_over(self, state, parameters)
  local optimizer = state.optimizer
  if not (optimizer and optimizer.add_param_group) then return end
  local known, new = {}, {}
  for _, group in ipairs(optimizer.param_groups) do
    for _, parameter in ipairs(group.params) do known[parameter] = true end
  end
  for _, parameter in ipairs(parameters) do
    if parameter.requires_grad and not known[parameter] then new[#new + 1] = parameter end
  end
  if #new == 0 then return end
  optimizer:add_param_group {params = new, lr = optimizer.param_groups[1].lr * self.lr_factor}
end

local function unfreeze(self, state, name)
  local nn = require("torch").nn
  if name == "*" then
    nn.unfreeze(state.model)
    return hand_over(self, state, state.model:parameters())
  end
  local modules, parameters = find(state.model, name)
  for _, module in ipairs(modules) do
    nn.unfreeze(module)
    hand_over(self, state, module:parameters())
  end
  for _, parameter in ipairs(parameters) do parameter:requires_grad_(true) end
  hand_over(self, state, parameters)
end

--- What a checkpoint keeps: how many entries of the schedule are done.
---@private
---@return table
function LayerFreeze:state_dict() return {applied = self._applied} end

local function apply(self, state, entry)
  each_name(entry.freeze, function(name) freeze(state, name) end)
  each_name(entry.unfreeze, function(name) unfreeze(self, state, name) end)
end

--- Does the same to this model and this optimizer, which gets the same groups.
---@private
---@param dict table
---@param state table of the training
function LayerFreeze:load_state_dict(dict, state)
  if not self._schedule then self:check(state) end
  for i = (self._applied or 0) + 1, math.min(dict.applied or 0, #self._schedule) do
    self._applied = i
    apply(self, state, self._schedule[i])
  end
end

local function names_of(value) return type(value) == "string" and value or table.concat(value, ", ") end

function LayerFreeze:on_epoch_begin(state)
  if not self._schedule then self:check(state) end
  for i = (self._applied or 0) + 1, #self._schedule do
    local entry = self._schedule[i]
    if entry.epoch > state.epoch then break end
    self._applied = i
    apply(self, state, entry)
    if self.verbose then
      for _, what in ipairs {"freeze", "unfreeze"} do
        if entry[what] then state:say(("LayerFreeze: epoch %d: %s %s"):format(state.epoch + 1, what, names_of(entry[what]))) end
      end
    end
  end
end

-- The schedule as a list by epoch: {[0] = {freeze = "a"}, [3] = {unfreeze = "a"}}, or a list of {epoch, freeze, unfreeze}.
local function read_schedule(given)
  if type(given) ~= "table" then
    usage(("train.LayerFreeze: schedule must be a table, got %s"):format(require("native.vm").describe(given)))
  end
  local list = {}
  for _, key in ipairs(ordered.keys(given)) do
    local entry = given[key]
    if math.type(key) ~= "integer" or type(entry) ~= "table" then
      usage("train.LayerFreeze: schedule must be by epoch: {[0] = {freeze = \"backbone\"}, [3] = {unfreeze = \"backbone\"}}")
    end
    for name, value in pairs(entry) do
      local ok = name == "epoch" and math.type(value) or
        (name == "freeze" or name == "unfreeze") and (type(value) == "string" or type(value) == "table")
      if not ok then
        usage(("train.LayerFreeze: schedule[%s] has %s = %s; valid: epoch, freeze, unfreeze"):format(key, tostring(name),
          require("native.vm").describe(value)))
      end
    end
    list[#list + 1] = {epoch = entry.epoch or key, freeze = entry.freeze, unfreeze = entry.unfreeze, place = #list}
  end
  table.sort(list, function(a, b)
    if a.epoch ~= b.epoch then return a.epoch < b.epoch end
    return a.place < b.place
  end)
  return list
end

---Freezes and unfreezes layers by nn.freeze at the begin of epochs (counted from 0). Names are those of named_modules (all
---below is meant too) or of parameters; `*` stands for any text: "encoder.*", "*.bias"; "*" alone is the whole model.
---Parameters that the optimizer does not have when they are unfrozen become a new group of it.
---@param arguments table schedule = {[0] = {freeze = {"backbone"}}, [3] = {unfreeze = "backbone.layer4"}}, or a list of
---{epoch = 0, freeze = names, unfreeze = names}; or gradual = k: only the last layer trains at first, and every k epochs the
---one before it joins (of `layers`, by default the model's children with parameters); lr_factor = 1 (of the first group's
---learning rate, for new groups), verbose = false, errors = "raise", budget
---@return table callback
return function(arguments)
  local self = setmetatable(options.of_callback("train.LayerFreeze", arguments, {
    schedule = keywords.none, gradual = keywords.none, layers = keywords.none, lr_factor = 1, verbose = false,
  }, {gradual = "positive_count", layers = "names", lr_factor = "not_negative", verbose = "verbose"}), LayerFreeze)
  if (self.schedule == nil) == (self.gradual == nil) then
    usage("train.LayerFreeze: give schedule or gradual", "schedule = {[0] = {freeze = \"backbone\"}, [3] = {unfreeze = \"backbone\"}}")
  end
  if self.schedule then self.schedule = read_schedule(self.schedule) end
  return self
end
