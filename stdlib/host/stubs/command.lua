-- `trainhost stubs FOLDER`: the editor's stubs of everything, for completion and checks by lua-language-server.
local file = require "native.file"

local kFailed <const>, kUsage <const> = 1, 2

--- Writes the stubs of everything into a folder, over older ones.
---@param folder string
---@return string[] files that were written, sorted
local function write(folder)
  local list = {}
  for name, text in pairs(require("host.stubs.files").all()) do
    local path = folder .. "/" .. name
    file.mkdir(path:match("^(.*)/"))
    file.write_atomic(path, text)
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

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
