-- Metamethods that debug gets hold of, called with values of other kinds.
local test = require "test"
local torch = require "torch"
for _, name in ipairs {"mlflow", "torch.utils.data", "torch.optim", "torch.cuda"} do require(name) end

local metatables <const> = dofile("tests/fuzz/values.lua").metatables

test.case("no metamethod trusts what it is given", function()
  local gc, called = 0, 0
  for _, meta in pairs(metatables()) do
    for name, method in next, meta do
      if type(name) == "string" and name:sub(1, 2) == "__" and type(method) == "function" then
        called = called + 1
        if name == "__gc" then gc = gc + 1 end
        for _, value in ipairs {5, "x", true, {}, io.stdout, torch.None, torch.slice(1), torch.ones(1), print} do
          pcall(method, value)
          pcall(method, value, value)
        end
        pcall(method)
      end
    end
  end
  test.truthy(gc > 15, gc)
  test.truthy(called > 100, called)
end)

test.case("a tensor whose __gc was called is closed, and nothing more", function()
  local meta = debug.getmetatable(torch.ones(1))
  local x = torch.ones(3)
  meta.__gc(x)
  meta.__gc(x)
  test.raises("is closed", function() return x + 1 end)
  test.raises("expected a Module", debug.getmetatable(torch.nn.Linear(1, 1)).__len, 5)
  test.raises("expected a Tensor", meta.__len, 5)
  meta.__gc(5)
  collectgarbage()
  test.equal(torch.ones(2):sum():item(), 2.0)
end)
