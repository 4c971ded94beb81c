-- What hooks a callback has, by event, and what an error calls one that has no name.
local hooks = require "train.hooks"
local nearest = require "train.nearest"
local ordered = require "host.ordered"

local callback_hooks = {}

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

---What errors call a callback that has no name: where its first hook is written.
---@param callback table
---@return string "of train.lua:12"
function callback_hooks.place(callback)
  for _, key in ipairs(ordered.keys(callback)) do
    if type(callback[key]) == "function" then
      local info = debug.getinfo(callback[key], "S")
      if info.linedefined > 0 then return ("of %s:%d"):format(info.short_src, info.linedefined) end
    end
  end
  return "without a name"
end

-- The keys of a callback that look like hooks: its own and its class's, where a misspelt one shows, and every hook name
-- that it answers to.
local function hook_keys(callback)
  local found, holder = {}, callback
  for _ = 1, 8 do
    for key in pairs(holder) do
      if type(key) == "string" and key:find("^on_") then found[key] = true end
    end
    local meta = getmetatable(holder)
    holder = type(meta) == "table" and rawget(meta, "__index") or nil
    if type(holder) ~= "table" then break end
  end
  for _, key in ipairs(hooks.names) do
    if callback[key] ~= nil then found[key] = true end
  end
  return ordered.keys(found)
end

---The hooks of a callback by event; misspelt, doubled and missing ones are errors.
---@param callback table
---@param name string of it in errors
---@return table<string, function> by_event
---@return table<string, string> source the name of each in the callback
function callback_hooks.of(callback, name)
  local by_event, source = {}, {}
  for _, key in ipairs(hook_keys(callback)) do
    local events = hooks.of_name[key]
    if not events then
      usage(("callback %s: unknown hook '%s'%s"):format(name, key, nearest.suggest(key, hooks.names)))
    end
    if type(callback[key]) ~= "function" then
      usage(("callback %s: hook '%s' must be a function, got %s"):format(name, key, type(callback[key])))
    end
    local given = debug.getinfo(callback[key], "u").nparams
    if given > 2 then
      usage(("callback %s: hook '%s' gets (self, state), it has %d parameters"):format(name, key, given),
        "what Keras hands over as epoch, batch and logs is state.epoch, state.batch and state.logs")
    end
    for _, event in ipairs(events) do
      if by_event[event] then
        usage(("callback %s: '%s' and '%s' are the same hook; define one"):format(name, source[event], key))
      end
      by_event[event], source[event] = callback[key], key
    end
  end
  if not next(by_event) then
    usage(("callback %s has no hook"):format(name), "a callback is a table with functions such as on_epoch_end")
  end
  return by_event, source
end

return callback_hooks
