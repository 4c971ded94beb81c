-- Lists what can be called, a line each: `names.lua -- operators` or `names.lua -- exports`.
local names = require "host.help.names"
local torch = require "torch"

local values = dofile((arg[0]:match "^(.*)/" or ".") .. "/values.lua")
local native = values.native()

if arg[1] == "operators" then
  for _, name in ipairs(native["native.ops"].names()) do print(name) end
  return
end

-- Blocks, ends the process or sets its exit code by purpose; or (set_num_*) may be called once only.
local SKIPPED <const> = {
  at_exit = true, exit = true, interrupt = true, read_line = true, sleep = true, repl = true, try = true,
  set_num_interop_threads = true, set_num_threads = true,
}

local function is_callable(value)
  local meta = debug.getmetatable(value)
  return type(value) == "function" or type(value) == "table" and type(meta) == "table" and rawget(meta, "__call") ~= nil
end

local function list(prefix, t)
  local found = {}
  for name, value in pairs(t) do
    if type(name) == "string" and is_callable(value) and not SKIPPED[name] then found[#found + 1] = name end
  end
  table.sort(found)
  for _, name in ipairs(found) do print(prefix .. name) end
end

for name, module in pairs(native) do list(name:gsub("%.", "_") .. ".", module) end
for _, space in ipairs {
  "", "accelerator", "amp", "autograd", "autograd.forward_ad", "autograd.functional", "autograd.graph", "cuda", "fft", "func",
  "linalg", "masked", "nested", "nn", "nn.functional", "nn.init", "nn.utils", "optim", "random", "signal.windows", "sparse",
  "special", "utils.checkpoint", "utils.data",
} do
  local found = torch
  for part in space:gmatch "[^.]+" do found = found[part] end
  local all = {}
  for _, name in ipairs(names.of(found)) do all[name] = found[name] end
  list(space == "" and "torch." or "torch." .. space .. ".", all)
end
list("torch.ones(2, 3):", native["native.tensor"].methods)
local metatables, kinds = values.metatables(), {}
for kind in pairs(metatables) do kinds[#kinds + 1] = kind end
table.sort(kinds)
for _, kind in ipairs(kinds) do list(("META[%q]."):format(kind), metatables[kind]) end
