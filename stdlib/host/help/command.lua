-- `trainhost doc [NAME ...]`: what help prints, on the command line.
local help = require "host.help"
local names = require "host.help.names"
local usage = require "host.usage"

local kFailed <const> = 1

local SPACES <const> = {"torch", "torch.Tensor", "torch.linalg", "torch.fft", "torch.special", "torch.nn",
  "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.optim", "torch.autograd", "torch.cuda",
  "torch.utils.data", "torch.datasets", "train", "train.metrics", "mlflow", "tensorboard", "host", "test"}

local function list_spaces()
  local docstring, entry = require "host.help.docstring", require "host.help.entry"
  for _, path in ipairs(SPACES) do
    local space = names.find(path)
    print(("  %-20s %5d  %s"):format(path, #names.of(space), docstring.sentence(entry.of(path, space).text)))
  end
  print()
  print("trainhost doc NAME shows what is in one of them, or what there is about a function or class.")
end

--- Prints what there is about each name.
---@param args string[]
---@return integer code 0, 1 if there is nothing of that name, 2 for a wrong command line
return function(args)
  if usage.asked("doc", args) then return 0 end
  if #args == 0 then
    list_spaces()
    return 0
  end
  local code = 0
  for i, name in ipairs(args) do
    if name:sub(1, 1) == "-" then return usage.wrong("doc", ("unknown option '%s'"):format(name)) end
    local found, text = pcall(help.text, name)
    if type(usage[name]) == "string" then  -- a verb; what has its name too is shown after it
      local verb = usage[name]
      found, text = true, found and verb .. "\n\n" .. text or verb
    end
    if found then
      if i > 1 then print() end
      print(text)
    else
      io.stderr:write("trainhost doc: ", (tostring(text):gsub("^.-help: ", "")), "\n")
      code = kFailed
    end
  end
  return code
end
