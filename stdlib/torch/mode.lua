-- Modes as functions: entered until a scope ends, or while a function or a module runs.
local callable = require "host.callable"
local keywords = require "host.keywords"
local signature = require "torch.signature"
local vm = require "native.vm"

local meta = { __name = "scope" }

function meta.__close(scope)
  local leave = scope.leave
  scope.leave = nil
  if scope.enter then vm.drop_scope(scope) end
  if leave then leave() end
end

-- In a coroutine: the mode is left where it yields, and entered again where it goes on.
function meta.__suspend(scope)
  local leave = scope.leave
  scope.leave = nil
  if leave then leave() end
end

function meta.__resume(scope) scope.leave = scope.enter() end

-- What leaves: a function, or a scope of the native modules as one.
local function leaver(leave)
  if type(leave) == "function" then return leave end
  return function() debug.getmetatable(leave).__close(leave) end
end

local function scope_of(stays, enter, ...)
  local leave = enter(...)
  if type(leave) ~= "function" and (stays or leave == nil or select(2, coroutine.running())) then return leave end
  local arguments = table.pack(...)
  local scope = setmetatable({leave = leaver(leave)}, meta)
  function scope.anew() return scope_of(stays, enter, table.unpack(arguments, 1, arguments.n)) end
  if not stays and not select(2, coroutine.running()) then
    function scope.enter() return leaver(enter(table.unpack(arguments, 1, arguments.n))) end
    vm.keep_scope(scope)
  end
  return scope
end

-- Devices can be called, and are arguments all the same.
local function is_device(value) return type(value) == "userdata" and debug.getmetatable(value).__name == "device" end

local function run(scope, fn, ...)
  local _ <close> = scope
  return fn(...)
end

-- As a decorator of Python's: what was entered is left again, and fn enters it each time it is called.
function meta.__call(scope, fn)
  meta.__close(scope)
  if not callable(fn) then
    vm.raise("usage", "a mode is put around a function or a module, got " .. vm.describe(fn))
  end
  return function(...) return run(scope.anew(), fn, ...) end
end

--- A function mode(arguments ...) that enters and gives a scope, mode(arguments ..., fn, ...) the results of fn(...),
--- where fn is a function, a module or another value that can be called; scope(fn) is a function that enters it anew
--- whenever it is called.
--- The arguments may be given by name: mode({name = value}, fn, ...).
---@param name string as the user writes it: "torch.autocast"
---@param spec string its parameters, as torch.signature reads them
---@param enter fun(...): function|userdata what leaves it again, or a scope of the native modules
---@param stays? boolean it is entered once: a coroutine that yields does not leave it meanwhile
---@return function
return function(name, spec, enter, stays)
  local parse, required, most = signature(name, spec)

  -- Where fn stands, nil if there is none: after the keywords, after all arguments, or before.
  local function place(...)
    for i = 1, select("#", ...) do
      local value = select(i, ...)
      if keywords.is(value) then return i + 1 end
      if i > most or i > required and callable(value) and not is_device(value) then return i end
    end
  end

  return function(...)
    local at = place(...)
    local count = select("#", ...)
    while at and count >= at and select(count, ...) == nil do count = count - 1 end
    if not at or count < at then return scope_of(stays, enter, parse(...)) end
    local fn = select(at, ...)
    if not callable(fn) then
      vm.raise("usage", ("%s: expected a function or a module after its arguments (%s), got %s"):format(name, spec,
        vm.describe(fn)))
    end
    local own = table.pack(...)
    return run(scope_of(stays, enter, parse(table.unpack(own, 1, at - 1))), select(at, ...))
  end
end
