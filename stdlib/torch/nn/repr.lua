-- What print(model) shows: PyTorch's text.
local native = require "native.model"

local methods = {}

-- Lines after the first, two spaces further in; blank ones stay empty.
local function indented(text)
  return (text:gsub("\n([^\n]*)", function(line) return line:find("%S") and "\n  " .. line or "\n" end))
end

--- What the module prints as: the name of its class.
---@return string
---@example nn.ReLU():_get_name()  --> ReLU
function methods:_get_name() return native.class_of(self).__name end

--- What a layer adds in its parentheses: override it.
---@return string
function methods:extra_repr() return "" end

function methods:__repr()
  local extra, lines = self:extra_repr(), {}
  if extra ~= "" then
    for line in (extra .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  end
  local extra_lines = #lines
  local names, children = native.child_list(self)
  local child_of = {}
  for i, name in ipairs(names) do child_of[name] = children[i] end
  for _, name in ipairs(native.child_slots(self)) do
    local child = child_of[name]
    lines[#lines + 1] = ("(%s): %s"):format(name, child and indented(tostring(child)) or "None")
  end
  local head = self:_get_name()
  if #lines == 0 then return head .. "()" end
  if extra_lines == 1 and #lines == 1 then return ("%s(%s)"):format(head, extra) end
  return ("%s(\n  %s\n)"):format(head, table.concat(lines, "\n  "))
end

return methods
