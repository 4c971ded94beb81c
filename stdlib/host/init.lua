-- host: the program that runs the script: its parameters and arguments, files, JSON, log, clock, terminal.
local vm = require "native.vm"
local keywords = require "host.keywords"

local host = {
  file = require "native.file",
  json = require "native.json",
  log = require "native.log",
  args = vm.args(),
  script = vm.script(),
  versions = vm.versions(),
  at_exit = vm.at_exit,
  clock = vm.clock,
  cpu_clock = vm.cpu_clock,
  time = vm.time,
  sleep = vm.sleep,
  is_tty = vm.is_tty,
  terminal_width = vm.terminal_width,
  terminal_height = vm.terminal_height,
  pid = vm.pid,
  collect = vm.collect,
  native_bytes = vm.native_bytes,
  graceful = vm.graceful,
  stop_wished = vm.stop_wished,
  --- Ends the script with an exit code, as os.exit does: scopes are closed, runs are ended.
  ---@param code integer|boolean|nil true (0) without one
  exit = os.exit,
}
host.version = host.versions.trainhost

local dry_run = false

--- Tells whether this is a dry run (`trainhost --dry-run train.lua`): train.fit, loops by hand with train.state and every
--- DataLoader take one batch of each phase, all callbacks run, and nothing is written: no checkpoints, no runs, no files of
--- torch.save, io.open, host.file, plots and writers. A line says of each what is not written; the script itself reads back
--- what it has written. What os.execute and io.popen start is not held back.
---@param on? boolean makes it one, or no longer one, before anything is trained or logged
---@return boolean
---@example host.dry_run()  --> false
function host.dry_run(on)
  if on ~= nil and dry_run ~= (on == true) then
    dry_run = on == true
    local overlay = require "host.overlay"
    if dry_run then overlay.install() else overlay.uninstall() end
  end
  return dry_run
end

-- Readers of --set texts, by the type of the default. Each returns nil if the text is not of its type.
local truths = {["true"] = true, yes = true, on = true, ["1"] = true, ["false"] = false, no = false, off = false,
  ["0"] = false}
local read = {}

function read.boolean(text) return truths[text:lower()] end

function read.integer(text) return math.tointeger(tonumber(text)) end

function read.number(text)
  local special = {inf = math.huge, ["-inf"] = -math.huge, nan = 0 / 0}
  local value = special[text:lower()] or tonumber(text)
  return value and value + 0.0
end

function read.string(text) return text end

local function guess(text)
  local number = tonumber(text)
  if number ~= nil then return number end
  if text == "true" or text == "false" then return text == "true" end
  return text
end

-- "1,2,3" or "[1, 2, 3]"; the elements are of the type of the default's first one.
function read.list(text, default)
  local inner = text:match("^%s*%[(.*)%]%s*$") or text
  local kind = default and default[1] ~= nil and (math.type(default[1]) == "float" and "number"
    or math.type(default[1]) or type(default[1]))
  local list = {}
  if inner:match("^%s*$") then return list end
  for part in (inner .. ","):gmatch("%s*(.-)%s*,") do
    part = part:match('^"(.*)"$') or part:match("^'(.*)'$") or part
    local value
    if kind then value = read[kind](part) else value = guess(part) end
    if value == nil then return nil end
    list[#list + 1] = value
  end
  return list
end

local type_names = {boolean = "true or false", integer = "an integer", number = "a number", string = "a string",
  list = "a list such as 1,2,3"}

local function type_of(name, default, wished)
  if wished then
    if not read[wished] then
      vm.raise("usage", ("host.param('%s'): type must be one of boolean, integer, list, number, string, got %s")
        :format(name, vm.describe(wished)))
    end
    return wished
  end
  local kind = type(default)
  if kind == "number" then return math.type(default) == "integer" and "integer" or "number" end
  if kind == "table" then return "list" end
  if kind == "nil" or read[kind] then return kind end
  vm.raise("usage", ("host.param('%s'): the default must be a number, string, boolean or list, got %s")
    :format(name, vm.describe(default)))
end

local recorded, order = {}, {}

local function check_choice(name, value, choices)
  for _, choice in ipairs(choices) do
    if choice == value then return end
  end
  local texts = {}
  for i, choice in ipairs(choices) do texts[i] = tostring(choice) end
  vm.raise("usage", ("--set %s=%s: expected one of %s"):format(name, tostring(value), table.concat(texts, ", ")),
    keywords.did_you_mean(tostring(value), texts))
end

--- Returns a parameter of the run: what `--set name=value` gave, else the default, which also sets the type (an
--- integer default takes integers, a float one numbers, a list one a comma-separated list). Without a default it is
--- required. Every parameter read is recorded: mlflow logs them.
---@param name string
---@param default number|string|boolean|table|nil
---@param options {choices: any[], min: number, max: number, type: string, doc: string}|nil
---@return any
---@example host.param("lr", 1e-3, {min = 0})
function host.param(name, default, options)
  if type(name) ~= "string" or not name:match("^[%a_][%w_%.%-]*$") then
    vm.raise("usage", ("host.param: the name must be a word, got %s"):format(vm.describe(name)))
  end
  options = keywords.check("host.param", options, {choices = keywords.none, min = keywords.none, max = keywords.none,
    type = keywords.none, doc = keywords.none})
  local kind = type_of(name, default, options.type)
  local text = vm.param(name)
  local value = default
  if text ~= nil then
    if kind == "nil" then value = guess(text) else value = read[kind](text, default) end
    if value == nil then
      vm.raise("usage", ("--set %s=%s: expected %s, got \"%s\""):format(name, text, type_names[kind], text))
    end
  elseif default == nil then
    vm.raise("usage", ("parameter '%s' is required"):format(name), ("give it as --set %s=VALUE"):format(name))
  end
  if options.choices then check_choice(name, value, options.choices) end
  if type(value) == "number" then
    local low, high = options.min, options.max
    if (low and not (value >= low)) or (high and not (value <= high)) then
      local range = low and high and ("from %s to %s"):format(low, high) or low and ("at least %s"):format(low)
        or ("at most %s"):format(high)
      vm.raise("usage", ("--set %s=%s: expected a number %s"):format(name, text or tostring(value), range))
    end
  end
  if recorded[name] == nil then order[#order + 1] = name end
  recorded[name] = {value = value, default = default, doc = options.doc, given = text ~= nil}
  return value
end

--- Returns every parameter read so far: name -> value, and the names in the order they were first read.
---@return table<string, any> values
---@return string[] names
function host.params()
  local values, names = {}, {}
  for i, name in ipairs(order) do
    names[i] = name
    values[name] = recorded[name].value
  end
  return values, names
end

-- Modules of their own, loaded when they are first used.
return require("host.namespace")("host", {
  held = host, find = function(name)
    local found, module = pcall(require, "host." .. name)
    if found then return module end
    if not tostring(module):find("module 'host." .. name .. "' not found", 1, true) then error(module, 0) end
  end,
  names = function() return {"checkpoint", "help", "reload"} end,
})
