-- Datasets of tensors and of Lua functions, their subsets, concatenation and random splits.
local test = require "test"
local torch = require "torch"
local data = torch.utils.data

local function squares(count)
  return data.Dataset {len = count, get = function(_, i) return torch.full({2}, i), i * i end}
end

test.case("a tensor dataset has samples by 0-based index", function()
  local set = data.TensorDataset(torch.arange(6):view(3, 2), torch.tensor {1.5, 2.5, 3.5})
  test.equal(#set, 3)
  test.equal(set[1][1]:tolist(), {2, 3})
  test.equal(set[1][2]:item(), 2.5)
  test.equal(#set.tensors, 2)
  test.equal(tostring(set), "TensorDataset(3 samples)")
  test.raises("sample index 3 is out of range, expected %-3 to 2", function() return set[3] end)
  test.raises("sample index 0.5 is out of range", function() return set[0.5] end)
  test.equal(set.nothing, nil)
end)

test.case("a tensor dataset refuses what is not tensors of equal length", function()
  local err = test.raises("expected 2 samples as in tensor 1, got 3", data.TensorDataset, torch.zeros(2),
    torch.zeros(3))
  test.equal(err.kind, "shape")
  test.raises("0-dimensional", data.TensorDataset, torch.tensor(1))
  test.raises("argument 2", data.TensorDataset, torch.zeros(2), "x")
  test.raises("at least one tensor", data.TensorDataset)
  test.raises("unknown keyword", data.TensorDataset, torch.zeros(2), {transform = {}})
end)

test.case("transforms equal the tensor arithmetic bit for bit and leave bytes in memory", function()
  local bytes = torch.arange(2 * 3 * 4):mul(11):to(torch.uint8):view(2, 3, 4)
  local mean, std = {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}
  local transform = {divisor = 255, mean = mean, std = std}
  local set = data.TensorDataset(bytes, torch.tensor {0, 1}, {transforms = {[1] = transform}})
  local function along(list) return torch.tensor(list):view(1, 3, 1) end
  local want = bytes:to(torch.float32):div(255):sub(along(mean)):div(along(std))
  for x, y in data.DataLoader(set, {batch_size = 2}):iter() do
    test.equal(x, want)
    test.equal(y:tolist(), {0, 1})
  end
  test.equal(set[1][1], want[1])
  test.equal(set.tensors[1].dtype, torch.uint8)
  local function with(other) return data.TensorDataset(bytes, {transforms = {[1] = other}}) end
  test.raises("one for each of the 3 channels, got 2", with, {mean = {1, 2}})
  test.raises("unknown keyword", with, {scale = 1})
  test.raises("'divisor' must not be 0", with, {divisor = 0})
  test.raises("a number or a list of numbers", with, {mean = "x"})
  test.raises("1 to 1", data.TensorDataset, bytes, {transforms = {x = {}}})
  test.raises("integer or float", data.TensorDataset, torch.zeros(2):to(torch.bool),
    {transforms = {[1] = {divisor = 2}}})
end)

test.case("a Lua dataset is batched like PyTorch's default_collate", function()
  local loader = data.DataLoader(squares(5), {batch_size = 2})
  local seen = {}
  for x, y in loader:iter() do seen[#seen + 1] = {x:tolist(), y:tolist(), tostring(y.dtype)} end
  test.equal(seen[3], {{{4, 4}}, {16}, "torch.int64"})
  test.equal(seen[1][1], {{0, 0}, {1, 1}})
  local kinds = data.Dataset {len = 2, get = function(_, i)
    return {text = "s" .. i, truth = i == 0, float = i + 0.5, nested = {torch.tensor(i), i}}
  end}
  for batch in data.DataLoader(kinds, {batch_size = 2}):iter() do
    test.equal(batch.text, {"s0", "s1"})
    test.equal(batch.truth:tolist(), {true, false})
    test.equal(batch.float.dtype, torch.float64)
    test.equal(batch.nested[1]:tolist(), {0, 1})
    test.equal(batch.nested[2]:tolist(), {0, 1})
  end
  for i, batch in data.DataLoader(kinds):enumerate() do test.equal(batch.text, {"s" .. i}) end
end)

test.case("any table with get and len is a dataset", function()
  local plain = {len = function() return 3 end, get = function(_, i) return {torch.tensor(i)} end}
  local seen = {}
  for x in data.DataLoader(plain, {shuffle = true, seed = 1}):iter() do seen[#seen + 1] = x:item() end
  table.sort(seen)
  test.equal(seen, {0, 1, 2})
  test.equal(#squares(4), 4)
  test.equal(squares(4)[3][2], 9)
  test.raises("expected a dataset", data.DataLoader, {1, 2})
  test.raises("'len' must be a count", data.Dataset, {len = "x", get = print})
  local empty = data.DataLoader {len = 1, get = function() end}
  test.raises("returned nothing", function() return empty:iter()() end)
end)

test.case("a dataset without len has the length of its __len; without any it is refused", function()
  local get = function(_, i) return torch.tensor(i) end
  local set = setmetatable({get = get}, {__len = function() return 5 end})
  test.equal(#data.DataLoader(set), 5)
  local class = {get = get}
  class.__index, class.__len = class, function(self) return self.count end
  test.equal(#data.DataLoader(setmetatable({count = 3}, class)), 3)
  test.equal(#data.DataLoader {get = function(self, i) return self[i + 1] end, 7, 8}, 2)
  test.equal(#data.Dataset {get = function(self, i) return self[i + 1] end, 7, 8}, 2)
  test.equal(#data.DataLoader {get = get, len = 0}, 0)
  for _, make in ipairs {data.DataLoader, data.Dataset} do
    test.raises("the dataset has get but no length", make, {length = 5, get = get})
  end
  test.raises("the dataset has get but no length", data.DataLoader, setmetatable({get = get}, {__index = {}}))
end)

test.case("a Lua dataset in worker threads is refused with what to do", function()
  local err = test.raises("written in Lua is read in the script's own thread: 'workers' must be 0", data.DataLoader,
    squares(3), {workers = 2})
  test.equal(err.kind, "usage")
  test.truthy(err.hint:find "TensorDataset")
end)

test.case("an error in get comes through with its line, and the loop can be left", function()
  local bad = data.Dataset {len = 3, get = function(_, i)
    if i == 1 then error "no such image" end
    return torch.tensor(i)
  end}
  local loader, seen = data.DataLoader(bad), 0
  test.raises("no such image", function()
    for _ in loader:iter() do seen = seen + 1 end
  end)
  test.equal(seen, 1)
  test.equal({loader:state_dict().epoch, loader:state_dict().batch}, {0, 1})
end)

test.case("samples that do not fit together name the field and the sample", function()
  local function batch(get)
    local loader = data.DataLoader({len = 2, get = get}, {batch_size = 2})
    return function() return loader:iter()() end
  end
  test.raises("field 1 of sample 1 of the batch has the shape [2], that of sample 0 has [1]",
    batch(function(_, i) return torch.zeros(i + 1) end))
  test.raises("field 1 of sample 1 of the batch is", batch(function(_, i) return i == 0 and 1 or "x" end))
  test.raises("has no field 2", batch(function(_, i) if i == 0 then return 1, 2 end return 1 end))
end)

test.case("collate_fn gets the samples and makes the batch", function()
  local set = data.TensorDataset(torch.arange(4))
  local function collate(samples) return {#samples, samples[1][1]:item()} end
  local loader = data.DataLoader(set, {batch_size = 2, collate_fn = collate})
  local seen = {}
  for count, first in loader:iter() do seen[#seen + 1] = {count, first} end
  test.equal(seen, {{2, 0}, {2, 2}})
end)

test.case("subset and concat work on tensor and Lua datasets alike", function()
  local tensors = data.TensorDataset(torch.arange(5):mul(10))
  local lua = data.Dataset {len = 3, get = function(_, i) return torch.tensor(i) end}
  local odd = data.Subset(tensors, {1, 3})
  test.equal({#odd, odd[1][1]:item()}, {2, 30})
  test.equal(data.Subset(tensors, torch.tensor {4})[0][1]:item(), 40)
  test.equal(data.Subset(lua, {2})[0][1]:item(), 2)
  local both = data.ConcatDataset {odd, lua, tensors}
  local seen = {}
  for x in data.DataLoader(both):iter() do seen[#seen + 1] = x:item() end
  test.equal(seen, {10, 30, 0, 1, 2, 0, 10, 20, 30, 40})
  seen = {}
  local native = data.ConcatDataset {odd, tensors}
  for x in data.DataLoader(native, {batch_size = 7, workers = 1}):iter() do seen = x:tolist() end
  test.equal(seen, {10, 30, 0, 10, 20, 30, 40})
  test.raises("index 5 is out of range, expected 0 to 4", data.Subset, tensors, {5})
  test.raises("index 3 is out of range, expected 0 to 2", data.Subset, lua, {3})
  test.raises("expected a list of at least one dataset", data.ConcatDataset, {})
end)

test.case("random_split gives disjoint parts of the counts or fractions asked for, as PyTorch draws them", function()
  local set = data.TensorDataset(torch.arange(10))
  local a, b = data.random_split(set, {7, 3}, {seed = 1})
  -- Golden: torch.randperm(10, generator=torch.Generator().manual_seed(1)) of PyTorch 2.13.
  test.equal(a.indices, {5, 6, 1, 2, 0, 8, 9})
  test.equal(b.indices, {3, 7, 4})
  local x, y, z = data.random_split(set, {0.5, 0.25, 0.25}, {seed = 2})
  test.equal({#x, #y, #z}, {6, 2, 2})
  local all = {}
  for _, part in ipairs {x, y, z} do
    for _, i in ipairs(part.indices) do all[#all + 1] = i end
  end
  table.sort(all)
  test.equal(all, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
  torch.manual_seed(1)
  test.equal((data.random_split(set, {7, 3})).indices, a.indices)
  local lengths, wrong = {6.0, 4.0}, {6.0, 4.5}
  data.random_split(set, lengths)
  test.equal(lengths, {6.0, 4.0}, "the caller's list is left as it is")
  pcall(data.random_split, set, wrong)
  test.equal(wrong, {6.0, 4.5})
  test.raises("add up to 9, the dataset has 10 samples", data.random_split, set, {7, 2})
  test.raises("counts of samples or fractions", data.random_split, set, {0.5, 0.2})
  test.raises("between 0 and 1", data.random_split, set, {1.5, -0.5})
  test.raises("lengths[2] must be a number", data.random_split, set, {1, "x"})
  test.raises("expected a list of counts", data.random_split, set, 7)
end)

test.case("negative sample indices count from the end", function()
  local x = torch.arange(4)
  local set = data.TensorDataset(x)
  test.equal(set[-1][1]:item(), 3)
  test.equal(set[-4][1]:item(), 0)
  test.equal(squares(4)[-1][2], 9)
  test.equal(data.Subset(set, {2, 0})[-1][1]:item(), 0)
  test.equal(data.ConcatDataset({set, set})[-1][1]:item(), 3)
  test.raises("sample index %-5 is out of range, expected %-4 to 3", function() return set[-5] end)
end)
