-- Generators, random state and torch.random.
local test = require "test"
local torch = require "torch"

test.case("a generator of its own draws what its seed gives and leaves the default one alone", function()
  local before = torch.get_rng_state()
  local g = torch.Generator():manual_seed(7)
  local a = torch.rand(3, {generator = g})
  test.truthy(torch.rand(3, {generator = torch.Generator():manual_seed(7)}):equal(a))
  test.falsy(torch.rand(3, {generator = g}):equal(a))
  test.truthy(torch.get_rng_state():equal(before))
end)

test.case("every random operator takes a generator", function()
  local function draws(f)
    local first = f(torch.Generator():manual_seed(3))
    test.truthy(first:equal(f(torch.Generator():manual_seed(3))))
  end
  draws(function(g) return torch.randn({2, 3}, {generator = g}) end)
  draws(function(g) return torch.randint(0, 100, {5}, {generator = g}) end)
  draws(function(g) return torch.randperm(20, {generator = g}) end)
  draws(function(g) return torch.bernoulli(torch.full({20}, 0.5), {generator = g}) end)
  draws(function(g) return torch.multinomial(torch.ones(10), 4, {generator = g}) end)
  draws(function(g) return torch.normal(torch.zeros(4), torch.ones(4), {generator = g}) end)
  draws(function(g) return torch.poisson(torch.ones(9) * 3, g) end)
  draws(function(g) return torch.empty(5):uniform_(1, 2, {generator = g}) end)
  draws(function(g) return torch.empty(5):normal_(1, 2, {generator = g}) end)
  draws(function(g) return torch.empty(5):exponential_(1, {generator = g}) end)
  draws(function(g) return torch.empty(5):random_(10, {generator = g}) end)
  draws(function(g) return torch.empty(5):geometric_(0.5, {generator = g}) end)
  draws(function(g) return torch.empty(5):cauchy_(0, 1, {generator = g}) end)
  draws(function(g) return torch.empty(5):log_normal_(1, 2, {generator = g}) end)
  draws(function(g) return torch.empty(5):bernoulli_(0.5, {generator = g}) end)
end)

test.case("a generator's state, copied or cloned, goes on with the same numbers", function()
  local g = torch.Generator()
  test.equal(g:initial_seed(), 67280421310721)
  g:manual_seed(1)
  torch.rand(5, {generator = g})
  local state, clone = g:get_state(), g:clone_state()
  local next_numbers = torch.rand(5, {generator = g})
  test.truthy(torch.rand(5, {generator = clone}):equal(next_numbers))
  test.truthy(rawequal(g:set_state(state), g))
  test.truthy(torch.rand(5, {generator = g}):equal(next_numbers))
  test.equal(tostring(g.device), "cpu")
  test.equal(math.type(g:seed()), "integer")
  test.raises("RNG state must be a torch.ByteTensor", g.set_state, g, torch.zeros(3))
  test.raises("expected a torch.ByteTensor, but got number 3", g.set_state, g, 3)
  test.raises("Expected a CPUGeneratorImplState of size 5056", g.set_state, g, torch.zeros(3, {dtype = torch.uint8}))
  test.raises("has no method or attribute 'nope'", function() return g.nope end)
end)

test.case("seeds are any 64 bits", function()
  for _, seed in ipairs {0, -1, math.mininteger, math.maxinteger} do
    test.equal(torch.Generator():manual_seed(seed):initial_seed(), seed)
  end
  test.equal(torch.Generator():manual_seed(3.9):initial_seed(), 3)
  test.equal(torch.Generator():manual_seed(2.0 ^ 63):initial_seed(), math.mininteger)
  test.raises("Overflow", torch.manual_seed, 2.0 ^ 64)
  test.raises("must be an integer", torch.manual_seed, "a")
end)

test.case("the default generator is one", function()
  local state <close> = torch.random.fork_rng()
  test.equal(torch.manual_seed(5), torch.default_generator)
  test.equal(torch.default_generator == torch.Generator(), false)
  test.equal(torch.initial_seed(), 5)
  test.equal(torch.random.initial_seed(), 5)
  local a = torch.rand(2)
  torch.default_generator:manual_seed(5)
  test.truthy(torch.rand(2):equal(a))
  test.truthy(torch.rand(2, {generator = torch.default_generator:manual_seed(5)}):equal(a))
  test.equal(state ~= nil, true)
end)

test.case("fork_rng gives the state back: at the end of its scope, after a function, after an error", function()
  torch.manual_seed(1)
  local expected = torch.rand(2)
  torch.manual_seed(1)
  do
    local _ <close> = torch.random.fork_rng()
    torch.rand(10)
  end
  local drawn = torch.random.fork_rng(function(n) return torch.rand(n) end, 3)
  test.equal(drawn:size(0), 3)
  torch.random.fork_rng({devices = {}, enabled = true}, function() torch.manual_seed(9) end)
  pcall(torch.random.fork_rng, function()
    torch.manual_seed(8)
    error "out"
  end)
  test.truthy(torch.rand(2):equal(expected))
  torch.manual_seed(1)
  torch.random.fork_rng({enabled = false}, function() torch.rand(1) end)
  test.falsy(torch.rand(2):equal(expected))
end)

test.case("random_split and DataLoader take a generator", function()
  local data = torch.utils.data
  local set = data.TensorDataset(torch.arange(20))
  local function parts(options)
    local first = data.random_split(set, {12, 8}, options)
    local values = {}
    for i = 0, 11 do values[i + 1] = first[i][1]:item() end
    return values
  end
  local expected = torch.randperm(20, {generator = torch.Generator():manual_seed(4)})["0:12"]:tolist()
  test.equal(parts {generator = torch.Generator():manual_seed(4)}, expected)
  test.equal(parts {seed = 4}, expected)
  test.raises("exclude each other", parts, {seed = 4, generator = torch.Generator()})
  local function order(options)
    local values = {}
    options.shuffle = true
    for x in data.DataLoader(set, options):iter() do values[#values + 1] = x:item() end
    return values
  end
  local before = torch.get_rng_state()
  test.equal(order {generator = torch.Generator():manual_seed(2)}, order {generator = torch.Generator():manual_seed(2)})
  test.truthy(torch.get_rng_state():equal(before))
  test.raises("must be a Generator", order, {generator = 3})
end)
