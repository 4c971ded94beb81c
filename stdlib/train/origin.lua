-- Whose a checkpoint is: of which script, optimizer and hyperparameters, and after how many trainings of the same script.
local host = require "host"
local vm = require "native.vm"

local origin = {}

local ended = {}  -- folder -> the models whose trainings into it have ended well in this process, a set of weak keys, and count

local function class_of(object)
  local ok, name = pcall(function() return object.__name end)
  return ok and type(name) == "string" and name or nil
end

local function is_plain(value)
  local kind = type(value)
  return kind == "number" or kind == "boolean" or kind == "string"
end

local function plain(value)
  if is_plain(value) then return value end
  if type(value) ~= "table" or getmetatable(value) ~= nil then return nil end
  for _, item in ipairs(value) do
    if not is_plain(item) then return nil end
  end
  return type(value[1]) == "number" and table.move(value, 1, #value, 1, {}) or nil
end

-- What the script has given the optimizer, by group: before callbacks and schedulers change it.
local function given(optimizer)
  local ok, groups = pcall(function() return optimizer.param_groups end)
  local all = {}
  for i, group in ipairs(ok and groups or {}) do
    all[i] = {}
    for key, value in pairs(group) do
      if key ~= "params" then all[i][key] = plain(value) end
    end
  end
  return all
end

---Takes note of what a training is, before its first step.
---@param state table
function origin.begin(state)
  if state.optimizer and not state._given then state._given = given(state.optimizer) end
end

local function script() return host.script and host.script:match("[^/]+$") or nil end

local function who(state) return state.model or state.saved or state end

local function turn(folder, state)
  local of = folder and ended[host.file.absolute(folder)]
  if not of then return 0 end
  return of.count - (of.models[who(state)] and 1 or 0)
end

---What a checkpoint holds of it.
---@param state table
---@param folder? string that the training writes its checkpoints into
---@return table
function origin.contents(state, folder)
  return {optimizer = class_of(state.optimizer), given = state._given, script = script(), turn = turn(folder, state)}
end

---A training has ended well.
---@param state table
---@param folder? string
function origin.finish(state, folder)
  if not folder then return end
  local path, model = host.file.absolute(folder), who(state)
  local of = ended[path] or {models = setmetatable({}, {__mode = "k"}), count = 0}
  ended[path] = of
  if not of.models[model] then of.models[model], of.count = true, of.count + 1 end
end

---As in a process of its own.
function origin.forget() ended = {} end

local OWN <const> = "give each training a folder of its own; resume = that folder goes on from it all the same, resume = false begins anew"

---A usage error if a checkpoint that nobody has asked for by name is another training's.
---@param state table
---@param path string
---@param was table of `contents`
---@param folder string
function origin.check_own(state, path, was, folder)
  local mine, now = script(), turn(folder, state)
  if mine and was.script and was.script ~= mine then
    vm.raise("usage", ("the checkpoint %s was written by %s, this is %s"):format(path, was.script, mine), OWN)
  end
  if was.turn and was.turn ~= now then
    vm.raise("usage", ("the checkpoint %s is of another training: of those that write into '%s' it was number %d of its script, "
      .. "this is number %d"):format(path, folder, was.turn + 1, now + 1), OWN)
  end
end

---A usage error where the optimizers differ in kind.
---@param state table
---@param path string
---@param was table
function origin.check_optimizer(state, path, was)
  local mine = class_of(state.optimizer)
  if not (mine and was.optimizer) then return end
  local groups, others = #(state._given or {}), #(was.given or {})
  if mine == was.optimizer and groups == others then return end
  local function named(name, count) return name .. (groups == others and "" or (" with %d parameter groups"):format(count)) end
  vm.raise("usage", ("the checkpoint %s does not fit this training: its optimizer is %s, that of the script is %s"):format(path,
    named(was.optimizer, others), named(mine, groups)),
    "resume = false begins anew; torch.load(FOLDER .. \"/model.safetensors\") has its weights")
end

local function text(value)
  if type(value) ~= "table" then return tostring(value) end
  local words = {}
  for i, item in ipairs(value) do words[i] = tostring(item) end
  return "{" .. table.concat(words, ", ") .. "}"
end

---Says which hyperparameters the script gives in vain: those of the checkpoint are taken.
---@param state table
---@param was table
function origin.tell(state, was)
  local words = {}
  for i, group in ipairs(was.given or {}) do
    local now, names = (state._given or {})[i] or {}, {}
    for key, value in pairs(group) do
      if now[key] ~= nil and text(value) ~= text(now[key]) then names[#names + 1] = key end
    end
    table.sort(names)
    for _, key in ipairs(names) do
      words[#words + 1] = ("%s%s (%s then, %s in the script now)"):format(key, #was.given > 1 and " of group " .. i or "",
        text(group[key]), text(now[key]))
    end
  end
  state._given = was.given or state._given
  if #words == 0 then return end
  host.log.warn(("resume: the optimizer keeps the checkpoint's %s; a hook of checkpoint_load may set state.optimizer.param_groups")
    :format(table.concat(words, ", ")))
end

return origin
