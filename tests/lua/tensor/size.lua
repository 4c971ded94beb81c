-- torch.Size: a value that cannot be changed.
local test = require "test"
local torch = require "torch"

local size = torch.zeros(2, 3, 4).shape

test.case("is a list of integers for all of Lua", function()
  test.equal({#size, size[1], size[3], size[4]}, {3, 2, 4})
  test.equal(table.concat(size, "x"), "2x3x4")
  test.equal({table.unpack(size)}, {2, 3, 4})
  local seen = {}
  for i, n in ipairs(size) do seen[i] = n end
  test.equal(seen, {2, 3, 4})
  for i, n in pairs(size) do test.equal(seen[i], n) end
  test.equal(tostring(size), "torch.Size([2, 3, 4])")
  test.equal(size:numel(), 24)
end)

test.case("equal sizes are equal values, also to a table", function()
  test.truthy(size == torch.ones(2, 3, 4):size() and size == torch.Size{2, 3, 4} and size == {2, 3, 4})
  test.truthy(size ~= {2, 3} and size ~= torch.Size())
  test.truthy(rawequal(size, torch.zeros(2, 3, 4).shape))
end)

test.case("cannot be assigned, is joined to a new one", function()
  test.raises("does not support item assignment", function() size[1] = 5 end)
  test.raises("does not support item assignment", function() size[4] = 5 end)
  test.equal(tostring(size .. {1}), "torch.Size([2, 3, 4, 1])")
  test.equal(tostring(torch.Size{7} + size), "torch.Size([7, 2, 3, 4])")
  test.raises("takes an iterable of 'int' %(item 1 is string", torch.Size, {1, "x"})
end)

test.case("goes wherever a list of integers goes", function()
  test.equal(torch.zeros(size):size(), size)
  test.equal(torch.zeros(24):view(size).shape, size)
  test.equal(torch.tensor(size):tolist(), {2, 3, 4})
  test.equal(torch.zeros(3, 4, 5)[torch.Size{1, 2, 3}]:dim(), 0)
  test.equal(torch.ones(1, {dtype = torch.int8}):expand(size).shape, size)
end)
