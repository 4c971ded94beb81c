-- Namespaces whose names are files: nn.BatchNorm2d is stdlib/torch/nn/batch_norm2d.lua, loaded when first used.
local vm = require "native.vm"

local find_in_stdlib <const> = package.searchers[1]  -- the standard library alone, never the working folder

-- "BCEWithLogitsLoss" -> "bce_with_logits_loss", "MaxPool2d" -> "max_pool2d", "functional" as it is.
local function file_name(name)
  return (name:gsub("(%u)(%u%l)", "%1_%2"):gsub("([%l%d])(%u%l)", "%1_%2"):lower())
end

--- A namespace that requires `<prefix>.<file name>` for a name that it does not have.
---@param prefix string "torch.nn"
---@param namespace table what it has from the start
---@param files? table<string, string> files that are not named by the rule
---@return table namespace
return function(prefix, namespace, files)
  return setmetatable(namespace, {
    __name = prefix,
    __index = function(self, name)
      if type(name) ~= "string" then return nil end
      local module = prefix .. "." .. (files and files[name] or file_name(name))
      local loader = find_in_stdlib(module)
      if type(loader) ~= "function" then
        vm.raise("usage", ("%s has no '%s'"):format(prefix, name))
      end
      local value = require(module)
      rawset(self, name, value)
      return value
    end,
    -- The files whose first line is "nn.Linear: ..." or "torch.nn.Linear ...": the others are parts of these.
    __names = function()
      local comments, names = require "host.help.comments", {}
      for module, file in pairs(comments.files()) do
        local stem = module:sub(1, #prefix + 1) == prefix .. "." and module:sub(#prefix + 2)
        local name = stem and comments.of(file).head:match("^[%w_%.]*%.([%a][%w_]*)")
        if name and (files and files[name] or file_name(name)) == stem then names[#names + 1] = name end
      end
      return names
    end,
  })
end
