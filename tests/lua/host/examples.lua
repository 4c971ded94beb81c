-- Every exported function says what it does. Every example of a docstring runs as it stands and gives what its comments
-- `--> text` say; how many functions of torch are still without one.
local test = require "test"
local callable = require "host.callable"
local entry = require "host.help.entry"
local host = require "host"
local mlflow = require "mlflow"
local names = require "host.help.names"
local repl = require "host.repl"
local torch = require "torch"

-- Functions and classes of torch that are ours (no operators) and have no example. It may only become smaller.
local kWithout <const> = 10

-- Calls visit(path, entry) once for each function and class that scripts reach by name, and for what only has methods.
local function walk(visit)
  local seen, found = {}, {}
  local function each(path, value)
    if seen[value] then return end
    seen[value] = true
    if callable(value) or names.is_class(value) then found[#found + 1] = {path, value} end
    if type(value) ~= "table" then return end
    for _, name in ipairs(names.of(value)) do
      local longer = path .. "." .. name
      local member = names.find(longer)
      if type(member) == "function" or type(member) == "table" then each(longer, member) end
    end
  end
  for _, name in ipairs(names.ROOTS) do each(name, require(name)) end
  each("torch.Tensor", names.Tensor)
  each("mlflow.Run", (names.find "mlflow.Run"))
  entry.refresh()  -- all native modules are open now
  for _, pair in ipairs(found) do
    local path, value = table.unpack(pair)
    local it = entry.of(path, value)
    visit(path, it)
    for _, method in ipairs(it.beside or {}) do
      local name = method.name:match("([%w_]+)$")
      visit(path .. "." .. name, entry.of_method(path, value, name))
    end
  end
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

local without, undocumented, count, functions = {}, {}, 0, 0
walk(function(path, it)
  functions = functions + 1
  if not it.documented and it.kind ~= "class" then undocumented[#undocumented + 1] = path end
  for number, example in ipairs(it.examples) do
    count = count + 1
    test.case(("example %d of %s"):format(number, path), function()
      in_folder(chunk_of(path, example.text))
    end)
  end
  -- Told by the class; made when an operator is first asked for; hidden from help; nothing but an error.
  local elsewhere = path:find("%.forward$") or path:find("%.extra_repr$") or path:find("^torch%.ops%.[%w_]+%.")
    or path:find("^torch%.optim%.lr_scheduler%.%w+%.[%w_]+$")
    or it.comment and it.comment.doc.private or it.text:find("^Removed from PyTorch")
  -- What they give is a fact of the machine and of how LibTorch was built: no example has one right text.
  local of_machine = path:find("^torch%.cuda%.") or path:find("^torch%.backends%.") or path:find("^torch%.accelerator%.")
  local is_ours = path:find("^torch%.") and not it.operator and not it.is_operator and it.kind ~= "attribute"
    and it.kind ~= "namespace" and not of_machine
  if #it.examples == 0 and is_ours and not elsewhere then
    without[#without + 1] = path
  end
end)

test.case("no more functions of torch are without an example", function()
  test.truthy(count > 450)
  test.equal(#without <= kWithout, true, ("%d without one, at most %d: %s"):format(#without, kWithout,
    table.concat(without, " ")))
  test.equal(#without > kWithout - 5, true, ("only %d are without one: set kWithout to that"):format(#without))
end)

test.case("every exported function has a docstring or a schema", function()
  test.truthy(functions > 2000)
  test.equal(undocumented, {})
end)
