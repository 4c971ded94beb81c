-- Functions of torch that are no operators: arguments, special cases and errors as in PyTorch's Python.
local test = require "test"
local torch = require "torch"

test.case("broadcast_shapes names the argument that does not fit", function()
  test.equal(torch.broadcast_shapes({2, 1}, {1, 5}, {}), {2, 5})
  test.equal(torch.broadcast_shapes(3, {1, 3}), {1, 3})
  test.equal(tostring(torch.broadcast_shapes()), "torch.Size([])")
  test.raises("Attempting to broadcast a dimension of length 4 at -1! Mismatching argument at index 1 had (4,); but expected "
    .. "shape should be broadcastable to [2, 3]", torch.broadcast_shapes, {2, 3}, {4})
  test.raises("negative length", torch.broadcast_shapes, {2, -3})
end)

test.case("einsum takes lists of subscripts", function()
  local a, b = torch.randn(2, 3), torch.randn(3, 4)
  test.equal(torch.einsum(a, {0, 1}, b, {1, 2}, {0, 2}), torch.einsum("ij,jk->ik", a, b))
  test.equal(torch.einsum(a, {"...", 1}, b, {1, 30}), torch.einsum("...B,Be", a, b))
  test.raises("not within the valid range [0, 52)", torch.einsum, a, {0, 52})
  test.raises("must specify the equation string and at least one operand", torch.einsum, "ij")
end)

