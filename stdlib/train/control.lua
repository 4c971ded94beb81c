-- Code that is run inside a training, between two of its steps: what `trainhost attach` sends, and what train.replay
-- does again.
local serve = require "native.serve"

local Control = {}
Control.__index = Control

local MODULES <const> = {torch = "torch", nn = "torch.nn", train = "train", mlflow = "mlflow", host = "host"}

local HELP <const> = [[
state            the training: state.epoch, state.step, state.logs.loss, state.model, state.optimizer
lr(value)        sets the learning rate of all groups; lr() shows them
save(path)       writes a checkpoint, by default attached/step_N
stop(reason)     ends the training in good order after this batch
help(torch.add)  what there is about a function, class or namespace; help "train.fit" the same by name
print, io.write  come here; any Lua is run between two steps, names without `local` are kept for the next line
io.open, os.execute, os.remove and all else run in the process of the training, in its folder: it waits meanwhile
Tab completes names of the training. Ctrl-C gives up what is being run, at the prompt what is typed; Ctrl-D (or exit)
leaves, the training goes on.]]

-- The line of HELP about a name or a function of this console; nil for what is not its own.
local function own_help(tools, what)
  for _, name in ipairs {"state", "lr", "save", "stop"} do
    if what == name or rawequal(what, tools[name]) then return ("\n" .. HELP):match("\n(" .. name .. "%f[%W][^\n]*)") end
  end
end

local function text_of(...) return require("host.repl").show(...) end

local function set_rate(group, value)
  local torch = require "torch"
  if torch.is_tensor(group.lr) then
    local _ <close> = torch.no_grad()
    group.lr:fill_(value)
  else
    group.lr = value
  end
end

local function lr(state, given, value)
  local groups = state.optimizer and state.optimizer.param_groups
  if not groups then error("lr: the state has no optimizer", 0) end
  if given > 0 and not (type(value) == "number" and value >= 0 and value < math.huge) then
    error("lr: expected a number of 0 or more, got " .. require("native.vm").describe(value), 0)
  end
  local rates = {}
  for i, group in ipairs(groups) do
    if given > 0 then set_rate(group, value) end
    rates[i] = require("torch").is_tensor(group.lr) and group.lr:item() or group.lr
  end
  return table.unpack(rates)
end

local function stop(state, reason)
  if reason ~= nil and type(reason) ~= "string" then
    error("stop: the reason must be a string, got " .. require("native.vm").describe(reason), 0)
  end
  local trains = state.arguments or (state.phase ~= "evaluate" and state.phase ~= "predict")
  if not trains then error("stop: nothing is trained here, the script goes on after this pass", 0) end
  state:stop(reason or "stopped by trainhost attach", true)
  return "the training stops after this " .. (state.phase == "train" and "batch" or "epoch")
end

local function save(state, quiet, path)
  if path ~= nil and (type(path) ~= "string" or path == "") then
    error("save: the path must be a string that is not empty, got " .. require("native.vm").describe(path), 0)
  end
  path = path or ("attached/step_%d"):format(state.steps_done)
  if quiet then return path end
  require("train.snapshot").submit(path, state):wait()
  return "saved " .. path
end

-- What the training has for its own console is not the client's.
local function streams(write)
  local function refuse() error("io.read: there is nobody at the console of the training", 0) end
  return setmetatable({write = write, read = refuse, lines = function(path, ...)
    if path == nil then refuse() end
    return io.lines(path, ...)
  end}, {__index = io})
end

---@param state table of the training
---@param quiet boolean nothing is written to files
---@return table control
function Control.new(state, quiet)
  local self = setmetatable({_printed = {}}, Control)
  local function put(text) self._printed[#self._printed + 1] = text end
  local tools
  tools = {
    state = state,
    lr = function(...) return lr(state, select("#", ...), ...) end,
    stop = function(reason) return stop(state, reason) end,
    save = function(path) return save(state, quiet, path) end,
    io = streams(function(...)
      for i = 1, select("#", ...) do put(tostring((select(i, ...)))) end
    end),
    help = setmetatable({}, {__name = "help", __tostring = function() return HELP end, __call = function(_, ...)
      put((select("#", ...) == 0 and HELP or own_help(tools, (...)) or require("host.help").text((...))) .. "\n")
    end}),
  }
  function tools.print(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    put(table.concat(words, "\t") .. "\n")
  end
  self._globals = setmetatable({}, {
    __index = function(_, key)
      if tools[key] ~= nil then return tools[key] end
      if MODULES[key] and rawget(_G, key) == nil then return require(MODULES[key]) end
      return _G[key]
    end,
    __names = function()
      local names = {}
      for _, set in ipairs {tools, MODULES, _G} do
        for name in pairs(set) do names[#names + 1] = name end
      end
      return names
    end,
  })
  return self
end

---The names that may end a line, as host.repl.complete gives them.
---@param line string
---@return string[] names
---@return integer replaced
function Control:complete(line) return require("host.repl").complete(line, self._globals) end

---Runs an expression or statements. os.exit in it ends them alone.
---@param code string
---@param through? fun(f: function): string, ... what calls it: native.serve.contained, or a door's run
---@return string how "returned", "failed", "exited", "cancelled"
---@return string text what was printed, and what it gives or the error
---@return any more the code of os.exit, why it was cancelled
function Control:run(code, through)
  local chunk = load("return " .. code, "=attach", "t", self._globals)
  local problem
  if not chunk then chunk, problem = load(code, "=attach", "t", self._globals) end
  if not chunk then return "failed", problem end
  self._printed = {}
  local how, good, text = (through or serve.contained)(function()
    local results = table.pack(pcall(chunk))
    if not results[1] then return false, tostring(results[2]) end
    return true, results.n > 1 and text_of(table.unpack(results, 2, results.n)) or nil
  end)
  local printed = table.concat(self._printed)
  if how == "exited" or how == "cancelled" then return how, (printed:gsub("\n$", "")), good end
  if how == "failed" then good, text = false, type(good) == "string" and good or "an error without a text" end
  if text then printed = (printed == "" or printed:sub(-1) == "\n") and printed .. text or printed .. "\n" .. text end
  return good and "returned" or "failed", (printed:gsub("\n$", "")), nil
end

return Control
