-- Hooks of callbacks that no training calls: misspelt ones in tables, in methods and in train.on.
local hooks = require "train.hooks"
local keywords = require "host.keywords"
local values = require "host.check.values"
local written = require "train.check.written"

-- Hooks of Lightning and of transformers, and what is heard here.
local OTHERS <const> = {
  on_fit_start = "on_train_begin", on_fit_end = "on_train_end", on_train_start = "on_train_begin",
  on_train_epoch_start = "on_epoch_begin", on_train_epoch_end = "on_epoch_end", on_epoch_start = "on_epoch_begin",
  on_train_batch_start = "on_train_batch_begin", on_validation_start = "on_valid_begin", on_validation_end = "on_valid_end",
  on_validation_epoch_start = "on_valid_begin", on_validation_epoch_end = "on_valid_end",
  on_validation_batch_start = "on_valid_batch_begin", on_validation_batch_end = "on_valid_batch_end",
  on_before_optimizer_step = "on_before_step", on_before_zero_grad = "on_after_step", on_step_begin = "on_batch_begin",
  on_step_end = "on_batch_end", on_save = "on_checkpoint_save", on_save_checkpoint = "on_checkpoint_save",
  on_load_checkpoint = "on_checkpoint_load", on_evaluate = "on_valid_end",
}

local SHORTEST <const> = 8  -- letters of a name that is taken for a misspelt hook by itself

-- A name that begins like a hook's, and is near one, or in a table that has hooks.
local function check_names(names, report)
  local is_callback = false
  for _, each in ipairs(names) do is_callback = is_callback or hooks.of_name[each.name] ~= nil end
  for _, each in ipairs(names) do
    if not hooks.of_name[each.name] then
      local other = OTHERS[each.name]
      local near = other and ("here it is %s"):format(other) or keywords.did_you_mean(each.name, hooks.names)
      if is_callback or near and #each.name >= SHORTEST then
        report(each.at, ("unknown hook '%s'"):format(each.name), near or "valid: " .. table.concat(hooks.names, ", "))
      end
    end
  end
end

local function is_hook(name) return type(name) == "string" and name:find("^on_%l") ~= nil end

-- Names of what a hook has to say, where it takes one thing alone: that is its callback.
local TOLD <const> = {state = true, epoch = true, batch = true, step = true, logs = true}

-- What a hook is called with: f(self, state).
local function check_parameters(name, f, at, report)
  local given = f.type == "function" and f.parameters
  if not given then return end
  if #given == 1 and TOLD[given[1]] then
    report(at, ("hook '%s' takes (%s), and is called with (self, state)"):format(name, given[1]),
      ("function(self, %s)"):format(given[1]))
  elseif #given > 2 then
    report(at, ("hook '%s' takes (%s), and is called with (self, state)"):format(name, table.concat(given, ", ")),
      "what Keras gives is in state: state.epoch, state.batch, state.logs")
  end
end

local function check_on(call, report)
  local f = call.arguments[#call.arguments]
  f = f and values.origin(f)
  if f and f.type == "function" and f.parameters[1] == "self" then
    report(f, "train.on calls its function with (state), without self", "function(state)")
  end
end

---@param found table of the parser
---@param report fun(at: table, message: string, hint: string?)
return function(found, report)
  local plain = {}  -- the tables of LambdaCallback, whose functions are called with (state)
  for _, call in ipairs(found.calls) do
    local name, home = written.called_name(call)
    if home == "train" and not call.protected then
      if name == "on" then check_on(call, report) end
      if name == "LambdaCallback" and call.arguments[1] then plain[values.origin(call.arguments[1])] = true end
    end
  end
  for _, node in ipairs(found.tables) do
    local names = {}
    for _, item in ipairs(not node.protected and node.items or {}) do
      local kind = is_hook(item.key) and item.value.type
      if kind == "function" or kind == "name" then
        names[#names + 1] = {name = item.key, at = item}
        if hooks.of_name[item.key] and not plain[node] then check_parameters(item.key, item.value, item, report) end
      end
    end
    check_names(names, report)
  end
  local by_owner, owners = {}, {}
  for _, node in ipairs(found.methods) do
    if is_hook(node.key) and node.object.type == "name" then
      local owner = node.object.variable or node.object.name
      if not by_owner[owner] then
        by_owner[owner] = {}
        owners[#owners + 1] = owner
      end
      table.insert(by_owner[owner], {name = node.key, at = node})
      if hooks.of_name[node.key] then check_parameters(node.key, node.defined, node, report) end
    end
  end
  for _, owner in ipairs(owners) do check_names(by_owner[owner], report) end
end
