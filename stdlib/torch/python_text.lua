-- Values as Python's str() writes them: True, None, 1e-05, (3, 3).
local text = {}

local function float(x)
  if x ~= x then return "nan" end
  if x == math.huge then return "inf" end
  if x == -math.huge then return "-inf" end
  local shortest
  for digits = 1, 17 do
    shortest = ("%." .. digits - 1 .. "e"):format(x)
    if tonumber(shortest) == x then break end
  end
  local sign, first, rest, exponent = shortest:match("^(-?)(%d)%.?(%d*)e([+-]%d+)$")
  local digits, power = first .. rest, tonumber(exponent)
  if power < -4 or power >= 16 then
    return ("%s%s%s%se%s%02d"):format(sign, first, rest ~= "" and "." or "", rest, power < 0 and "-" or "+",
      math.abs(power))
  end
  if power < 0 then return sign .. "0." .. ("0"):rep(-power - 1) .. digits end
  if #digits <= power + 1 then return sign .. digits .. ("0"):rep(power + 1 - #digits) .. ".0" end
  return sign .. digits:sub(1, power + 1) .. "." .. digits:sub(power + 2)
end

--- One value; a list is written as a tuple.
---@param value any
---@return string
function text.value(value)
  if value == nil then return "None" end
  if value == true then return "True" end
  if value == false then return "False" end
  if math.type(value) == "float" then return float(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i, item in ipairs(value) do parts[i] = text.value(item) end
  return "(" .. table.concat(parts, ", ") .. (#parts == 1 and ",)" or ")")
end

--- A string in quotes.
---@param value string
---@return string
function text.quoted(value) return "'" .. value .. "'" end

--- "in_features=4, out_features=2": names and values by turns.
---@return string
function text.pairs(...)
  local parts, given = {}, table.pack(...)
  for i = 1, given.n, 2 do parts[#parts + 1] = given[i] .. "=" .. text.value(given[i + 1]) end
  return table.concat(parts, ", ")
end

return text
