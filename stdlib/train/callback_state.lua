-- What of a callback is saved in a checkpoint.
--
-- `state_dict`/`load_state_dict` where the callback has them; else the fields that its class lists in `state_fields`;
-- else every field of its own that is a boolean, number, string, tensor or a table of these. Functions and names that
-- begin with "_" are left out; any other userdata is an error before training.
local ordered = require "host.ordered"

local callback_state = {}

-- Is it a value that a checkpoint can hold? Returns false and the path to what it cannot.
local function can_save(value, path, seen)
  local kind = type(value)
  if kind == "boolean" or kind == "number" or kind == "string" or kind == "function" or kind == "nil" then return true end
  if kind == "userdata" then
    if require("torch").is_tensor(value) then return true end
    return false, path
  end
  if kind ~= "table" then return false, path end
  if seen[value] then return true end
  seen[value] = true
  for _, key in ipairs(ordered.keys(value)) do
    if not (type(key) == "string" and key:sub(1, 1) == "_") then
      local ok, where = can_save(value[key], path .. "." .. tostring(key), seen)
      if not ok then return false, where end
    end
  end
  return true
end

-- A copy without functions and private names.
local function copy(value, seen)
  if type(value) ~= "table" then return value end
  if seen[value] then return seen[value] end
  local result = {}
  seen[value] = result
  for key, item in pairs(value) do
    local private = type(key) == "string" and key:sub(1, 1) == "_"
    if not private and type(item) ~= "function" then result[key] = copy(item, seen) end
  end
  return result
end

local function has_own_state(callback) return callback.state_dict or callback.state_fields end

---A usage error if the callback holds something that no checkpoint can keep.
function callback_state.check(callback, name)
  if has_own_state(callback) then return end
  for _, key in ipairs(ordered.keys(callback)) do
    if type(key) == "string" and key:sub(1, 1) ~= "_" then
      local ok, where = can_save(callback[key], key, {[callback] = true})
      if not ok then
        require("native.vm").raise("usage",
          ("callback %s: the field '%s' cannot be kept in a checkpoint"):format(name, where),
          ("begin its name with '_' to leave it out, or give the callback a state_dict and load_state_dict"))
      end
    end
  end
end

---The state of a callback, a table.
function callback_state.get(callback)
  if callback.state_dict then return callback:state_dict() end
  local state = {}
  if callback.state_fields then
    for _, key in ipairs(callback.state_fields) do state[key] = copy(callback[key], {}) end
    return state
  end
  return copy(callback, {})
end

---Puts a state of callback_state.get back.
---@param callback table
---@param state table
---@param training? table the state of the training, for a load_state_dict that needs it
function callback_state.set(callback, state, training)
  if callback.load_state_dict then return callback:load_state_dict(state, training) end
  for key, value in pairs(state) do callback[key] = value end
end

return callback_state
