-- The docstrings of the standard library's own files: the `---` comments above what they define, read when asked for.
local docstring = require "host.help.docstring"
local native = require "native.doc"
local wrapped = require "host.wrapped"

local comments = {}

-- What a line of code defines: "Linear:forward", "activations.relu", "return" for `return function(`.
local function defined(line)
  return line:match("^%s*function ([%w_%.:]+)%s*%(") or line:match("^%s*local function ([%w_]+)%s*%(")
    or line:match("^%s*([%a_][%w_%.]*)%s*=") or line:match("^%s*(return) function")
    or line:match("^%s*local ([%a_][%w_]*)%s*[,=]") or line:match('^%s*[%w_]+%(%s*"([%w_]+)"') or nil
end

-- The string at `at`, which may be several joined by `..`; nil if none begins there.
local function read_string(text, at)
  local parts = {}
  while at do
    local part, stop = text:match('^"([^"\n]*)"%s*()', at)
    if not part then part, stop = text:match("^'([^'\n]*)'%s*()", at) end
    if not part then break end
    parts[#parts + 1] = part
    at = text:match("^%.%.%s*()", stop)
    if not at then return table.concat(parts), stop end
  end
  return nil
end

-- signature("nn.Linear", "in_features, bias=true"), of_more("elu", "input, alpha=1.0") and the like: the parameters of a
-- function by the name that errors give it.
local function read_signatures(text)
  local found = {}
  for name, at in text:gmatch('%(%s*"([%a_][%w_%.]*)"%s*,%s*()["\']') do
    local spec, stop = read_string(text, at)
    if spec and not spec:find("[=,]") then  -- Optimizer.class("SGD", "sgd", "lr=0.001")
      local after = text:match("^,%s*()", stop)
      local next_string = after and read_string(text, after)
      if next_string and next_string:find("=", 1, true) then spec = "params, " .. next_string end
    end
    if spec and found[name] == nil and spec:find("^[%a_][%w_]*%s*[=,]") or spec and spec:find("^[%a_][%w_]*$") then
      found[name] = found[name] or spec
    end
  end
  return found
end

local read = {}

--- The docstrings of a file.
---@param file string "torch/nn/linear.lua"
---@return {head: string, list: table[], by_line: table<integer, table>, signatures: table<string, string>}
function comments.of(file)
  if read[file] then return read[file] end
  local text = native.text(file)
  local result = {head = "", list = {}, by_line = {}, signatures = read_signatures(text)}
  local block, first, number, at_head = nil, nil, 0, true
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local comment = line:match("^%s*%-%-%-(.*)$")
    if comment and not comment:match("^%-") then
      block, first, at_head = block or {}, first or number, false
      block[#block + 1] = comment
    else
      local words = at_head and line:match("^%-%-%s*(.*)$")
      if words then result.head = (result.head == "" and "" or result.head .. "\n") .. words else at_head = false end
      if block then
        local entry = {name = defined(line) or "", file = file, line = number, doc = docstring.read(block),
          parameters = line:match("function%s*[%w_%.:]*%((.-)%)")}
        result.list[#result.list + 1] = entry
        result.by_line[number] = entry
        block, first = nil, nil
      end
    end
  end
  read[file] = result
  return result
end

--- All files, by what `require` takes.
---@return table<string, string> module -> file
function comments.files()
  if comments.all then return comments.all end
  local all = {}
  for _, each in ipairs(native.files()) do all[each.name] = each.file end
  comments.all = all
  return all
end

local function last_part(name) return name:match("([%w_]+)$") end

-- "torch.nn.functional.relu" and the file's module "torch.nn.functional.activations" share three parts.
local function shared_parts(a, b)
  local other, count = b:gmatch("[^%.]+"), 0
  for part in a:gmatch("[^%.]+") do
    if part ~= other() then break end
    count = count + 1
  end
  return count
end

--- The comment of a Lua function of the standard library: above its definition, else above an assignment of its name.
---@param f function
---@param path string? "torch.nn.functional.relu"
---@return table? entry {name, file, line, doc}
function comments.of_function(f, path)
  local info = debug.getinfo(wrapped[f] or f, "S")
  local file = info.source:match("^=stdlib/(.+)$")
  if info.what ~= "C" and file and file ~= "torch/signature.lua" then
    local entry = comments.of(file).by_line[info.linedefined]
    if entry then return entry end
  end
  return path and comments.of_name(path, file) or nil
end

--- The comment of what is assigned under the last part of a path.
---@param path string
---@param file? string where it was made: looked at first
---@return table? entry
function comments.of_name(path, file)
  local name = last_part(path)
  if not name then return nil end
  local best, most
  for module, each in pairs(comments.files()) do
    local shared, parts = shared_parts(path, module), select(2, module:gsub("[^%.]+", ""))
    local score = shared + (each == file and 100 or 0)
    if shared > 0 and shared >= parts - 1 or each == file then
      for _, entry in ipairs(comments.of(each).list) do
        if last_part(entry.name) == name then
          local better = not most or score > most or score == most and each < best.file
          if better then best, most = entry, score end
        end
      end
    end
  end
  return best
end

return comments
