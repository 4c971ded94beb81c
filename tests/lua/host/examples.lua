-- Every example of a docstring runs as it stands and gives what its comments `--> text` say; how many functions of torch
-- are still without one.
local test = require "test"
local entry = require "host.help.entry"
local host = require "host"
local mlflow = require "mlflow"
local names = require "host.help.names"
local repl = require "host.repl"
local torch = require "torch"

-- Functions and classes of torch that are ours (no operators) and have no example. It may only become smaller.
local kWithout <const> = 374

-- Calls visit(path, entry) once for each function and class that scripts reach by name, and for what only has methods.
local function walk(visit)
  local seen = {}
  local function each(path, value)
    if seen[value] then return end
    seen[value] = true
    if type(value) == "function" or names.is_class(value) then visit(path, entry.of(path, value)) end
    if type(value) ~= "table" then return end
    for _, name in ipairs(names.of(value)) do
      local longer = path .. "." .. name
      local found = names.find(longer)
      if type(found) == "function" or type(found) == "table" then each(longer, found) end
    end
  end
  for _, name in ipairs(names.ROOTS) do each(name, require(name)) end
  each("torch.Tensor", names.Tensor)
  each("mlflow.Run", (names.find "mlflow.Run"))
end

-- The example as a chunk in which `EXPRESSION  --> text` (or `--> text` on the next line) checks what the console shows.
local function chunk_of(path, text)
  local lines = {}
  for line in (text:gsub("\n%s*%-%->", "  -->") .. "\n"):gmatch("(.-)\n") do
    local code, shown = line:match("^(.-)%s*%-%->%s?(.*)$")
    lines[#lines + 1] = code and ("CHECK(%q, CALL(function() return %s end))"):format(shown, code) or line
  end
  return assert(load(table.concat(lines, "\n"), "=" .. path, "t", setmetatable({
    torch = torch, nn = torch.nn, F = torch.nn.functional, optim = torch.optim, train = require "train", mlflow = mlflow,
    host = host, test = test, CALL = function(fn) return fn() end,
    CHECK = function(want, ...) test.equal(repl.show(...), want) end,
  }, {__index = _G})))
end

local function in_folder(run)
  local folder = test.tmpdir()
  while mlflow.active_run() do mlflow.end_run() end
  mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
  torch.manual_seed(0)
  run()
  while mlflow.active_run() do mlflow.end_run() end
  test.truthy(mlflow.flush(20))
end

local without, count = {}, 0
walk(function(path, it)
  for number, example in ipairs(it.examples) do
    count = count + 1
    test.case(("example %d of %s"):format(number, path), function()
      in_folder(chunk_of(path, example.text))
    end)
  end
  -- Told by the class; made when an operator is first asked for.
  local elsewhere = path:find("%.forward$") or path:find("%.extra_repr$") or path:find("^torch%.ops%.[%w_]+%.")
    or path:find("^torch%.optim%.lr_scheduler%.%w+%.[%w_]+$")
  local is_ours = path:find("^torch%.") and not it.operator and not it.is_operator and it.kind ~= "attribute"
  if #it.examples == 0 and is_ours and not elsewhere then
    without[#without + 1] = path
  end
end)

test.case("no more functions of torch are without an example", function()
  test.truthy(count > 3)
  test.equal(#without <= kWithout, true, ("%d without one, at most %d: %s"):format(#without, kWithout,
    table.concat(without, " ")))
  test.equal(#without > kWithout - 40, true, ("only %d are without one: set kWithout to that"):format(#without))
end)
