-- Misspelt names in --set, told before the script runs: by the names that stand in its text.
local keywords = require "host.keywords"
local log = require "native.log"
local ordered = require "host.ordered"
local vm = require "native.vm"

-- Adds the names that host.param is given in a file and in those that it requires from its folder. False where a name
-- is not written out, or code comes from elsewhere: then nothing is known before the run.
local function collect(path, folder, names, seen)
  if seen[path] then return true end
  seen[path] = true
  local file <close> = io.open(path)
  local text = file and file:read "a"
  if not text then return false end
  if text:find "%f[%w_]dofile%f[^%w_]" or text:find "%f[%w_]loadfile%f[^%w_]" then return false end
  for after in text:gmatch "%f[%w_]param%s*%(%s*(%S)" do
    if after ~= '"' and after ~= "'" then return false end
  end
  for _, name in text:gmatch "%f[%w_]param%s*%(?%s*([\"'])([^\"'\n]*)%1" do names[name] = true end
  for _, name in text:gmatch "%f[%w_]require%s*%(?%s*([\"'])([^\"'\n]*)%1" do
    local found = package.searchpath(name, folder .. "/?.lua;" .. folder .. "/?/init.lua")
    if found and not collect(found, folder, names, seen) then return false end
  end
  return true
end

--- Warns of what --set gives and the script has no host.param for.
---@param path string the script's
---@return string ... the names it warned of
return function(path)
  local names, told = {}, {}
  if not collect(path, path:match "^(.*)/[^/]*$" or ".", names, {}) then return end
  local known = ordered.keys(names)
  for _, name in ipairs(ordered.keys(vm.params())) do
    if not names[name] then
      local hint = keywords.did_you_mean(name, known)
      log.warn(("--set %s: %s has no host.param(\"%s\")%s"):format(name, path, name, hint and "; " .. hint or ""))
      told[#told + 1] = name
    end
  end
  return table.unpack(told)
end
