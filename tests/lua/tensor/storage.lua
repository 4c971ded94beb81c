-- Storages, and slices whose ends are tensors.
local test = require "test"
local torch = require "torch"

test.case("tensors that share memory have one storage", function()
  local x = torch.arange(6.0)
  local y = x["2:4"]
  local a, b = x:untyped_storage(), y:untyped_storage()
  test.equal({a:nbytes(), a:size(), #a, b:nbytes()}, {24, 24, 24, 24})
  test.equal(a:data_ptr(), x:data_ptr())
  test.equal(b:data_ptr(), x:data_ptr())
  test.truthy(a == b and a ~= torch.zeros(6):untyped_storage())
  test.truthy(torch.is_storage(a) and not torch.is_storage(x))
  local typed = y:storage()
  test.equal({typed:size(), typed[3], typed.dtype, typed:element_size()}, {6, 3.0, torch.float32, 4})
  test.equal(typed:tolist(), {0.0, 1.0, 2.0, 3.0, 4.0, 5.0})
end)

test.case("bytes are read and written, from 0", function()
  local x = torch.tensor({1, 256}, {dtype = torch.int16})
  local s = x:untyped_storage()
  test.equal({s[0], s[1], s[3], s[-1]}, {1, 0, 1, 1})
  s[0] = 7
  test.equal(x[0]:item(), 7)
  s:fill_(0)
  test.equal(x:tolist(), {0, 0})
  test.raises("index 4 out of range for storage of size 4", function() return s[4] end)
  test.raises("an index must be an integer, got number 0.5", function() s[0.5] = 1 end)
  test.raises("a storage has no 'sise'", function() return s.sise end)
  test.raises("a storage has no 'sise'", function() s.sise = 1 end)
end)

test.case("an element is read without a tensor more than x[i]:item() makes", function()
  local x = torch.arange(6.0)
  local s = x:storage()
  local function growth(read)
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    for _ = 1, 500 do read() end
    local grown = collectgarbage "count" - before
    collectgarbage "restart"
    return grown
  end
  local of_tensor = growth(function() return x[3]:item() end)
  test.truthy(growth(function() return s[3] end) <= of_tensor + 1)
end)

test.case("copies, clones and grows", function()
  local x = torch.ones(2)
  local s = x:untyped_storage()
  local copy = s:clone()
  test.truthy(copy ~= s and copy:nbytes() == 8)
  s:fill_{value = 0}
  s:copy_(copy)
  test.equal(x:tolist(), {1.0, 1.0})
  s:resize_(16)
  test.equal({x:untyped_storage():nbytes(), s:nbytes()}, {16, 16})
  test.equal(x:tolist(), {1.0, 1.0})
  test.raises("allocate memory", s.resize_, s, 1 << 60)
  test.equal(s:nbytes(), 16)
  test.raises("expected at least the 16 elements", s.resize_, s, 8)
  test.raises("expected a storage of 16 elements, got 8", s.copy_, s, copy)
  test.equal(torch.UntypedStorage(5):nbytes(), 5)
  test.raises("Cannot access storage of SparseTensorImpl", function() torch.eye(2):to_sparse():untyped_storage() end)
end)

test.case("the ends of a slice may be tensors of one integer", function()
  local x, t = torch.arange(5), torch.tensor(2)
  test.equal(x[torch.slice(t, nil)]:tolist(), {2, 3, 4})
  test.equal(x[torch.slice(t)]:tolist(), {0, 1})
  test.equal(x[{torch.slice(torch.tensor{1}, torch.tensor(-1), t)}]:tolist(), {1, 3})
  test.equal(x[torch.slice(torch.tensor(true), nil)]:tolist(), {1, 2, 3, 4})
  test.raises("only integer tensors of a single element can be converted to an index", torch.slice, torch.tensor(1.5))
  test.raises("only integer tensors of a single element can be converted to an index", torch.slice, torch.tensor{1, 2})
end)
