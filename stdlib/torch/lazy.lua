-- Namespaces whose names are files: nn.BatchNorm2d is stdlib/torch/nn/batch_norm2d.lua, loaded when first used.
local keywords = require "host.keywords"
local vm = require "native.vm"

local find_in_stdlib <const> = package.searchers[1]  -- the standard library alone, never the working folder

-- "BCEWithLogitsLoss" -> "bce_with_logits_loss", "MaxPool2d" -> "max_pool2d", "functional" as it is.
local function file_name(name)
  return (name:gsub("(%u)(%u%l)", "%1_%2"):gsub("([%l%d])(%u%l)", "%1_%2"):lower())
end

-- Is a file's value what the name says? Files that are parts of others, and names in other letters, are no names.
local function is_named(prefix, name, value)
  if type(value) ~= "table" then return nil end
  local meta = getmetatable(value)
  local own = rawget(value, "__name") or type(meta) == "table" and rawget(meta, "__name")
  return own == name or own == prefix .. "." .. name
end

--- A namespace that requires `<prefix>.<file name>` for a name that it does not have.
---@param prefix string "torch.nn"
---@param namespace table what it has from the start
---@param files? table<string, string> files that are not named by the rule
---@return table namespace
return function(prefix, namespace, files)
  local function stem_of(name) return files and files[name] or file_name(name) end

  -- The files whose first line is "nn.Linear: ..." or "torch.nn.Linear ...": the others are parts of these.
  local function names_of()
    local comments, names = require "host.help.comments", {}
    for module, file in pairs(comments.files()) do
      local stem = module:sub(1, #prefix + 1) == prefix .. "." and module:sub(#prefix + 2)
      local name = stem and comments.of(file).head:match("^[%w_%.]*%.([%a][%w_]*)")
      if name and stem_of(name) == stem then names[#names + 1] = name end
    end
    return names
  end

  local function refuse(self, name)
    local names = names_of()
    for held in next, self do names[#names + 1] = tostring(held) end
    table.sort(names)
    vm.raise("usage", ("%s has no '%s'"):format(prefix, name), keywords.did_you_mean(name, names))
  end

  local function has(name)
    for _, each in ipairs(names_of()) do
      if each == name then return true end
    end
    return false
  end

  return setmetatable(namespace, {
    __name = prefix,
    __index = function(self, name)
      if type(name) ~= "string" then return nil end
      local module = prefix .. "." .. stem_of(name)
      local loader = find_in_stdlib(module)
      if type(loader) ~= "function" then refuse(self, name) end
      local value = require(module)
      if not is_named(prefix, name, value) and not has(name) then refuse(self, name) end
      rawset(self, name, value)
      return value
    end,
    __names = names_of,
  })
end
