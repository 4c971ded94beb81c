-- `trainhost stubs FOLDER`: the editor's stubs of everything, for completion and checks by lua-language-server.
local usage = require "host.usage"
local write = require "host.stubs.write"

local kFailed <const> = 1

--- Does what the command line asks for.
---@param args string[]
---@return integer code 0, 1 if a file cannot be written, 2 for a wrong command line
return function(args)
  if usage.asked("stubs", args) then return 0 end
  if args[1] and args[1]:sub(1, 1) == "-" then return usage.wrong("stubs", ("unknown option '%s'"):format(args[1])) end
  if #args ~= 1 then return usage.wrong("stubs", "expected one folder") end
  local done, list = pcall(write, args[1])
  if not done then
    io.stderr:write("trainhost stubs: ", tostring(list), "\n")
    return kFailed
  end
  print(("%d files in %s"):format(#list, args[1]))
  return 0
end
