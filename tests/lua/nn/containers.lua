-- nn.Sequential, ModuleList, ModuleDict: 0-based, ordered, growing and shrinking.
local test = require "test"
local torch = require "torch"
local nn = torch.nn

test.case("Sequential counts from 0 and from the end", function()
  local a, b = nn.Linear(2, 3), nn.ReLU()
  local seq = nn.Sequential(a, b)
  test.truthy(rawequal(seq[0], a) and rawequal(seq[1], b) and rawequal(seq[-1], b))
  test.equal(#seq, 2)
  test.raises("index 2 is out of range: Sequential has 2 modules", function() return seq[2] end)
  test.raises("index %-3 is out of range", function() return seq[-3] end)
end)

test.case("Sequential calls its modules in order, repeated ones too", function()
  local Double = nn.class("Double")
  function Double:forward(x) return x * 2 end
  local d = Double()
  local seq = nn.Sequential(d, d, d)
  test.equal(seq(1), 8)
  seq:append(d)
  test.equal(seq(1), 16)
  seq[0] = nn.Identity()
  test.equal(seq(1), 8)
  seq[1] = nil
  test.equal(#seq, 3)
  test.equal(seq(1), 4)
end)

test.case("a class takes as many arguments as a call has", function()
  local layers = {}
  for i = 1, 2000 do layers[i] = nn.ReLU() end
  local seq = nn.Sequential(table.unpack(layers))
  test.equal(#seq, 2000)
  test.truthy(rawequal(seq[-1], layers[2000]))
  local Counts = nn.class("Counts")
  function Counts:__init(...) self.count, self.last = select("#", ...), (select(-1, ...)) end
  local counts = Counts(table.unpack(layers))
  test.equal(counts.count, 2000)
  test.truthy(rawequal(counts.last, layers[2000]))
  test.equal(Counts(nil).count, 1)
end)

test.case("Sequential takes names, lists and functions of a list", function()
  local named = nn.Sequential{{"fc", nn.Linear(2, 2)}, {"act", nn.ReLU()}}
  test.truthy(named.fc and rawequal(named.fc, named[0]))
  test.equal(#nn.Sequential{nn.ReLU(), nn.ReLU()}, 2)
  local list = nn.ModuleList{nn.ReLU()}
  list:extend{nn.Tanh(), nn.Sigmoid()}:insert(1, nn.GELU())
  local order = {}
  for i, m in list:iter() do order[i + 1] = tostring(m):match("^%a+") end
  test.equal(order, {"ReLU", "GELU", "Tanh", "Sigmoid"})
  test.equal(tostring(list:pop(0)), "ReLU()")
  test.equal(#list, 3)
end)

test.case("what is in a container belongs to the parent's parameters", function()
  local Net = nn.class("Net")
  function Net:__init()
    self.blocks = nn.ModuleList{nn.Linear(1, 1), nn.Linear(1, 1)}
    self.heads = nn.ModuleDict{{"b", nn.Linear(1, 1)}, {"a", nn.Linear(1, 1)}}
  end
  local keys = {}
  for name in Net():named_parameters() do keys[#keys + 1] = name end
  test.equal(keys, {"blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias",
    "heads.b.weight", "heads.b.bias", "heads.a.weight", "heads.a.bias"})
end)

test.case("ModuleDict is ordered by insertion, a plain table by name", function()
  local dict = nn.ModuleDict{{"z", nn.ReLU()}, {"a", nn.Tanh()}}
  dict.m = nn.Sigmoid()
  test.equal(dict:keys(), {"z", "a", "m"})
  test.equal(nn.ModuleDict{z = nn.ReLU(), a = nn.Tanh()}:keys(), {"a", "z"})
  local seen = {}
  for name in pairs(dict) do seen[#seen + 1] = name end
  test.equal(seen, {"z", "a", "m"})
  test.truthy(dict:contains("a") and not dict:contains("q"))
  dict:pop("a")
  test.equal(dict:keys(), {"z", "m"})
  dict:clear()
  test.equal(#dict, 0)
  test.raises("attribute 'keys' already exists", nn.ModuleDict, {keys = nn.ReLU()})
end)

test.case("arguments are checked by name", function()
  test.raises("nn.Linear: argument 'out_features' is missing", nn.Linear, 3)
  local err = test.raises("nn.Linear: unknown keyword .*biass.*one of in_features", nn.Linear, 3, 2, {biass = false})
  test.equal(err.hint, "did you mean 'bias'?")
  test.raises("given by position and by name", nn.Linear, 3, 2, {in_features = 3})
  test.raises("takes at most", nn.ReLU, true, 2)
  test.raises("groups", nn.Conv2d, 3, 4, 3, {groups = 2})
  test.raises("not supported for strided", nn.Conv2d, 3, 4, 3, {stride = 2, padding = "same"})
  test.raises("between 0 and 1", nn.Dropout, 1.5)
  test.raises("not a valid value for reduction", torch.nn.functional.mse_loss, torch.ones(1), torch.ones(1),
    {reduction = "avg"})
end)

test.case("ParameterList makes parameters of tensors, counts from 0 and from the end", function()
  local shared = nn.Parameter(torch.ones(2))
  local list = nn.ParameterList{shared, torch.zeros(3), 7}
  test.equal(#list, 3)
  test.truthy(rawequal(list[0], shared) and list[1].requires_grad)
  test.equal(list[-1], 7)
  test.equal(#list:parameters(), 2)
  list[1] = torch.ones(4)
  test.truthy(list[1].requires_grad and #list[1] == 4)
  list:append(torch.ones(1)):extend{torch.ones(1), torch.ones(1)}
  test.equal(#list, 6)
  test.equal(#nn.ParameterList(list), 6)
  local names = {}
  for name in list:named_parameters() do names[#names + 1] = name end
  test.equal(names, {"0", "1", "3", "4", "5"})
  local sizes = {}
  for i, value in pairs(list) do sizes[i + 1] = type(value) == "number" and 0 or #value end
  test.equal(sizes, {2, 4, 0, 1, 1, 1})
  test.raises("index 6 is out of range", function() return list[6] end)
  test.raises("index %-7 is out of range", function() list[-7] = 1 end)
  test.raises("should be called with an iterable", list.extend, list, 3)
  test.raises("ParameterList should not be called", list, torch.ones(1))
end)

test.case("ParameterDict keeps the order in which names came", function()
  local dict = nn.ParameterDict{{"z", torch.ones(1)}, {"a", torch.ones(2)}}
  dict:set("m", 5):set("z", torch.ones(3))
  test.equal(dict:keys(), {"z", "a", "m"})
  test.truthy(dict.z.requires_grad and #dict["z"] == 3)
  test.equal(#dict:parameters(), 2)
  test.equal(nn.ParameterDict{z = 1, a = 2}:keys(), {"a", "z"})
  local copy = dict:copy()
  test.truthy(rawequal(copy.a, dict.a))
  test.equal(copy:keys(), {"z", "a", "m"})
  test.equal(#dict:pop("a"), 2)
  local name, value = dict:popitem()
  test.equal({name, value}, {"m", 5})
  test.equal({dict:get("q", 1), dict:setdefault("q", 2), dict:get("q", 1)}, {1, 2, 2})
  dict:clear()
  test.equal(#dict, 0)
  test.raises("ParameterDict has no 'a'", dict.pop, dict, "a")
  test.raises("attribute 'keys' already exists", dict.set, dict, "keys", torch.ones(1))
  test.raises("cannot be used as a key", dict.set, dict, 1, torch.ones(1))
end)

test.case("parameters in lists and dicts belong to the model, its copies and its state", function()
  local Net = nn.class("Net")
  function Net:__init()
    self.list = nn.ParameterList{torch.ones(2), 3}
    self.dict = nn.ParameterDict{b = torch.ones(1), a = torch.ones(1)}
  end
  local net = Net()
  local copy = net:deepcopy()
  local keys = {}
  for key in pairs(copy:state_dict()) do keys[#keys + 1] = key end
  test.equal(keys, {"list.0", "dict.a", "dict.b"})
  copy.list:append(torch.ones(1))
  copy.dict:set("c", torch.ones(1))
  test.equal({#net.list, #copy.list, #net.dict, #copy.dict}, {2, 3, 2, 3})
  test.truthy(not rawequal(copy.list[0], net.list[0]))
end)

test.case("ModuleDict takes another one", function()
  local dict = nn.ModuleDict{a = nn.ReLU()}
  test.equal(nn.ModuleDict(dict):update{b = nn.Tanh()}:keys(), {"a", "b"})
  test.raises("should be called with an iterable", dict.update, dict, 3)
end)

test.case("what is no list of modules is refused", function()
  test.raises('expected a list of modules, got a table with the key string "conv"', nn.Sequential,
    {conv = nn.ReLU()})
  test.raises("nn.ModuleList: expected a list of modules, got", nn.ModuleList, nn.Linear(1, 2))
  test.raises("nn.ModuleList: expected a list of modules, got", nn.ModuleList, 3)
  test.equal({#nn.ModuleList(nn.Sequential(nn.ReLU())), #nn.ModuleList {}, #nn.Sequential {}}, {1, 0, 0})
end)
