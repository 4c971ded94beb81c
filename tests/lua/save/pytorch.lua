-- Files of torch.save in PyTorch's own format, from Lua's side; tests/parity holds them against Python.
local host = require "host"
local ordered = require "host.ordered"
local test = require "test"
local torch = require "torch"

local function keys(t)
  local list = {}
  for key in pairs(t) do list[#list + 1] = key end
  return list
end

local function round(value, options)
  local path = test.tmpdir() .. "/x.pt"
  torch.save(value, path)
  return torch.load(path, options), path
end

test.case("plain values come back with their types", function()
  local value = {1, 2.0, -3, "text", "\xff\0", true, false, math.huge, math.mininteger, {}, {x = 1, [0] = "zero", [2.5] = 3},
    {1, {2, {3}}}, torch.float16, torch.device("cuda:1")}
  local back = round(value)
  test.equal(back, value)
  test.equal(math.type(back[2]), "float")
  test.equal(round(nil), nil)
  test.equal(round("x"), "x")
  test.equal(round(5), 5)
  test.equal(tostring(round(torch.sparse_coo)), "torch.sparse_coo")
  local size = torch.zeros(2, 3).shape
  test.equal(round(size), size)
  test.equal(tostring(round {size = size}.size), "torch.Size([2, 3])")
  local nan = round(0 / 0)
  test.truthy(nan ~= nan)
end)

test.case("dicts keep the order of their keys; plain tables are sorted", function()
  test.equal(keys(round(ordered.new({"z", "a", 3}, {1, 2, 3}))), {"z", "a", 3})
  test.equal(keys(round {b = 1, a = 2, [10] = 3, [9] = 4, [true] = 5}), {true, 9, 10, "a", "b"})
end)

test.case("None is nil in a dict and torch.None in a list, and is written back", function()
  local dict = ordered.new({"a"}, {1}, "dict")
  ordered.set_none(dict, "none")
  dict.b = 2
  local back, path = round {dict = dict, list = {torch.None, 1}, none = torch.None}
  test.equal(back.dict.none, nil)
  test.equal(keys(back.dict), {"a", "b"})
  test.equal(back.list, {torch.None, 1})
  torch.save(back, path .. "2")
  test.equal(host.file.read(path .. "2"), host.file.read(path))
  back.dict.none = 5
  test.equal(keys(back.dict), {"a", "none", "b"})
  back.dict.a = nil  -- removed is not None
  test.equal(keys(round(back).dict), {"none", "b"})
end)

test.case("lists, tuples and sets of Python stay what they are, empty ones too", function()
  local tuple, list = torch.serialization.tuple, torch.serialization.list
  local value = {tuple {1, tuple {}}, list {}, {}}
  local back, path = round(value)
  test.equal(back, value)
  torch.save(back, path .. "2")
  test.equal(host.file.read(path .. "2"), host.file.read(path))
  local set = ordered.new({1, "x"}, {true, true}, "set")
  test.equal(round(set).x, true)
end)

test.case("tensors share what they shared, with strides, gradients and Parameters", function()
  local base = torch.arange(12):to(torch.float32)
  local parameter = torch.nn.Parameter(torch.ones(2))
  for _, options in ipairs {{mmap = false}, {mmap = true}} do
    local back = round({base = base, view = base:view(3, 4):t()[1], again = base, parameter = parameter,
      leaf = torch.zeros(1, {requires_grad = true}), empty = torch.zeros(0, 3), bits = torch.ones(2):to(torch.float8_e5m2)}, options)
    test.equal(back.view, base:view(3, 4):t()[1])
    test.equal(back.view:stride(), {4})
    test.truthy(rawequal(back.base, back.again))
    back.base:zero_()
    test.equal(back.view:sum():item(), 0.0)
    test.equal(base:sum():item(), 66.0)  -- a mapping is private
    test.truthy(tostring(back.parameter):find "Parameter" and back.parameter.requires_grad and back.leaf.requires_grad)
    test.equal(back.empty.shape, {0, 3})
    test.equal(back.bits.dtype, torch.float8_e5m2)
  end
end)

test.case("tables that are shared or hold themselves stay so", function()
  local shared, loop = {1}, {}
  loop.self = loop
  local back = round {shared, shared, loop}
  test.truthy(rawequal(back[1], back[2]) and rawequal(back[3].self, back[3]))
  local tuple = torch.serialization.tuple {}
  tuple[1] = tuple
  test.raises("a tuple or a set holds itself", round, tuple)
  local deep = {}
  for _ = 1, 1000 do deep = {deep} end
  test.raises("nested more than 500 deep", round, deep)
end)

test.case("what a file cannot hold is named by its place, and an older file stays", function()
  local path = test.tmpdir() .. "/x.pt"
  torch.save({1}, path)
  test.raises("torch.save: a[2].f is function", torch.save, {a = {1, {f = print}}}, path)
  local closed = torch.ones(1)
  closed:free()
  local state = {state = {model = {weight = closed}}}
  local err = test.raises("torch.save: state.model.weight is a closed Tensor", torch.save, state, path)
  test.equal({err.kind, err.hint:match("freed")}, {"usage", "freed"})
  test.raises("torch.save: the value[2] is a closed Tensor", torch.save, {1, closed}, path)
  test.raises("torch.save: state.model.weight is a closed Tensor", torch.save, state, path .. ".safetensors")
  test.raises("torch.save: argument 'metadata' must be a table, got number 1", torch.save, {}, path .. ".safetensors", 1)
  test.raises("state_dict()", torch.save, {net = torch.nn.Linear(1, 1)}, path)
  test.raises("a key of the value is Tensor", torch.save, {[torch.ones(1)] = 1}, path)
  local x = torch.ones(4)
  test.raises("view the same data as different types", torch.save, {x, x:view(torch.int32)}, path)
  test.raises("'metadata' is for .safetensors", torch.save, {}, path, {metadata = {a = "b"}})
  test.raises("weights_only", torch.load, path, {weights_only = false})
  test.equal(torch.load(path), {1})
  test.equal(#host.file.list(host.file.folder_of(path)), 1)
end)

test.case("a complex number is that number again", function()
  local back = round {torch.complex(1, -2), z = torch.complex(0, 1 / 0)}
  test.truthy(back[1] == torch.complex(1, -2) and back.z == torch.complex(0, 1 / 0) and not torch.is_tensor(back.z))
end)

test.case("the bytes of a file say what it is, not its name", function()
  local folder = test.tmpdir()
  torch.save({1}, folder .. "/a.pt")
  host.file.rename(folder .. "/a.pt", folder .. "/a.npy")
  test.equal(torch.load(folder .. "/a.npy"), {1})
  torch.save({w = torch.ones(2)}, folder .. "/b.safetensors", {metadata = {epoch = "3"}})
  host.file.rename(folder .. "/b.safetensors", folder .. "/b.bin")
  test.equal(torch.load(folder .. "/b.bin").w:tolist(), {1.0, 1.0})
  test.equal(torch.load_metadata and torch.load_metadata(folder .. "/b.bin").epoch or "3", "3")
  torch.save({2}, folder .. "/c.pt")
  host.file.rename(folder .. "/c.pt", folder .. "/c.safetensors")
  test.equal(torch.load(folder .. "/c.safetensors"), {2})
  host.file.write_atomic(folder .. "/text", "no tensors")
  test.equal(test.raises("is no file of torch.save, safetensors or numpy", torch.load, folder .. "/text").kind, "io")
  host.file.write_atomic(folder .. "/tar", ("x"):rep(257) .. "ustar" .. ("\0"):rep(300))
  test.raises("legacy .tar format", torch.load, folder .. "/tar")
  host.file.write_atomic(folder .. "/empty", "")
  test.equal(test.raises("is no file of", torch.load, folder .. "/empty").kind, "io")
end)

test.case("a flipped bit of a tensor's bytes is found by the checksum, and not in a mapping", function()
  local _, path = round {torch.zeros(1000)}
  local data = host.file.read(path)
  local at = data:find(("\0"):rep(3000), 1, true) + 1500
  host.file.write_atomic(path, data:sub(1, at - 1) .. "\1" .. data:sub(at + 1))
  test.equal(test.raises("the checksum of the record 'archive/data/0' does not fit", torch.load, path).kind, "io")
  test.equal(torch.load(path, {mmap = true})[1]:sum():item() ~= 0, true)
end)

test.case("memory_limit lets a packed file grow beyond the default", function()
  local path = test.tmpdir() .. "/x.npz"
  torch.save({torch.zeros(20000000)}, path, {compressed = true})
  local err = test.raises("would take more than", torch.load, path)
  test.equal(err.kind, "io")
  test.equal(torch.load(path, {memory_limit = 100 << 20}).arr_0.shape, {20000000})
end)
