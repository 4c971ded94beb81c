-- How the test library compares and prints values: tensors bit by bit, tables entry by entry.
local ordered = require "host.ordered"

local show = {}

-- A float and the integer type of the same width, to compare bits (NaN equals NaN, 0 differs from -0).
local bits = {float64 = "int64", float32 = "int32", float16 = "int16", bfloat16 = "int16"}

local function is_tensor(x) return type(x) == "userdata" and require("torch").is_tensor(x) end

local function dtype_name(x) return (tostring(x.dtype):gsub("^torch%.", "")) end

local function same_shape(a, b)
  if #a.shape ~= #b.shape then return false end
  for i, n in ipairs(a.shape) do
    if n ~= b.shape[i] then return false end
  end
  return true
end

local function tensors_equal(a, b)
  if not same_shape(a, b) or dtype_name(a) ~= dtype_name(b) then return false end
  local torch = require "torch"
  a, b = a:detach(), b:detach()
  local integers = bits[dtype_name(a)]
  if integers then
    a, b = a:contiguous():view(torch[integers]), b:contiguous():view(torch[integers])
  end
  return torch.equal(a, b)
end

local function tensors_near(a, b, tolerance)
  if not same_shape(a, b) then return false end
  local torch = require "torch"
  a, b = a:detach():to(torch.float64), b:detach():to(torch.float64)
  return torch.allclose(a, b, tolerance, tolerance, true)
end

local function numbers_near(a, b, tolerance)
  if a ~= a or b ~= b then return a ~= a and b ~= b end
  return a == b or math.abs(a - b) <= tolerance * math.max(1, math.abs(a), math.abs(b))
end

local function same(a, b, tolerance)
  if is_tensor(a) and is_tensor(b) then
    if tolerance then return tensors_near(a, b, tolerance) end
    return tensors_equal(a, b)
  end
  if type(a) == "number" and type(b) == "number" then
    if tolerance then return numbers_near(a, b, tolerance) end
    return math.type(a) == math.type(b) and (a == b or (a ~= a and b ~= b))
  end
  return a == b
end

-- The keys of both tables, in an order that is the same on every run.
local function all_keys(a, b)
  local both = {}
  for _, each in ipairs{a, b} do
    for key in pairs(each) do both[key] = true end
  end
  return ordered.keys(both)
end

local function find(a, b, tolerance, path, open)
  if type(a) ~= "table" or type(b) ~= "table" or a == b then
    if same(a, b, tolerance) then return nil end
    return path, a, b
  end
  if open[a] == b then return nil end  -- a cycle, being compared further up
  open[a] = b
  for _, key in ipairs(all_keys(a, b)) do
    local step = type(key) == "string" and "." .. key or "[" .. tostring(key) .. "]"
    local at, x, y = find(a[key], b[key], tolerance, path .. step, open)
    if at then return at, x, y end
  end
  open[a] = nil
  return nil
end

--- Where two values differ first: " at .a[2]" and the two values there; nil if they are equal.
---@param tolerance? number compares numbers and tensors to this, relative above 1; without it exactly
function show.difference(a, b, tolerance)
  local path, x, y = find(a, b, tolerance, "", {})
  if not path then return nil end
  return path == "" and "" or " at " .. path, x, y
end

--- A value as a failed check prints it: cut short, its type visible.
function show.value(x, depth)
  depth = depth or 0
  if type(x) == "string" then
    return #x > 400 and ("%q... (%d bytes)"):format(x:sub(1, 400), #x) or ("%q"):format(x)
  elseif type(x) == "number" then
    if math.type(x) == "integer" then return tostring(x) end
    if x ~= x then return "nan" end
    return (("%.17g"):format(x):gsub("^(-?%d+)$", "%1.0"))
  elseif is_tensor(x) then
    local text = tostring(x):gsub("\n", "\n       ")
    return ("Tensor[%s] %s %s"):format(table.concat(x.shape, ", "), dtype_name(x), text)
  elseif type(x) ~= "table" or (getmetatable(x) or {}).__tostring then
    return tostring(x)
  elseif depth > 2 then
    return "{...}"
  end
  local parts, n = {}, #x
  for _, key in ipairs(all_keys(x, {})) do
    if #parts == 20 then
      parts[#parts + 1] = "..."
      break
    end
    local text = show.value(x[key], depth + 1)
    if type(key) == "string" then
      text = key .. " = " .. text
    elseif math.type(key) ~= "integer" or key < 1 or key > n then
      text = "[" .. tostring(key) .. "] = " .. text
    end
    parts[#parts + 1] = text
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

return show
