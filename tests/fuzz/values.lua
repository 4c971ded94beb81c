-- Wild values as Lua source, so that a call that crashes can be printed and run again as it stands.
local values = {}

local function pick(list) return list[math.random(#list)] end
values.pick = pick

-- A list literal of `make`'s results, up to four of them.
local function list(make)
  local parts = {}
  for i = 1, math.random(0, 4) do parts[i] = make() end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local FLOATS <const> = {
  "float32", "float32", "float32", "float32", "float64", "float16", "bfloat16", "complex64", "int8",
}
local SIZES <const> = {0, 1, 2, 3, 3, 4, 5}

local function shape()
  local sizes = {}
  for i = 1, pick {0, 1, 1, 2, 2, 3, 4, 4, 5} do sizes[i] = pick(SIZES) end
  return sizes
end

function values.tensor()
  local sizes = shape()
  local size = "{" .. table.concat(sizes, ", ") .. "}"
  local kind = math.random(100)
  if kind <= 3 then return ("torch.empty(%s, {device = 'meta'})"):format(size) end
  if kind <= 6 then return "torch.eye(3):to_sparse()" end
  if kind <= 30 then
    local high = pick {5, 5, 5, 2147483647}
    if high == 5 and math.random() < 0.4 then
      return ("torch.randint(0, 2, %s, {dtype = torch.%s})"):format(size, pick {"uint8", "bool"})
    end
    return ("torch.randint(-2, %d, %s, {dtype = torch.%s})"):format(high, size,
      high == 5 and pick {"int64", "int64", "int32"} or "int64")
  end
  local text = ("torch.randn(%s):mul(3):to(torch.%s)"):format(size, pick(FLOATS))
  if kind > 93 and #sizes >= 2 then text = text .. ":transpose(0, 1)" end
  if kind > 88 and kind <= 93 then text = text .. ":mul(0/0)" end
  return text
end

function values.integer()
  return pick {"0", "1", "2", "3", "1", "-1", "-2", "5", "100", "1000000", "2147483648", "-2147483648",
               "math.maxinteger", "math.mininteger"}
end
function values.real() return pick {"0.0", "1.0", "0.5", "-1.0", "1e-5", "0/0", "math.huge", "1e30"} end
function values.number() return pick {"0", "1", "2", "-1", "0.5", "0/0", "1 << 40", "-math.huge", "torch.complex(1, -2)"} end
function values.boolean() return pick {"true", "false"} end
function values.text()
  return ("%q"):format(pick {"", "mean", "sum", "none", "reflect", "zeros", "bilinear", "linear", "a,b->ab", "ij,jk",
                             "reduced", "nearest", ("x"):rep(50)})
end
function values.dtype()
  return "torch." .. pick {"float32", "float32", "int64", "float64", "bool", "complex64", "uint8", "bfloat16"}
end

-- How to make a value of each type that a signature names.
local MAKERS <const> = {
  Tensor = values.tensor, Number = values.number, int = values.integer, float = values.real, bool = values.boolean,
  str = values.text, dtype = values.dtype,
  layout = function() return pick {"torch.strided", "torch.strided", "torch.sparse_coo", "torch.sparse_csr"} end,
  memory_format = function() return "torch." .. pick {"contiguous_format", "preserve_format", "channels_last"} end,
  device = function() return pick {"'cpu'", "'cpu'", "'meta'"} end,
  Generator = function() return "nil" end,
}

-- The type as a signature writes it: "int[2]", "Tensor?[]".
function values.of_type(kind)
  local element, length = kind:match "^(%a+_?%a*)%??%[(%d*)%]$"
  if element then
    local make = MAKERS[element]
    if not make then return "nil" end
    if length ~= "" and math.random() < 0.6 then -- as many as the operator asks for
      local parts = {}
      for i = 1, tonumber(length) do parts[i] = make() end
      return "{" .. table.concat(parts, ", ") .. "}"
    end
    return list(make)
  end
  local make = MAKERS[kind]
  return make and make() or "nil"
end

-- Anything at all, for functions whose arguments nobody described.
function values.anything()
  return pick {
    "nil", "true", "false", "0", "1", "-1", "2", "math.maxinteger", "math.mininteger", "0.5", "0/0", "math.huge", '""',
    '"x"', '"float32"', '"1:3"', '"cpu"', '"a\\0b"', "{}", "{1, 2}", "{x = 1}", "{{1}, {2, 3}}", "CYCLE", "HOSTILE",
    "FAILING", "function() end", "coroutine.create(function() end)", "io.stdout", "torch.float32", "torch.strided",
    "torch.device('cpu')", "torch.None", "torch.slice(1, 2)", "torch.ones(2, 3)", "torch.tensor(1)", "torch.empty(0)",
    "torch.arange(3)", "torch.ones(3):requires_grad_()", "CLOSED", "{CLOSED}", "{torch.ones(2), CLOSED}",
    "torch.Generator()", "{torch.ones(2)}", "{torch.ones(3):requires_grad_()}", "torch.nn.Linear(3, 3)",
    "torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())", "torch.optim.SGD({torch.ones(3):requires_grad_()})",
    "function(...) return ... end", "3", "1", "4", "torch.ones(1, 3, 4, 4)", "{lr = 0.1}",
    "{dtype = torch.float32}", "{dim = 0, keepdim = true}",
  }
end

-- Every native module by its name: as the standard library gets them.
function values.native()
  local get, native = assert(load("return require(...)", "=stdlib/fuzz")), {}
  for _, name in ipairs(get("native.vm").natives()) do native[name] = get(name) end
  return native
end

-- The metatables that debug gets hold of, by their names: those in the registry, and those of the values in it. Lua's
-- own, which have names there, are not ours to mend.
function values.metatables()
  local torch = require "torch"
  local _ = {torch.slice(1), torch.ones(2)["0:1"]}  -- whose metatables are made at the first use
  local found, seen = {}, {}
  local function add(meta)
    if type(meta) ~= "table" or seen[meta] then return end
    seen[meta] = true
    local names = {}
    for key, value in next, meta do
      if type(key) == "string" and key:sub(1, 2) == "__" and type(value) == "function" then names[#names + 1] = key end
    end
    if #names == 0 then return end
    table.sort(names)
    local name, n = rawget(meta, "__name") or table.concat(names), 1
    while found[n > 1 and name .. "#" .. n or name] do n = n + 1 end
    found[n > 1 and name .. "#" .. n or name] = meta
  end
  for key, value in next, debug.getregistry() do
    if type(key) ~= "string" then
      add(value)
      add(debug.getmetatable(value))
    end
  end
  return found
end

-- What the names above stand for.
function values.environment(torch)
  local cycle = {}
  cycle[1], cycle.x = cycle, cycle
  local closed = torch.ones(2)
  closed:free()
  local hostile = setmetatable({}, {
    __index = function() error("hostile __index") end, __len = function() error("hostile __len") end,
    __pairs = function() error("hostile __pairs") end, __tostring = function() error("hostile __tostring") end,
    __call = function() error("hostile __call") end,
  })
  return setmetatable({
    torch = torch, META = values.metatables(), CYCLE = cycle, CLOSED = closed, HOSTILE = hostile, FAILING = function() error("failing") end,
  }, {__index = _G})
end

return values
