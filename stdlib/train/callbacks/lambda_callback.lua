-- train.LambdaCallback: a callback from functions by hook name, each called as f(state).
local hooks = require "train.hooks"
local nearest = require "train.nearest"
local ordered = require "host.ordered"
local options = require "train.options"

local LambdaCallback = {__name = "LambdaCallback", state_fields = {}}
LambdaCallback.__index = LambdaCallback

local OTHER <const> = {name = true, group = true, errors = true, budget = true, writes = true}

---Makes a callback from functions.
---@param arguments table any hook names, each a function of `state`; and name, group, errors, budget, writes
---@return table callback
return function(arguments)
  local raise = require("native.vm").raise
  if type(arguments) ~= "table" then
    raise("usage", ("train.LambdaCallback: expected a table of hooks, got %s"):format(type(arguments)))
  end
  local self = setmetatable({}, LambdaCallback)
  for _, key in ipairs(ordered.keys(arguments)) do
    local f = arguments[key]
    if OTHER[key] then
      self[key] = f
    elseif not hooks.of_name[key] then
      raise("usage", ("train.LambdaCallback: unknown hook '%s'%s"):format(tostring(key),
        nearest.suggest(tostring(key), hooks.names)))
    elseif type(f) ~= "function" then
      raise("usage", ("train.LambdaCallback: %s must be a function, got %s"):format(key, type(f)))
    elseif debug.getinfo(f, "u").nparams > 1 then
      raise("usage", ("train.LambdaCallback: %s gets (state), it has %d parameters"):format(key, debug.getinfo(f, "u").nparams),
        "what Keras hands over as epoch, batch and logs is state.epoch, state.batch and state.logs")
    else
      self[key] = function(_, state) return f(state) end
    end
  end
  return options.check("train.LambdaCallback", self, options.OF_ALL)
end
