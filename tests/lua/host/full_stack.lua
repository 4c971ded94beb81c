-- Where Lua's stack of C calls is full, finalizers cannot be called: nothing dangles, and the collector goes on later.
local test = require "test"
local torch = require "torch"

-- Calls f below n nested C functions.
local function down(n, f)
  if n == 0 then return f() end
  local result
  local _ = ("a"):gsub("a", function() result = down(n - 1, f) end)
  return result
end

local deepest = 0
while pcall(down, deepest + 1, function() end) do deepest = deepest + 1 end

local function rss()
  for line in io.lines "/proc/self/status" do
    local size = line:match "VmRSS:%s+(%d+)"
    if size then return tonumber(size) end
  end
end

local function make(count)
  for _ = 1, count do torch.ones(100000) end
end

test.case("tensors that die on a full stack are freed", function()
  make(200)
  local before = rss()
  for n = deepest - 2, deepest do pcall(down, n, function() make(400) end) end  -- 160 MB each
  collectgarbage()
  test.truthy(rss() - before < 100 * 1024, rss() - before)
end)

test.case("tensors of a scope that die on a full stack do not dangle", function()
  for n = deepest - 2, deepest do
    torch.scope(function()
      make(10)
      pcall(down, n, function()
        torch.scope(function() make(200) end)
        make(200)
      end)
      make(200)
      collectgarbage()
      make(200)
    end)
  end
  test.equal(torch.scope(function() return torch.ones(2) + 1 end), torch.tensor {2., 2.})
end)

test.case("the collector runs again after a stack overflow", function()
  pcall(down, deepest, function() make(200) end)
  pcall(down, deepest + 1, function() end)
  test.truthy(collectgarbage "isrunning")
  down(deepest, function() make(200) end)
  make(500)
  test.truthy(collectgarbage "isrunning")
  local function deep(x) return 1 + deep({x}) end
  pcall(deep, torch.ones(1))
  local dead = setmetatable({{}}, {__mode = "v"})
  local made = 0
  while dead[1] and made < 1e6 do made = made + #{{}} end
  test.truthy(made < 1e6)
end)

test.case("warn is off until it is switched on", function()
  warn("not", " shown")
  warn "@on"
  warn "@off"
  warn "not shown either"
end)
