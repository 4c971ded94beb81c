-- Containers as lists: sums, multiples, slices, growing and shrinking in place; what counts from 1 is refused.
local test = require "test"
local torch = require "torch"
local nn = torch.nn

local function kinds(list)
  local all = {}
  for _, m in pairs(list) do all[#all + 1] = tostring(m):match("^%a+") end
  return table.concat(all, " ")
end
local function names(module)
  local all = {}
  for name in module:named_children() do all[#all + 1] = name end
  return table.concat(all, " ")
end

test.case("a sum of Sequentials is a new one of the same modules", function()
  local a, b = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Sequential{{"act", nn.Tanh()}}
  local sum = a + b
  test.equal({kinds(sum), names(sum), #a, #b}, {"Linear ReLU Tanh", "0 1 2", 2, 1})
  test.truthy(rawequal(sum[0], a[0]) and rawequal(sum[2], b.act))
  test.equal(#sum:parameters(), 2)
  test.raises("only objects of Sequential class", function() return a + nn.ModuleList{nn.ReLU()} end)
  test.raises("unsupported operand type%(s%) for %+: 'Linear' and 'ReLU'", function() return a[0] + a[1] end)
end)

test.case("a multiple of a Sequential calls the same modules again", function()
  local Double = nn.class("Double")
  function Double:forward(x) return 2 * x end
  local once = nn.Sequential(Double())
  test.equal({(once * 3)(1), (2 * once)(1), #(once * 3), #once}, {8, 4, 3, 1})
  test.equal(#(3 * nn.Sequential(nn.Linear(1, 1))):parameters(), 2)
  test.raises("Non%-positive multiplication factor 0", function() return once * 0 end)
  test.raises("unsupported operand type%(s%) for %*", function() return once * 1.5 end)
end)

test.case("ModuleList joins lists and containers", function()
  local list = nn.ModuleList{nn.ReLU()}
  test.equal(kinds(list + {nn.Tanh()} + nn.Sequential(nn.GELU())), "ReLU Tanh GELU")
  test.equal(#list, 1)
  test.raises("'int' object is not iterable", function() return list + 3 end)
  test.raises("but got Linear", list.extend, list, nn.Linear(1, 1))
  test.raises("str is not a Module subclass", list.extend, list, nn.ModuleDict{a = nn.ReLU()})
end)

test.case("slices are containers of the same class", function()
  local seq = nn.Sequential{{"a", nn.ReLU()}, {"b", nn.Tanh()}, {"c", nn.GELU()}}
  test.equal({names(seq["1:"]), names(seq[torch.slice(2)]), names(seq["::-1"])}, {"b c", "a b", "c b a"})
  test.truthy(rawequal(seq["1:"].b, seq.b))
  local list = nn.ModuleList{nn.ReLU(), nn.Tanh(), nn.GELU()}
  test.equal({names(list["1:"]), kinds(list["-2:"])}, {"0 1", "Tanh GELU"})
  test.equal(#nn.ParameterList{torch.ones(1), torch.ones(2), torch.ones(3)}["::2"], 2)
  test.raises("slice step cannot be zero", function() return seq["::0"] end)
  test.raises("not a container: it cannot be indexed by a slice", function() return seq[0][torch.slice(1)] end)
end)

test.case("what is removed leaves the others numbered", function()
  local seq = nn.Sequential{{"a", nn.ReLU()}, {"b", nn.Tanh()}, {"c", nn.GELU()}, {"d", nn.SiLU()}}
  test.equal(kinds(seq:pop("1:3")), "Tanh GELU")
  test.equal({names(seq), kinds(seq)}, {"0 1", "ReLU SiLU"})
  seq["0:1"] = nil
  test.equal({names(seq), kinds(seq)}, {"0", "SiLU"})
  local list = nn.ModuleList{nn.ReLU(), nn.Tanh(), nn.GELU(), nn.SiLU()}
  list[torch.slice(nil, nil, 2)] = nil
  test.equal(kinds(list), "Tanh SiLU")
  test.equal(tostring(list:pop(-1)), "SiLU()")
  test.raises("modules are indexed by integers and slices, got nil", list.pop, list)
  test.raises("out of range", list.pop, list, 1)
end)

test.case("insert takes modules at places that are there, and nothing else", function()
  for _, list in ipairs{nn.Sequential(nn.ReLU(), nn.Tanh()), nn.ModuleList{nn.ReLU(), nn.Tanh()}} do
    test.equal(kinds(list:insert(-1, nn.GELU()):insert(3, nn.SiLU())), "ReLU GELU Tanh SiLU")
    test.raises("Index out of range: 5", list.insert, list, 5, nn.ReLU())
    test.raises("module should be of type", list.insert, list, 0, 3)
    test.equal(#list, 4)
  end
end)

test.case("an index may be a float of integer value", function()
  local seq = nn.Sequential(nn.ReLU(), nn.Tanh())
  test.equal(tostring(seq[#seq / 2]), "Tanh()")
  seq[2 / 2] = nn.GELU()
  test.equal(kinds(seq), "ReLU GELU")
  test.raises("indexed by integers", function() return seq[0.5] end)
end)

test.case("ParameterDict | another is a new one", function()
  local a, b = nn.ParameterDict{x = torch.ones(1), y = torch.ones(2)}, nn.ParameterDict{y = torch.ones(3), z = torch.ones(4)}
  local both = a | b
  test.equal({both:keys(), #both.y, #a.y}, {{"x", "y", "z"}, 3, 2})
end)

test.case("ipairs and table.unpack of a module say what to write instead", function()
  local seq = nn.Sequential(nn.ReLU())
  for _, list in ipairs{seq, nn.ModuleList{nn.ReLU()}, nn.ParameterList{torch.ones(1)}} do
    local err = test.raises("ipairs does not take a %a+, whose indices begin at 0", ipairs, list)
    test.truthy(err.hint:find("pairs(list)", 1, true) and err.hint:find("list:iter()", 1, true))
    test.raises("unpack does not take a %a+, whose indices begin at 0", table.unpack, list)
  end
  test.raises("ipairs does not take a ModuleDict, which has names", ipairs, nn.ModuleDict{a = nn.ReLU()})
  test.truthy(test.raises("ipairs does not take a ReLU", ipairs, seq[0]).hint:find("model:children()", 1, true))
  local seen = {}
  for i, m in pairs(seq) do seen[#seen + 1] = {i, tostring(m)} end
  test.equal(seen, {{0, "ReLU()"}})
end)
