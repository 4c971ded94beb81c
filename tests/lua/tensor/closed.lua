-- Errors that name a tensor that was freed: which argument, and where in a list; and other values that do not fit there.
local test = require "test"
local torch = require "torch"

local x, c = torch.ones(2), torch.ones(2)
c:free()

local function says(pattern, fn, ...)
  local err = test.raises(pattern, fn, ...)
  test.equal(err.kind, "usage")
  return err
end

test.case("a closed tensor is named by its argument", function()
  local err = says("torch.add: argument 'other': this Tensor is closed", torch.add, x, c)
  test.truthy(err.hint:find("freed", 1, true))
  says("torch.add: argument 'input': this Tensor is closed", torch.add, c, x)
  says("Tensor.sum: argument 'input': this Tensor is closed", x.sum, c)
  says("torch.add: argument 'other': this Tensor is closed", torch.add, x, {other = c})
  says("got a closed Tensor", x.to, x, c)
end)

test.case("a closed tensor in a list is named by its place there", function()
  says("torch.cat: argument 'tensors' holds a closed Tensor at [2]", torch.cat, {x, c})
  says("torch.stack: argument 'tensors' holds a closed Tensor at [1]", torch.stack, {c, x}, {dim = 0})
  says("torch.index_put: argument 'indices' holds a closed Tensor at [1]", torch.index_put, x, {c}, x)
  says("argument 'outputs[1]' must be a Tensor or a GradientEdge, got a closed Tensor", torch.autograd.grad, {c}, {x})
  says("got a closed Tensor at place 2", torch.meshgrid, x, c)
  says("got a closed Tensor", function() return x[{c}] end)
  says("got a closed Tensor", function() x[0] = c end)
  says("got a closed Tensor", torch.tensor, {c})
end)

test.case("out= that does not fit is named", function()
  says("torch.add: argument 'out' is a closed Tensor", torch.add, x, x, {out = c})
  says("torch.max: argument 'out' holds a closed Tensor at [1]", torch.max, x, 0, {out = {c, x}})
  says("torch.add: argument 'out' must be a Tensor, got number 3", torch.add, x, x, {out = 3})
  says("torch.add: argument 'out' must be a Tensor, got table", torch.add, x, x, {out = {x}})
  says("argument 'out' must be a Tensor", torch.nonzero, x, {out = {x}})
  says("out=number 3", torch.max, x, 0, {out = 3})
end)

test.case("what does not fit in a list is named by its place there", function()
  says("torch.cat: argument 'tensors' must be a list of Tensors, got number 3 at [2]", torch.cat, {x, 3})
  says("must be a list of integers, got string \"a\" at [2]", torch.permute, torch.ones(2, 2), {0, "a"})
  says("got nil at [1]", torch.cat, {nil, x})
end)

test.case("types are written as in Python", function()
  test.raises("but got torch.FloatTensor instead", torch.nn.functional.embedding, torch.zeros(2), torch.ones(3, 2))
  test.raises("but got torch.sparse.CharTensor instead", torch.nn.functional.embedding,
    torch.zeros(2, {dtype = torch.int8}):to_sparse(), torch.ones(3, 2))
  test.raises("but got CPUBoolType instead", torch.nn.functional.embedding, torch.zeros(2, {dtype = torch.bool}),
    torch.ones(3, 2))
  test.raises("invalid type: 'CPUFloatType'", x.type, x, "CPUFloatType")
end)

test.case("an index expression that fails is named, with the place in it", function()
  local m = torch.ones(3, 4)
  local function at(key) return function() return m[key] end end
  test.raises('tensor index "0, 9": index 9 is out of bounds for dimension 1 with size 4 at column 4', at "0, 9")
  test.raises('tensor index "..., 9": index 9 is out of bounds for dimension 1 with size 4 at column 6', at "..., 9")
  test.raises('tensor index "0,0,0": too many indices for tensor of dimension 2 at column 5', at "0,0,0")
  test.raises('tensor index "0, ::0": slice step cannot be zero at column 4', at "0, ::0")
  test.raises('tensor index "::-1": step must be greater than zero at column 1', at "::-1")
  test.equal(test.raises('tensor index "5,": index 5 is out of bounds', function() m["5,"] = 1 end).kind, "shape")
  test.raises('tensor index "0,": The expanded size', function() m["0,"] = torch.ones(3) end)
end)

test.case("a word that is an index is told with its comma", function()
  for _, word in ipairs {"True", "False", "None"} do
    test.equal(test.raises("has no method or attribute '" .. word, function() return x[word] end).hint,
      ('an index that is one word ends with a comma: x["%s,"]'):format(word))
  end
end)

test.case("what is freed says by what", function()
  local freed = torch.ones(1)
  freed:free()
  test.raises("freed by x:free%(%) or", function() return freed:sum() end)
  test.raises("freed by x:free%(%) or", function() return torch.add(torch.ones(1), freed) end)
end)

test.case("of sizes the one that is none is named", function()
  test.raises("argument 'size' must be a list of integers, got nil at %[2%]", torch.zeros, 2, nil, 3)
  test.raises('got string "a" at %[3%]', torch.zeros, 2, 1, "a")
end)

test.case("valid keywords are listed with commas", function()
  test.raises("valid are dtype, device, requires_grad, pin_memory", torch.tensor, {1}, {bad = 1})
  test.raises("linewidth, profile, sci_mode", torch.set_printoptions, {bad = 1})
end)

test.case("a module that was closed says so when it is called, read or assigned to", function()
  local module
  do
    local closed <close> = torch.nn.Linear(2, 2)
    module = closed
  end
  test.raises("this Module is closed", function() return module(torch.ones(1, 2)) end)
  test.raises("this Module is closed", function() return module.weight end)
  test.raises("this Module is closed", function() module.field = 1 end)
  local meta = debug.getmetatable(module)
  for _, other in ipairs {io.stdout, torch.ones(2), 3} do
    test.raises("expected a Module", meta.__call, other)
    test.raises("expected a Module", meta.__index, other, "weight")
    test.raises("expected a Module", meta.__newindex, other, "field", 1)
  end
end)

test.case("what a finalizer of the script reaches after its own end is closed", function()
  local errors = {}
  local made = {
    module = function() return torch.nn.Linear(2, 2) end,
    generator = function() return torch.Generator() end,
    tensor = function() return torch.ones(2) end,
    optimizer = function() return torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1.0}) end,
  }
  local use = {
    module = function(m) m.field = 1 end, generator = function(g) g:initial_seed() end,
    tensor = function(t) return t + 1 end, optimizer = function(o) o:step() end,
  }
  for name, make in pairs(made) do
    local holder = setmetatable({}, {__gc = function(self)  -- older than what it holds: finalized after it
      local ok, message = pcall(use[name], self.held)
      errors[name] = ok or tostring(message)
    end})
    holder.held = make()
  end
  collectgarbage()
  collectgarbage()
  for name in pairs(made) do test.truthy(errors[name] ~= nil, name) end
  test.truthy(tostring(errors.module):find "closed", errors.module)
  test.truthy(tostring(errors.generator):find "closed", errors.generator)
end)
