-- What scripts see of errors: pcall, coroutines, finalizers behave as Lua's own, errors of the host have fields.
local test = require "test"
local host = require "host"

test.case("pcall and xpcall return what Lua's do", function()
  test.equal({pcall(function(...) return ... end, 1, nil, 3)}, {true, 1, nil, 3})
  test.equal({pcall(error, {1})}, {false, {1}})
  test.equal(select("#", pcall(error)), 2)
  test.equal({xpcall(function(a, b) return a + b end, print, 1, 2)}, {true, 3})
  test.equal({xpcall(error, function(e) return e .. "!" end, "x", 0)}, {false, "x!"})
  test.equal({pcall(pcall)}, {false, "bad argument #1 to 'pcall' (value expected)"})
  test.raises("bad argument #2 to 'xpcall'", xpcall, print)
end)

test.case("pcall can be yielded across", function()
  local co = coroutine.wrap(function()
    local ok, value = pcall(function()
      local got = coroutine.yield(1)
      error("after " .. got, 0)
    end)
    coroutine.yield(tostring(ok) .. value)
    local results = table.pack(xpcall(function() return coroutine.yield(2) end, print))
    return results
  end)
  test.equal(co(), 1)
  test.equal(co("x"), "falseafter x")
  test.equal(co(), 2)
  test.equal(co(7, 8), {true, 7, 8, n = 3})
end)

test.case("coroutines: resume, wrap, close, their errors", function()
  local co = coroutine.create(function(a)
    local _ <close> = setmetatable({}, {__close = function() a[1] = "closed" end})
    coroutine.yield(a)
  end)
  local box = {}
  test.equal({coroutine.resume(co, box)}, {true, box})
  test.equal(coroutine.close(co), true)
  test.equal(box, {"closed"})
  test.equal({coroutine.resume(co)}, {false, "cannot resume dead coroutine"})
  test.raises("cannot close a running coroutine", function() coroutine.close(coroutine.running()) end)
  test.raises("cannot resume dead coroutine", function()
    local f = coroutine.wrap(function() end)
    f()
    f()
  end)
  test.raises("inside", coroutine.wrap(function() error("inside") end))
  test.equal({coroutine.resume(coroutine.create(function() error({1}) end))}, {false, {1}})
end)

test.case("coroutines nested without end raise instead of crashing", function()
  local function nest() return coroutine.wrap(nest)() end
  test.truthy(not pcall(nest))
  local function chain(n)
    return coroutine.create(function()
      local inner = n > 0 and chain(n - 1)
      if inner then coroutine.resume(inner) end
      local _ <close> = setmetatable({}, {__close = function() if inner then coroutine.close(inner) end end})
      coroutine.yield()
    end)
  end
  local outer
  for _ = 1, 20000 do
    local before = outer
    outer = coroutine.create(function()
      local _ <close> = setmetatable({}, {__close = function() if before then coroutine.close(before) end end})
      coroutine.yield()
    end)
    coroutine.resume(outer)
  end
  coroutine.close(outer)
  coroutine.close(chain(3))
end)

test.case("finalizers run, and their errors stop nothing", function()
  local ran = 0
  setmetatable({}, {__gc = function() ran = ran + 1 end})
  setmetatable({}, {__gc = function() error("lost") end})
  collectgarbage()
  collectgarbage()
  test.equal(ran, 1)
  test.raises("cannot change a protected metatable", setmetatable, setmetatable({}, {__metatable = 1}), nil)
end)

test.case("errors of the host have kind, message, where and hint, and point at the script", function()
  local err = test.raises("host has no 'flie' (did you mean 'file'?)", function() return host.flie end)
  test.equal(err.kind, "usage")
  test.equal(err.message, "host has no 'flie'")
  test.equal(err.hint, "did you mean 'file'?")
  test.truthy(err.where:find("errors.lua:%d+$"))
end)

test.case("a clock moves forward, sleep waits", function()
  local began = host.clock()
  host.sleep(0.03)
  local passed = host.clock() - began
  test.truthy(passed >= 0.03 and passed < 60, passed)
  test.truthy(host.time() > 1.6e9)
end)

test.case("a stack that overflows inside C functions names the user's line", function()
  local line
  local function deep()
    line = debug.getinfo(1, "l").currentline + 1
    return (("a"):gsub("a", deep))
  end
  local function in_pcall()
    local _, message = pcall(deep)
    return message
  end
  local function in_xpcall()
    local _, message = xpcall(deep, function(m) return m end)
    return message
  end
  local function in_coroutine()
    local _, message = coroutine.resume(coroutine.create(deep))
    return message
  end
  for _, call in ipairs {in_pcall, in_xpcall, in_coroutine} do
    test.equal(call():match("([^/]*)$"), ("errors.lua:%d: C stack overflow"):format(line))
  end
end)

test.case("a coroutine that fails leaves no scope open, and its traceback can still be read", function()
  local torch = require "torch"
  local closed = 0
  local function failing()
    local _ <close> = torch.no_grad()
    local _ <close> = setmetatable({}, {__close = function() closed = closed + 1 end})
    torch.func.grad(function() error "inside" end)(torch.ones(1))
  end
  local co = coroutine.create(failing)
  local ok, message = coroutine.resume(co)
  test.equal(ok, false)
  test.truthy(tostring(message):find("inside", 1, true))
  test.equal({closed, coroutine.status(co)}, {1, "dead"})
  test.truthy(torch.is_grad_enabled())
  test.equal(torch.rand(2):size(), {2})
  test.truthy(debug.traceback(co):find("in function", 1, true))
  test.truthy(debug.traceback(co, "message"):find("^message\nstack traceback:\n.*errors.lua"))
  test.equal(select(2, coroutine.resume(co)), "cannot resume dead coroutine")
  test.truthy(debug.traceback("here", 1):find("^here\nstack traceback:\n\t[^\n]*errors.lua"))
end)
