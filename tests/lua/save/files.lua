-- torch.save and torch.load, host.checkpoint: what goes in comes out, and what is damaged is refused.
local host = require "host"
local test = require "test"
local torch = require "torch"

local function keys(t)
  local list = {}
  for key in pairs(t) do list[#list + 1] = key end
  return list
end

test.case("save and load keep names, dtypes, shapes and bits; ordered tables keep their order", function()
  local path = test.tmpdir() .. "/x.safetensors"
  local tensors = {b = torch.rand(2, 3), a = torch.arange(4), half = torch.rand(3):to(torch.bfloat16),
    mask = torch.tensor {true, false}, scalar = torch.tensor(2.5), none = torch.zeros(0, 3)}
  torch.save(tensors, path, {metadata = {note = "x"}})
  for _, mmap in ipairs {false, true} do
    local back = torch.load(path, {mmap = mmap})
    test.equal(keys(back), {"a", "b", "half", "mask", "none", "scalar"})
    for name, tensor in pairs(tensors) do test.equal(back[name], tensor, name) end
  end
  test.equal(torch.load_metadata(path), {note = "x"})
  local reversed = require "host.ordered".new({"z", "y"}, {torch.zeros(1), torch.ones(1)})
  torch.save(reversed, path)
  test.equal(keys(torch.load(path)), {"z", "y"})
end)

test.case("a torch.Size in a nested table is a list of its numbers", function()
  local path = test.tmpdir() .. "/x.safetensors"
  torch.save({size = torch.zeros(2, 3).shape, none = torch.zeros(1)[0].shape}, path)
  test.equal(torch.load(path), {size = {2, 3}, none = {}})
end)

test.case("a complex number in a nested table is that number again", function()
  local path = test.tmpdir() .. "/x.safetensors"
  torch.save({a = {z = torch.complex(1, -0.5), w = torch.complex(1 / 0, 0), t = torch.ones(2)}}, path)
  local a = torch.load(path).a
  test.truthy(a.z == torch.complex(1, -0.5) and a.w == torch.complex(1 / 0, 0) and not torch.is_tensor(a.z))
end)

test.case("load_state_dict takes what torch.load returns, which is one value", function()
  local path = test.tmpdir() .. "/model.safetensors"
  local one, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
  torch.save(one:state_dict(), path)
  test.equal(select("#", torch.load(path)), 1)
  other:load_state_dict(torch.load(path))
  test.equal(other.weight, one.weight)
  test.equal(torch.load_metadata(path), {format = "pt"})
end)

test.case("what cannot be saved or read is refused with what to do", function()
  local folder = test.tmpdir()
  local path = folder .. "/x.safetensors"
  test.raises("'f' must be a string", torch.save, {}, 1)
  test.raises("torch.save: a is function", torch.save, {a = print}, folder .. "/x.pt")
  test.raises("torch.save: a is function", torch.save, {a = print}, path)
  test.raises("give its state_dict()", torch.save, torch.nn.Linear(1, 1), path)
  test.equal(test.raises("No such file", torch.load, folder .. "/x.pt").kind, "io")
  test.raises("expected a table of named tensors", torch.save, torch.zeros(1), path)
  test.equal(test.raises("No such file", torch.load, path).kind, "io")
  test.equal(test.raises("No such file", torch.save, {}, folder .. "/no/x.safetensors").kind, "io")
  host.file.write_atomic(path, "not a tensor file")
  test.equal(test.raises("the header's length", torch.load, path).kind, "io")
  test.equal(#host.file.list(folder), 1)
end)

test.case("a checkpoint keeps state dicts, nested tables with numbers as keys, and plain state exactly", function()
  local folder = test.tmpdir() .. "/runs/01"
  local model = {w = torch.rand(2), b = torch.rand(1)}
  local optimizer = {
    state = {[0] = {step = torch.tensor(3.0), exp_avg = torch.rand(2)}, [1] = {step = torch.tensor(3.0)}},
    param_groups = {{lr = 0.1, betas = {0.9, 0.999}, params = {0, 1}, amsgrad = false}},
  }
  local state = {epoch = 3, loss = 0.1 + 0.2, whole = 1.0, best = math.huge, worst = -math.huge, list = {1, 2.5, "x"},
    empty = {}, mixed = {[1] = "a", [5] = "b", x = true}, ["$number"] = "kept", text = "line\n\0 \u{e4}",
    big = math.mininteger}
  host.checkpoint.save(folder, {tensors = {model = model, optimizer = optimizer, empty = {}}, state = state})
  local back = host.checkpoint.load(folder)
  test.equal(back.state, state)
  test.equal(math.type(back.state.whole), "float")
  test.equal(math.type(back.state.epoch), "integer")
  test.equal(keys(back.tensors.model), {"b", "w"})
  test.equal(back.tensors.model.w, model.w)
  test.equal(back.tensors.optimizer, optimizer)
  test.equal(torch.load(folder .. "/model.safetensors").b, model.b)
  host.checkpoint.save(folder, {state = {nan = 0 / 0}})
  local nan = host.checkpoint.load(folder).state.nan
  test.truthy(nan ~= nan)
  test.equal(host.file.list(folder), {"manifest.json", "state.json"})
end)

test.case("a failed save leaves the checkpoint that was there", function()
  local above = test.tmpdir()
  local folder = above .. "/c"
  host.checkpoint.save(folder, {state = {n = 1}})
  test.raises("state.f is function", host.checkpoint.save, folder, {state = {f = print}})
  test.raises("state.x is", host.checkpoint.save, folder, {state = {x = torch.nn.Linear(1, 1)}})
  test.raises("cannot have the name 'state'", host.checkpoint.save, folder, {tensors = {state = {}}})
  test.raises("cannot name a part", host.checkpoint.save, folder, {tensors = {["a/b"] = {}}})
  local loop = {}
  loop.self = loop
  test.raises("holds itself", host.checkpoint.save, folder, {state = loop})
  test.raises("unknown keyword", host.checkpoint.save, folder, {model = {}})
  test.equal(host.checkpoint.load(folder).state.n, 1)
  test.equal(host.file.list(above), {"c"})
end)

test.case("tensors within the state come back in their places", function()
  local folder = test.tmpdir() .. "/c"
  host.checkpoint.save(folder, {state = {user = {1, x = torch.arange(3)}, n = 1}, tensors = {model = {w = torch.ones(1)}}})
  local back = host.checkpoint.load(folder)
  test.equal({back.state.user[1], back.state.user.x:tolist(), back.state.n}, {1, {0, 1, 2}, 1})
  test.equal(back.tensors.state, nil)
  local files = host.checkpoint.check(folder)
  test.equal({#files, files[1].name, #files[1].sum, files[1].tensors[1][1]}, {3, "model.safetensors", 32, "w"})
end)

test.case("submit writes what the tensors were at the call, then moves the link", function()
  local above = test.tmpdir()
  local x, writing = torch.zeros(1000), {}
  for n = 1, 4 do
    x:fill_(n)
    writing[n] = host.checkpoint.submit(above .. "/" .. n, {tensors = {model = {x = x, same = x, part = x[{torch.slice(0, 10, 3)}]}},
      state = {n = n}}, "latest")
  end
  x:fill_(-1)
  for n = 1, 4 do
    writing[n]:wait()
    test.truthy(writing[n]:done())
    local back = host.checkpoint.load(above .. "/" .. n)
    test.equal({back.state.n, back.tensors.model.x:min():item(), back.tensors.model.same:sum():item(), back.tensors.model.part:tolist()},
      {n, n + 0.0, 1000.0 * n, {n + 0.0, n + 0.0, n + 0.0, n + 0.0}})
  end
  test.equal(host.checkpoint.load(above .. "/latest").state.n, 4)
  test.equal(host.checkpoint.list(above), {above .. "/4", above .. "/3", above .. "/2", above .. "/1"})
end)

test.case("submit takes other tensors than the last time, and less", function()
  local above = test.tmpdir()
  local contents = {{a = torch.ones(3), b = torch.zeros(2, 2)},
    {a = torch.ones(3):long() * 5}, {b = torch.full({2, 2}, 7), c = torch.ones(3)}}
  for n, model in ipairs(contents) do
    host.checkpoint.submit(above .. "/c", {tensors = {model = model}}):wait()
    local back = host.checkpoint.load(above .. "/c").tensors.model
    for name, tensor in pairs(model) do test.truthy(torch.equal(tensor, back[name]), n .. name) end
  end
end)

test.case("a write by a thread that fails tells so once, where it is asked for", function()
  local above = test.tmpdir()
  host.file.write_atomic(above .. "/file", "")
  local writing = host.checkpoint.submit(above .. "/file/c", {state = {n = 1}})
  test.raises("file", writing.wait, writing)
  test.truthy(writing:done())
end)

test.case("the link latest moves in one step and loads", function()
  local above = test.tmpdir()
  for n = 1, 2 do
    host.checkpoint.save(above .. "/" .. n, {state = {n = n}})
    host.checkpoint.link(above .. "/" .. n .. "/", "latest")
    test.equal(host.checkpoint.load(above .. "/latest").state.n, n)
  end
  test.equal(host.file.list(above), {"1", "2", "latest"})
  host.checkpoint.save_tensors(above .. "/w.safetensors", {{"b", torch.zeros(1)}, {"a", torch.ones(1)}})
  test.equal(keys(torch.load(above .. "/w.safetensors")), {"b", "a"})
end)

test.case("a damaged checkpoint is an io error", function()
  local folder = test.tmpdir() .. "/c"
  host.checkpoint.save(folder, {tensors = {model = {w = torch.rand(4)}}, state = {n = 1}})
  local path = folder .. "/model.safetensors"
  local text = host.file.read(path)
  host.file.write_atomic(path, text:sub(1, -2))
  test.equal(test.raises("the manifest says", host.checkpoint.load, folder).kind, "io")
  host.file.remove(path)
  test.equal(test.raises("No such file", host.checkpoint.load, folder).kind, "io")
  test.equal(test.raises("there is no such folder", host.checkpoint.load, folder .. "x").kind, "io")
  host.file.write_atomic(folder .. "/manifest.json", "{")
  test.equal(test.raises("manifest.json is damaged", host.checkpoint.load, folder).kind, "io")
end)

test.case("a table nested too deep is refused by name", function()
  local deep = {}
  for _ = 1, 600 do deep = {deep} end
  test.raises("nested more than 500 deep", torch.save, deep, test.tmpdir() .. "/deep.safetensors")
end)
