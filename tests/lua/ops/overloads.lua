-- torch.ops: operators by namespace and overload, and what is said of names and files that are not there.
local test = require "test"
local torch = require "torch"

local ops = torch.ops

test.case("an operator is called by its namespace, its overload chosen by the arguments or by name", function()
  local x = torch.tensor {1.0, 2.0}
  test.equal(ops.aten.add(x, x):tolist(), {2.0, 4.0})
  test.equal(ops.aten.add(x, 1, {alpha = 3}):tolist(), {4.0, 5.0})
  test.equal(ops.aten.add.Tensor(x, x, {alpha = 2}):tolist(), {3.0, 6.0})
  test.equal(ops.aten.add.Scalar(x, 1):tolist(), {2.0, 3.0})
  test.equal(ops.aten.relu.default(-x):tolist(), {0.0, 0.0})
  test.equal(ops.aten.mul({self = x, other = x}):tolist(), {1.0, 4.0})
end)

test.case("an out overload writes to out", function()
  local x, out = torch.ones(2), torch.zeros(2)
  test.truthy(rawequal(ops.aten.add.out(x, x, {out = out}), out))
  test.equal(out:tolist(), {2.0, 2.0})
end)

test.case("operators that are not public are there", function()
  test.equal(ops.aten._softmax(torch.zeros(2), 0, false):tolist(), {0.5, 0.5})
end)

test.case("a packet and an overload are one value each, and name themselves", function()
  test.truthy(rawequal(ops.aten.add, torch.ops.aten.add) and rawequal(ops.aten.add.Tensor, ops.aten.add.Tensor))
  test.equal(tostring(ops.aten.add), "aten.add")
  test.equal(tostring(ops.aten.add.Tensor), "aten.add.Tensor")
  test.equal(ops.aten.add.Tensor.name(), "aten::add.Tensor")
  test.equal(ops.aten.relu.default.name(), "aten::relu")
  test.equal(ops.aten.add.Tensor._schema, "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
  local names = {}
  for _, name in ipairs(ops.aten.add.overloads()) do names[name] = true end
  test.truthy(names.Tensor and names.Scalar and names.out)
  test.equal(ops.aten.relu.overloads(), {"default", "out"})
end)

test.case("names that are not there are errors", function()
  test.raises("torch.ops.aten has no operator 'nope'", function() return ops.aten.nope end)
  test.raises("torch.ops.nope has no operator 'nope'", function() return ops.nope.nope end)
  test.raises("The underlying op of 'aten.add' has no overload name 'nope'", function() return ops.aten.add.nope end)
  test.raises("torch.ops.aten.add.Tensor", function() ops.aten.add.Tensor(1, {}) end)
end)

test.case("what is no library is an error that says why", function()
  local folder = test.tmpdir()
  test.raises("could not load this library: " .. folder .. "/no%.so: no such file", torch.ops.load_library,
    folder .. "/no.so")
  test.raises("it is no file", torch.ops.load_library, folder)
  local file <close> = assert(io.open(folder .. "/text.so", "w"))
  file:write("no library")
  file:close()
  test.raises("it is no shared library", torch.ops.load_library, folder .. "/text.so")
  test.raises("argument 'path' must be", torch.ops.load_library, 3)
  test.equal(next(torch.ops.loaded_libraries), nil)
end)
