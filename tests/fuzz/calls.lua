-- Makes calls with wild arguments: `calls.lua -- WHAT LOG TRIES SEED NAME...`, WHAT is "operators" (arguments by
-- schema) or "exports" (anything). Before each call its text stands in LOG, which outlives a crash.
local torch = require "torch"
local folder = arg[0]:match "^(.*)/" or "."
local values = dofile(folder .. "/values.lua")

local what, log_path, tries, seed = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local native = values.native()
local ops = native["native.ops"]
local environment = values.environment(torch)
for name, module in pairs(native) do environment[name:gsub("%.", "_")] = module end

-- The arguments of "torch.f(Tensor input, int[2] size={0, 0}, *, bool b=false)" by name, type and default.
local function arguments_of(signature)
  local inner, list, keyword_only = signature:match "^%((.*)%)$", {}, false
  local depth, start = 0, 1
  local function take(text)
    text = text:match "^%s*(.-)%s*$"
    if text == "" then return end
    if text == "*" then
      keyword_only = true
      return
    end
    local kind, name, default = text:match "^(%S+) ([%w_]+)=?(.*)$"
    if kind then list[#list + 1] = {kind = kind, name = name, default = default ~= "", keyword = keyword_only} end
  end
  for i = 1, #inner do
    local c = inner:sub(i, i)
    if c == "{" then depth = depth + 1
    elseif c == "}" then depth = depth - 1
    elseif c == "," and depth == 0 then
      take(inner:sub(start, i - 1))
      start = i + 1
    end
  end
  take(inner:sub(start))
  return list
end

-- "torch.f(args)" for an operator.
local function operator_call(name)
  local signatures = ops.signatures(name, false)
  if #signatures == 0 then return nil end
  local positional, keywords = {}, {}
  local skipped = false
  for _, argument in ipairs(arguments_of(values.pick(signatures))) do
    local leave_out = argument.default and math.random() < 0.6
    if not leave_out then
      local text = values.of_type(argument.kind)
      if argument.keyword or skipped then
        if text ~= "nil" then keywords[#keywords + 1] = ("[%q] = %s"):format(argument.name, text) end
      else
        positional[#positional + 1] = text
      end
    elseif not argument.keyword then
      skipped = true
    end
  end
  if #keywords > 0 then positional[#positional + 1] = "{" .. table.concat(keywords, ", ") .. "}" end
  return ("native_ops.find(%q)(%s)"):format(name, table.concat(positional, ", "))
end

-- "native_tensor.slice(args)" or "torch.ones(2):size(args)" for anything that a script can call.
local function export_call(name)
  local arguments = {}
  -- A metamethod closes what it is meant for: none of those that all calls share.
  local own = name:find "^META" ~= nil
  for i = 1, math.random(0, 5) do
    repeat arguments[i] = values.anything() until not (own and arguments[i]:find "^torch%.%l+%d*$")
  end
  local owner, method = name:match "^(.*):(.*)$"
  if owner and math.random() < 0.7 then
    return ("(%s)[%q](%s)"):format(owner, method, table.concat({owner, table.unpack(arguments)}, ", "))
  elseif owner then
    return ("(%s)[%q](%s)"):format(owner, method, table.concat(arguments, ", "))
  end
  return ("%s(%s)"):format(name, table.concat(arguments, ", "))
end

local log = assert(io.open(log_path, "w"))
log:setvbuf "no"
local function record(text)
  log:seek "set"
  log:write(text, "\n", (" "):rep(64), "\n")
end

torch.set_num_threads(1)
-- The same call for the same name, seed and try, whatever else is run.
local function seed_of(name)
  local hash = seed
  for i = 1, #name do hash = (hash * 31 + name:byte(i)) & 0xffffffff end
  return hash
end

local make = what == "operators" and operator_call or export_call
local completed, succeeded, returned = 0, 0, 0
for i = 5, #arg do
  local name, ok_once = arg[i], false
  for try = 1, tries do
    math.randomseed(seed_of(name), try)
    local text = make(name)
    if not text then break end
    record(("%d %d\n%s"):format(i, try, text))
    torch.manual_seed(try)
    local chunk = assert(load("return " .. text, "=call", "t", environment))
    local ok, failure = pcall(chunk)
    if not ok and tostring(failure) == "" then
      io.stdout:write("EMPTY ", text, "\n")
    end
    if ok then returned, ok_once = returned + 1, true end
    completed = completed + 1
  end
  if ok_once then succeeded = succeeded + 1 end
end
log:close()
io.stdout:write(("DONE %d %d %d\n"):format(completed, returned, succeeded))
os.exit(0, false) -- without closing the state: the values that a fuzz leaves behind are not the subject
