-- State dicts of modules: what a load that fails leaves, metadata in files. The rest is compared with PyTorch in
-- tests/parity/test_module.py.
local test = require "test"
local torch = require "torch"
local nn = torch.nn

test.case("a load that fails leaves the module as it was", function()
  local m = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
  local before = m:deepcopy():state_dict()
  local state = m:deepcopy():state_dict()
  state["0.weight"] = torch.zeros(2, 2)
  state["1.bias"] = torch.zeros(3)
  test.equal(test.raises("size mismatch for 1.bias", m.load_state_dict, m, state).kind, "shape")
  for name, tensor in pairs(m:state_dict()) do test.equal(tensor, before[name], name) end
end)

test.case("what cannot be copied is named", function()
  local m = nn.Linear(1, 1)
  local state = m:state_dict()
  state.weight = torch.ones(1, 1, {device = "meta"})
  test.raises('While copying the parameter named "weight", whose dimensions in the model are torch.Size%(%[1, 1%]%)',
    m.load_state_dict, m, state)
end)

test.case("hooks that raise while a state dict is loaded leave nothing half done for the next load", function()
  local m = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
  local state = m:state_dict()
  local handle = m[1]:register_load_state_dict_pre_hook(function() error "hook" end)
  test.raises("hook", m.load_state_dict, m, state)
  handle:remove()
  test.equal(tostring(m:load_state_dict(state)), "<All keys matched successfully>")
end)

test.case("a hook may load another module", function()
  local m, other = nn.Linear(1, 1), nn.Linear(1, 1)
  m:register_load_state_dict_pre_hook(function() other:load_state_dict{weight = torch.full({1, 1}, 3.0), bias = torch.ones(1)} end)
  m:load_state_dict{weight = torch.zeros(1, 1), bias = torch.zeros(1)}
  test.equal(other.weight:item(), 3.0)
  test.equal(m.weight:item(), 0.0)
end)

test.case("a state dict given to load is not changed by hooks", function()
  local m = nn.Sequential(nn.Linear(1, 1))
  m:register_load_state_dict_pre_hook(function(_, state) state["0.more"] = nil end)
  local state = m:state_dict()
  state["0.more"] = torch.ones(1)
  m:load_state_dict(state)
  test.equal(state["0.more"], torch.ones(1))
end)

-- Trees without hooks and methods of their own go another way through the same definition.
local function by_module(m)
  local handle = m:register_state_dict_pre_hook(function() end)
  local state = m:state_dict()
  handle:remove()
  return state
end

