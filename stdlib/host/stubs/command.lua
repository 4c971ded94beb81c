-- `trainhost stubs FOLDER`: the editor's stubs of everything, for completion and checks by lua-language-server.
local write = require "host.stubs.write"

local kFailed <const>, kUsage <const> = 1, 2

--- Does what the command line asks for.
---@param args string[]
---@return integer code 0, 1 if a file cannot be written, 2 for a wrong command line
return function(args)
  if #args ~= 1 or args[1]:sub(1, 1) == "-" then
    io.stderr:write("trainhost stubs expects one folder: trainhost stubs ./stubs\n")
    return kUsage
  end
  local done, list = pcall(write, args[1])
  if not done then
    io.stderr:write("trainhost stubs: ", tostring(list), "\n")
    return kFailed
  end
  print(("%d files in %s"):format(#list, args[1]))
  return 0
end