test.case("split takes a size, sizes, a tensor and keywords", function()
  local x = torch.arange(5)
  test.equal(#torch.split(x, 2), 3)
  test.equal(torch.split(x, {1, 4})[2], torch.tensor{1, 2, 3, 4})
  test.equal(x:split(torch.tensor(2))[3], torch.tensor{4})
  test.equal(x:view(1, 5):split({split_size = {2, 3}, dim = 1})[1]:tolist(), {{0, 1}})
  test.raises("split_size can only be 0 if dimension size is 0", torch.split, x, 0)
end)

test.case("unravel_index gives a tensor for each dimension", function()
  local rows, columns = torch.unravel_index(torch.tensor{1, 5}, {2, 3})
  test.equal({rows, columns}, {torch.tensor{0, 1}, torch.tensor{1, 2}})
  test.raises("expected 'indices' to be integer dtype, but got torch.float32", torch.unravel_index, torch.ones(1), {2})
  test.raises("'shape' cannot have negative values, but got (2, -3)", torch.unravel_index, torch.tensor(1), {2, -3})
end)

test.case("low-rank decompositions give back a low-rank matrix", function()
  torch.manual_seed(1)
  local a = torch.randn(6, 2):mm(torch.randn(2, 5))
  local u, s, v = torch.svd_lowrank(a, 3)
  test.near(u:mm(torch.diag(s)):mm(v.mT), a, 1e-4)
  local centred = a - a:mean(0, true)
  u, s, v = torch.pca_lowrank(a, 2)
  test.near(u:mm(torch.diag(s)):mm(v.mT), centred, 1e-4)
  u, s, v = torch.pca_lowrank(a:to_sparse(), 2)
  test.near(u:mm(torch.diag(s)):mm(v.mT), centred, 1e-4)
  test.raises("q(=9) must be non-negative integer and not greater than min(m, n)=5", torch.pca_lowrank, a, 9)
end)

test.case("lu gives infos when they are asked for", function()
  local a = torch.randn(3, 3)
  local lu, pivots, infos = torch.lu(a, {get_infos = true})
  test.equal(infos:item(), 0)
  test.equal(select("#", torch.lu(a)), 2)
  local p, l, u = torch.lu_unpack(lu, pivots)
  test.near(p:mm(l):mm(u), a, 1e-5)
  test.raises("expected tuple of 2 elements but got 1", torch.lu, a, {out = {torch.empty(0)}})
  test.raises("torch.linalg.solve", torch.solve, a, a)
  test.raises("torch.linalg.eigh", function() return a:symeig() end)
end)

test.case("frombuffer reads the bytes of a string", function()
  test.equal(torch.frombuffer("\1\0\2\0", {dtype = torch.int16}), torch.tensor({1, 2}, {dtype = torch.int16}))
  test.equal(torch.frombuffer("\1\0\2\0", {dtype = torch.int16, offset = 2}):tolist(), {2})
  test.equal(torch.frombuffer(("x"):rep(10000), {dtype = torch.uint8}):sum():item(), 1200000)
  test.raises("requested buffer length (3 * 4 bytes) after offset (0 bytes) must not be greater than actual buffer length "
    .. "(8 bytes)", torch.frombuffer, "abcdefgh", {dtype = torch.int32, count = 3})
  test.raises("must be a multiple of element size (4)", torch.frombuffer, "abcde", {dtype = torch.int32})
  test.raises("both buffer length (0) and count (-1) must not be 0", torch.frombuffer, "", {dtype = torch.int32})
end)

test.case("asarray copies only when it must", function()
  local x = torch.ones(2)
  test.truthy(torch.asarray(x) == x)
  test.truthy(torch.asarray(x, {copy = true}) ~= x)
  test.equal(torch.asarray({1, 2}, {dtype = torch.float64}), torch.tensor({1, 2}, {dtype = torch.float64}))
  test.raises("can't alias tensor with dtype 'Float' into dtype 'Long'.", torch.asarray, x,
    {dtype = torch.int64, copy = false})
  test.raises("can't alias arbitrary sequence into a tensor.", torch.asarray, {1}, {copy = false})
end)

test.case("a type has a name and converts", function()
  local x = torch.ones(2)
  test.equal({x:type(), x:half():to_sparse():type(), torch.typename(x:cdouble())},
    {"torch.FloatTensor", "torch.sparse.HalfTensor", "torch.ComplexDoubleTensor"})
  test.equal(x:type("torch.IntTensor").dtype, torch.int32)
  test.equal(x:type(torch.bfloat16).dtype, torch.bfloat16)
  test.raises("invalid type: 'torch.FooTensor'", x.type, x, "torch.FooTensor")
end)

test.case("apply_ and map_ call Lua for each element", function()
  local x = torch.arange(4):view(2, 2)
  test.equal(x:apply_(function(v) return v * v end), torch.tensor{{0, 1}, {4, 9}})
  test.equal(x:map_(torch.tensor{10, 20}, function(a, b) return a + b end), torch.tensor{{10, 21}, {14, 29}})
  test.raises("map_: expected torch.LongTensor for 'other' (got torch.FloatTensor)", x.map_, x, torch.ones(2), print)
  test.raises("Can't call apply_() on Variable that requires grad.", x.apply_, torch.ones(1, {requires_grad = true}), print)
  test.raises("boom", x.apply_, x, function() error "boom" end)
end)

test.case("new tensors are like the one they are made from", function()
  local x = torch.ones(2, {dtype = torch.float64})
  test.equal(x:new_tensor({1, 2}).dtype, torch.float64)
  test.equal(x:new_tensor({1, 2}, {dtype = torch.int8}).dtype, torch.int8)
  test.equal(x:new(2, 3).shape, {2, 3})
  test.equal(x:new {1, 2.5}, torch.tensor({1, 2.5}, {dtype = torch.float64}))
end)

test.case("dim_order says how the dimensions lie in memory", function()
  test.equal(torch.ones(2, 3, 4):dim_order(), {0, 1, 2})
  test.equal(torch.ones(2, 3, 4, 5):contiguous({memory_format = torch.channels_last}):dim_order(), {0, 2, 3, 1})
  test.equal(torch.ones(2, 3, 4):permute(2, 0, 1):dim_order(), {1, 2, 0})
  test.raises("does not have unique dim order", function() return torch.ones(1, 1, 4):dim_order {ambiguity_check = true} end)
end)

test.case("Python's special methods have their names", function()
  local x = torch.tensor{2., 4}
  test.equal(x:__rsub__(1), torch.tensor{-1., -3})
  test.equal(x:__rpow__(2), torch.tensor{4., 16})
  test.equal(x:__rtruediv__(8), torch.tensor{4., 2})
  test.equal({x:__len__(), x:__contains__(4), torch.tensor(2.7):__int__(), torch.tensor(3):__index__()}, {2, true, 2, 3})
  test.raises("only integer tensors of a single element can be converted to an index", x.__index__, x)
end)

test.case("layouts are equal by value", function()
  test.truthy(torch.ones(1).layout == torch.strided)
  test.truthy(torch.ones(1):to_sparse().layout ~= torch.strided)
  test.equal(torch.dsmm(torch.eye(2):to_sparse(), torch.eye(2)), torch.eye(2))
end)

test.case("lobpcg finds the extreme eigenvalues, dense, sparse and of a batch", function()
  torch.manual_seed(3)
  local a = torch.randn(12, 12, {dtype = torch.float64})
  a = a:mm(a.mT) + torch.eye(12)
  local all = torch.linalg.eigvalsh(a)
  local values, vectors = torch.lobpcg(a, 2)
  test.near(values, all:flip(0):narrow(0, 0, 2), 1e-5)
  test.near(a:mm(vectors), vectors * values, 1e-3)
  test.near(torch.lobpcg(a, 1, {largest = false, method = "basic"}), all:narrow(0, 0, 1), 1e-5)
  test.near(torch.lobpcg(a:to_sparse(), 1), all:narrow(0, 11, 1), 1e-5)
  test.near(torch.lobpcg(torch.stack {a, a * 2}, 1), torch.stack {all:narrow(0, 11, 1), all:narrow(0, 11, 1) * 2}, 1e-4)
  local steps = 0
  torch.lobpcg(a, 1, {tracker = function(worker)
    steps = steps + 1
    if steps == 2 then worker.bvars.force_stop = true end
  end})
  test.equal(steps, 2)
  test.raises("smaller than 3 x the number of requested eigenpairs (=5)", torch.lobpcg, a, 5)
end)

test.case("cond and while_loop take tensors as conditions", function()
  local x = torch.tensor(2.0)
  local function double(a) return a * 2 end
  test.equal(torch.cond(x:gt(1), double, print, {x}):item(), 4.0)
  test.equal(torch.while_loop(function(i) return i:lt(5) end, double, {x}):item(), 8.0)
  test.raises("Expected pred to be bool or single-element tensor", torch.cond, torch.ones(2), print, print)
  test.raises("Expect both branches to be callable.", torch.cond, true, print, 3)
  test.raises("body_fn should return the same number of elements as inputs: 1, got 2", torch.while_loop,
    function() return true end, function(a) return a, a end, {x})
end)

test.case("resize keeps the number of elements", function()
  test.equal(torch.arange(4):resize(2, 2), torch.tensor{{0, 1}, {2, 3}})
  test.raises("requested resize to 3 (3 elements in total), but the given tensor has a size of 2x2 (4 elements).",
    function() return torch.ones(2, 2):resize(3) end)
end)

test.case("nonzero gives rows, or a tensor for each dimension", function()
  local x = torch.tensor{{1, 0}, {0, 2}}
  test.equal(x:nonzero(), torch.tensor{{0, 0}, {1, 1}})
  test.equal(x:nonzero({as_tuple = true}), {torch.tensor{0, 1}, torch.tensor{0, 1}})
  test.equal(torch.nonzero(x, {as_tuple = true}), torch.where(x:ne(0)))
end)

test.case("lobpcg has the gradient of an eigenvalue solver", function()
  torch.manual_seed(5)
  local a = torch.randn(9, 9, {dtype = torch.float64})
  a = (a:mm(a.mT) + torch.eye(9) * 3):requires_grad_()
  local weight = torch.randn(9, 9, {dtype = torch.float64})
  for _, largest in ipairs {true, false} do
    local values, vectors = torch.lobpcg(a, 2, {largest = largest, niter = 300, tol = 1e-12})
    local got = torch.autograd.grad(values:sum() + (vectors:mm(vectors.mT) * weight):sum(), a)[1]
    local all, basis = torch.linalg.eigh(a)
    local first = largest and 7 or 0
    local part = basis:narrow(1, first, 2)
    local expected = torch.autograd.grad(all:narrow(0, first, 2):sum() + (part:mm(part.mT) * weight):sum(), a)[1]
    test.near(got, expected, 1e-5)
  end
  local b = torch.eye(9, {dtype = torch.float64})
  test.raises("lobpcg.backward does not support backward with B != I yet.", function()
    return torch.lobpcg(a, 1, {B = b}):sum():backward()
  end)
end)
