-- Hooks on a module's forward. A module without hooks does not come here.
local native = require "native.model"

local methods = {}
local PRE <const>, POST <const> = "_forward_pre_hooks", "_forward_hooks"

local function add(self, key, hook)
  local fields = native.fields(self)
  fields[key] = fields[key] or {}
  table.insert(fields[key], hook)
  native.set_hooked(self, true)
  return {
    remove = function()
      local hooks = fields[key]
      for i = #hooks, 1, -1 do
        if hooks[i] == hook then table.remove(hooks, i) end
      end
      native.set_hooked(self, #(fields[PRE] or {}) > 0 or #(fields[POST] or {}) > 0)
    end,
  }
end

--- hook(module, inputs) runs before forward; what it returns, if not nil, replaces the inputs.
---@return {remove: fun()}
---@example local net = nn.ReLU()
--- net:register_forward_pre_hook(function(_, inputs) return inputs[1] + 1 end)
--- net(torch.zeros(2))  --> tensor([1., 1.])
function methods:register_forward_pre_hook(hook) return add(self, PRE, hook) end

--- hook(module, inputs, output) runs after forward; what it returns, if not nil, replaces the output.
---@return {remove: fun()}
---@example local net = nn.ReLU()
--- net:register_forward_hook(function(_, inputs, output) return output + 1 end)
--- net(torch.zeros(2))  --> tensor([1., 1.])
function methods:register_forward_hook(hook) return add(self, POST, hook) end

-- The first pre-hook of which matches(hook) is true, and what removes it.
function methods:_find_forward_pre_hook(matches)
  local fields = native.fields(self)
  for i, hook in ipairs(fields[PRE] or {}) do
    if matches(hook) then
      return hook, function()
        table.remove(fields[PRE], i)
        native.set_hooked(self, #fields[PRE] > 0 or #(fields[POST] or {}) > 0)
      end
    end
  end
end

function methods:_call_hooked(...)
  local fields = native.fields(self)
  local inputs = table.pack(...)
  for _, hook in ipairs(fields[PRE] or {}) do
    local replaced = hook(self, inputs)
    if replaced ~= nil then
      inputs = type(replaced) == "table" and replaced or {replaced}
      inputs.n = inputs.n or #inputs
    end
  end
  local outputs = table.pack(self.forward(self, table.unpack(inputs, 1, inputs.n)))
  for _, hook in ipairs(fields[POST] or {}) do
    local output = outputs.n > 1 and outputs or outputs[1]
    local replaced = table.pack(hook(self, inputs, output))
    if replaced[1] ~= nil then outputs = replaced end
  end
  return table.unpack(outputs, 1, outputs.n)
end

return methods
