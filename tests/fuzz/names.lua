-- Lists what can be called, a line each: `names.lua -- operators` or `names.lua -- exports`.
local torch = require "torch"

local native = dofile((arg[0]:match "^(.*)/" or ".") .. "/values.lua").native()

if arg[1] == "operators" then
  for _, name in ipairs(native["native.ops"].names()) do print(name) end
  return
end

-- Blocks, ends the process or sets its exit code by purpose; or (set_num_*) may be called once only.
local SKIPPED <const> = {
  at_exit = true, exit = true, interrupt = true, read_line = true, sleep = true, repl = true, try = true,
  set_num_interop_threads = true, set_num_threads = true,
}

local function list(prefix, t)
  local names = {}
  for name, value in pairs(t) do
    if type(name) == "string" and type(value) == "function" and not SKIPPED[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do print(prefix .. name) end
end

for name, module in pairs(native) do list(name:gsub("%.", "_") .. ".", module) end
list("torch.", torch)
list("torch.autograd.", torch.autograd)
list("torch.ones(2, 3):", native["native.tensor"].methods)
