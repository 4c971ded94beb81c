-- Writes the editor's stubs of everything into a folder.
local file = require "native.file"

--- Writes the stubs over older ones.
---@param folder string
---@return string[] files that were written, sorted
return function(folder)
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