test.case("a state dict is the same whether or not a module has a way of its own", function()
  local m = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Sequential(nn.Linear(2, 1)))
  m:add_module("tied", m[2])
  m:register_buffer("hidden", torch.ones(1), false)
  local function read(state)
    local all = {}
    for key, value in pairs(state) do all[#all + 1] = {key, value:sum():item(), value.requires_grad} end
    for path, entry in pairs(state._metadata) do all[#all + 1] = {path, entry.version} end
    return all
  end
  test.equal(read(m:state_dict()), read(by_module(m)))
  test.equal(#read(m:state_dict()), 11 + 7)
  local into = {}
  m:state_dict(into, "net.", true)
  test.truthy(rawequal(into["net.0.weight"], m[0].weight))
  test.truthy(rawequal(into["net.tied.0.bias"], m[2][0].bias))
  test.equal(m:state_dict{prefix = "net."}._metadata["net"].version, 1)
end)

test.case("a method of a class or of a module below changes its part alone", function()
  local Own = nn.class("Own", nn.Linear)
  function Own:_save_to_state_dict(destination, prefix) destination[prefix .. "own"] = torch.ones(1) end
  function Own:_load_from_state_dict(state, prefix) self.loaded = state[prefix .. "own"] end
  local m = nn.Sequential(nn.Linear(1, 1), Own(1, 1), nn.ReLU(), nn.Linear(1, 1))
  local function keys() return table.concat(require "host.ordered".keys(m:state_dict()), " ") end
  test.equal(keys(), "0.weight 0.bias 1.own 3.weight 3.bias")
  m:load_state_dict(m:state_dict())
  test.equal(m[1].loaded, torch.ones(1))
  m[3].state_dict = function(_, destination, prefix)
    destination[prefix .. "mine"] = torch.ones(1)
    return destination
  end
  test.equal(keys(), "0.weight 0.bias 1.own 3.mine")
  m[2].get_extra_state = function() return 1 end  -- of the object: as in Python only the class counts
  test.equal(keys(), "0.weight 0.bias 1.own 3.mine")
end)

test.case("what a load finds missing, left over or of another version is seen in plain trees, too", function()
  local m = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
  local function changed(change)
    local state = m:deepcopy():state_dict()
    change(state)
    return state
  end
  test.raises('Missing key%(s%) in state_dict: "0.bias"', m.load_state_dict, m, changed(function(s) s["0.bias"] = nil end))
  test.raises('Unexpected key%(s%) in state_dict: "0.more"', m.load_state_dict, m,
    changed(function(s) s["0.more"] = torch.ones(1) end))
  test.raises('Unexpected key%(s%) in state_dict: "_extra_state"', m.load_state_dict, m,
    changed(function(s) s._extra_state = 3 end))
  test.raises("Tensor%-like object from checkpoint but received <class 'int'>", m.load_state_dict, m,
    changed(function(s) s["0.bias"] = 3 end))
  local old = changed(function(s) s["1.num_batches_tracked"], s._metadata = nil, nil end)
  test.equal(tostring(m:load_state_dict(old)), "<All keys matched successfully>")
  m:load_state_dict(changed(function(s) s["0.bias"] = torch.full({1}, 4.0) end))
  test.equal(m[0].bias:item(), 4.0)
  m:add_module("none", nil)
  test.equal(tostring(m:load_state_dict(changed(function(s) s["none.weight"] = torch.ones(1) end))),
    "<All keys matched successfully>")
end)

test.case("a state dict loaded with assign is so the next time", function()
  local state = nn.Linear(1, 1):state_dict()
  state._metadata[""].assign_to_params_buffers = true
  local m = nn.Linear(1, 1)
  m:load_state_dict(state)
  test.equal(m.weight:data_ptr(), state.weight:data_ptr())
end)

test.case("the versions of classes go through files and are no keys", function()
  local path = test.tmpdir() .. "/state.pt"
  local state = nn.Sequential(nn.BatchNorm1d(1)):state_dict()
  torch.save(state, path)
  local loaded = torch.load(path)
  test.equal(loaded._metadata["0"].version, 2)
  for key in pairs(loaded) do test.truthy(key ~= "_metadata") end
  local plain = {weight = torch.ones(1)}
  torch.save(plain, path)
  test.equal(torch.load(path)._metadata, nil)
end)

test.case("a module of a class with __deepcopy__ is copied by it", function()
  local Shared = nn.class("Shared")
  function Shared:__deepcopy__() return self end
  local m = nn.Sequential(Shared(), nn.ReLU())
  local copy = m:deepcopy()
  test.truthy(rawequal(copy[0], m[0]))
  test.falsy(rawequal(copy[1], m[1]))
end)

test.case("a name without a child is reserved", function()
  local m = nn.Sequential()
  m:add_module("head", nil)
  test.equal(m.head, nil)
  test.equal(#m:children(), 0)
  test.raises("cannot assign 'int' as child module 'head'", function() m.head = 3 end)
  m.head = nn.ReLU()
  test.equal(tostring(m), "Sequential(\n  (head): ReLU()\n)")
  m:double():eval()
end)

test.case("to_empty, compile and devices that are not there", function()
  local m = nn.Linear(1, 1)
  test.raises("Module.to_empty: argument 'device' is missing", m.to_empty, m, {recurse = false})
  test.raises("torch.compile translates Python", m.compile, m)
  test.raises("XPU", m.xpu, m)
  test.raises("argument 'dtype' must be a dtype", m.to, m, "cpu", 3)
end)

local function keys(t)
  local all = {}
  for key in pairs(t) do all[#all + 1] = key end
  return all
end

test.case("a deep copy of a state dict has an order of its own", function()
  local model = nn.Identity()
  model.saved = nn.Linear(1, 1):state_dict()
  local copy = model:deepcopy()
  copy.saved.extra = torch.ones(1)
  copy.saved.weight = nil
  copy.saved._metadata[""].version = 7
  test.equal({keys(model.saved), keys(copy.saved)}, {{"weight", "bias"}, {"bias", "extra"}})
  test.equal(model.saved._metadata[""].version, 1)
  test.equal(nn.Linear(1, 1):load_state_dict(model:deepcopy().saved).missing_keys, {})
end)

test.case("_metadata is a key like others of what is no state dict", function()
  local path = test.tmpdir() .. "/named.pt"
  torch.save({_metadata = {1, 2}, other = 3}, path)
  local loaded = torch.load(path)
  test.equal(keys(loaded), {"_metadata", "other"})
  loaded.more, loaded._metadata = 1, "text"
  test.equal(loaded._metadata, "text")
  test.equal(#keys(loaded), 3)
end)
