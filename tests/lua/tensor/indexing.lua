-- x[key] and x[key] = value; tests/parity/test_index.py compares hundreds of random keys with Python.
local test = require "test"
local torch = require "torch"

local function cube() return torch.arange(24):reshape(2, 3, 4) end
local function sizes(x) return table.concat(x.shape, "x") end

test.case("an integer counts from 0 and from the end", function()
  local x = torch.tensor {10, 20, 30}
  test.equal(x[0]:item(), 10)
  test.equal(x[-1]:item(), 30)
  test.equal(x[4 / 2]:item(), 30) -- 2.0
  test.equal(cube()[1][2][3]:item(), 23)
end)

test.case("a string is an index expression", function()
  local x = cube()
  test.equal(x["1, 2, 3"]:item(), 23)
  test.equal(sizes(x["..., 0"]), "2x3")
  test.equal(sizes(x["None,"]), "1x2x3x4")
  test.equal(x["0, 1:, ::3"]:tolist(), {{4, 7}, {8, 11}})
  test.equal(sizes(x["True,"]), "1x2x3x4")
  test.equal(x["0"]:tolist(), x[0]:tolist())
end)

test.case("a table is a tuple and a table inside it a list", function()
  local x = cube()
  test.equal(x[{1, 2, 3}]:item(), 23)
  test.equal(x[{0, {0, 2}, 1}]:tolist(), {1, 9})
  test.equal(x[{{1, 0}}][0]:tolist(), x[1]:tolist())
  test.equal(sizes(x[{"...", torch.None}]), "2x3x4x1")
  test.equal(x[{0, torch.slice(1, nil), torch.slice(0, 4, 3)}]:tolist(), {{4, 7}, {8, 11}})
  test.equal(x[{0, {true, false, true}, 0}]:tolist(), {0, 8})
  test.equal(sizes(x[{{{0, 1}, {1, 0}}}]), "2x2x3x4")
  test.equal(sizes(x[{{}}]), "0x3x4")
  test.equal(sizes(x[{}]), "2x3x4")
end)

test.case("tensors index as masks and as lists", function()
  local x = cube()
  test.equal(x[x:gt(20)]:tolist(), {21, 22, 23})
  test.equal(x[torch.tensor(1)][0]:tolist(), {12, 13, 14, 15})
  test.equal(x[{torch.tensor {0, 1}, torch.tensor {2, 0}}]:tolist(), {{8, 9, 10, 11}, {12, 13, 14, 15}})
end)

test.case("integers and slices give views, lists give copies", function()
  local x = torch.zeros(2, 3)
  x[0]:fill_(1)
  x["1, 1:"]:fill_(2)
  x[{{0, 1}}]:fill_(9)
  test.equal(x:tolist(), {{1.0, 1.0, 1.0}, {0.0, 2.0, 2.0}})
end)

test.case("assignment broadcasts, converts and takes tables", function()
  local x = torch.zeros(2, 3)
  x[0] = 1
  x["1, 0"] = 2.5
  x["1, 1:"] = torch.tensor {3, 4}
  test.equal(x:tolist(), {{1.0, 1.0, 1.0}, {2.5, 3.0, 4.0}})
  x[x:gt(2)] = 0
  x[{"...", -1}] = {7, 8}
  test.equal(x:tolist(), {{1.0, 1.0, 7.0}, {0.0, 0.0, 8.0}})
  x[{{0, 0}, {0, 2}}] = true
  test.equal(x[0]:tolist(), {1.0, 1.0, 1.0})
  local whole = torch.tensor {1, 2}
  whole[0] = 9.9
  test.equal(whole:tolist(), {9, 2})
  whole["..."] = {5, 6}
  test.equal(whole:tolist(), {5, 6})
end)

test.case("assignment takes part in autograd", function()
  local w = torch.ones(3):requires_grad_()
  local x = w * 2
  x[0] = 0
  x[{{2}}] = w[0] * 5
  x:sum():backward()
  test.equal(w.grad:tolist(), {5.0, 2.0, 0.0})
  test.raises("leaf Variable", function() w[0] = 1 end)
end)

test.case("a wrong key is one clear error", function()
  local x = cube()
  test.raises("index 5 is out of bounds for dimension 0 with size 2", function() return x[5] end)
  test.raises("too many indices for tensor of dimension 3", function() return x["0, 0, 0, 0"] end)
  test.raises("step must be greater than zero", function() return x["::-1"] end)
  test.raises("column 4", function() return x["1, x:2"] end)
  test.raises("got number 0.5", function() return x[0.5] end)
  test.raises("expected integers or booleans", function() return x[{{0, 0.5}}] end)
  test.raises("expected sequence of length 2", function() return x[{{{0, 1}, {1}}}] end)
  test.raises("numbers and tables mixed", function() return x[{{0, {1}}}] end)
  test.raises("a table is a tuple of items", function() return x[{a = 1}] end)
  test.raises("None is written torch.None", function() return x[{0, nil, 1}] end)
  test.raises("expected an integer", function() return x[print] end)
  test.raises("must match the existing size", function() x[0] = torch.ones(5) end)
  test.raises("expected a number, a boolean, a tensor or a nested table", function() x[0] = "one" end)
  local freed = torch.ones(2)
  freed:free()
  test.raises("this Tensor is closed", function() return freed[0] end)
end)

test.case("a table that holds itself is an error", function()
  local t = {}
  t[1] = t
  test.raises("128 dim", function() return cube()[{t}] end)
  test.raises("128 dim", function() cube()[0] = t end)
end)

test.case("many different expressions do not pile up", function()
  local x = torch.arange(6000)
  for i = 0, 5999 do assert(x[i .. ":"]:size(0) == 6000 - i) end
  test.equal(x["1:3"]:tolist(), {1, 2})
end)

test.case("torch.slice and torch.None show what they are", function()
  test.equal(tostring(torch.slice(3)), "slice(None, 3, None)")
  test.equal(tostring(torch.slice(1, nil, 2)), "slice(1, None, 2)")
  test.equal(torch.slice(1, nil, 2).step, 2)
  test.equal(torch.slice(1, nil, 2).stop, nil)
  test.equal(tostring(torch.None), "None")
  test.raises("expected %(stop%)", function() torch.slice() end)
  test.raises("an integer or nil", function() torch.slice("a") end)
end)

test.case("an index has an end", function()
  local x = torch.ones(2)
  test.equal(x[("None,"):rep(1000)]:dim(), 1001)
  test.raises("100000 items, more than 10000", function() return x[("None,"):rep(100000)] end)
  test.raises("nested more than 64 deep", function() return x[("slice("):rep(100000)] end)
  test.raises("nested more than 64 deep", function() return x[("["):rep(100000)] end)
end)
