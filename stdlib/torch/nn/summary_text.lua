-- The text of nn.summary: a table of rows, then the totals.
local text = {}

local NONE <const> = "--"

local function grouped(number)
  local digits = tostring(number):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (digits:gsub("^,", ""))
end

--- A shape as "[1, 3]"; shapes of several tensors as a list, with names where they have them.
---@param shape table?
---@return string
local function shape_text(shape)
  if not shape then return NONE end
  if not shape.of then return "[" .. table.concat(shape, ", ") .. "]" end
  local parts, names = {}, {}
  for i, each in ipairs(shape.of) do parts[i] = shape_text(each) end
  for name in pairs(shape.of) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do parts[#parts + 1] = name .. ": " .. shape_text(shape.of[name]) end
  return "[" .. table.concat(parts, ", ") .. "]"
end
text.shape = shape_text

local function count_text(row, count)
  if row.repeated then return "(recursive)" end
  return count > 0 and grouped(count) or NONE
end

--- The columns: title, and what a row has in it.
text.columns = {
  input_size = {"Input Shape", function(row) return shape_text(row.input) end},
  output_size = {"Output Shape", function(row) return shape_text(row.output) end},
  num_params = {"Param #", function(row) return count_text(row, row.num_params) end},
  params_percent = {"Param %", function(row, totals)
    if row.repeated or row.num_params == 0 then return row.repeated and "(recursive)" or NONE end
    return ("%.2f%%"):format(100 * row.num_params / totals.total_params)
  end},
  kernel_size = {"Kernel Shape", function(row) return shape_text(row.kernel) end},
  flops = {"FLOPs", function(row) return count_text(row, row.flops) end},
  mult_adds = {"Mult-Adds", function(row) return count_text(row, row.flops // 2) end},
  trainable = {"Trainable", function(row) return row.trainable or NONE end},
}

-- The lines that lead to a row: "│  ├─".
local function branches(rows)
  local lead, open = {}, {}
  for i = #rows, 1, -1 do
    local depth, parts = rows[i].depth, {}
    for level = 1, depth - 1 do parts[level] = open[level] and "│  " or "   " end
    if depth > 0 then parts[depth] = open[depth] and "├─" or "└─" end
    open[depth] = true
    for level = depth + 1, #open do open[level] = nil end
    lead[i] = table.concat(parts)
  end
  return lead
end

local function padded(cell, width) return cell .. (" "):rep(width - utf8.len(cell)) end

local function megabytes(bytes) return ("%.2f"):format(bytes / 1e6) end

local function layers(rows, totals, names)
  local lead, lines, widths = branches(rows), {}, {}
  local titles = {"Layer (type)"}
  for i, name in ipairs(names) do titles[i + 1] = text.columns[name][1] end
  lines[1] = titles
  for i, row in ipairs(rows) do
    local label = row.depth == 0 and row.class or ("%s (%s)"):format(row.name, row.class)
    local cells = {lead[i] .. label .. (row.calls > 1 and not row.repeated and " x" .. row.calls or "")}
    for k, name in ipairs(names) do cells[k + 1] = text.columns[name][2](row, totals) end
    lines[i + 1] = cells
  end
  for _, cells in ipairs(lines) do
    for k, cell in ipairs(cells) do widths[k] = math.max(widths[k] or 0, utf8.len(cell) + 2) end
  end
  local width = 0
  for _, each in ipairs(widths) do width = width + each end
  for i, cells in ipairs(lines) do
    for k, cell in ipairs(cells) do cells[k] = padded(cell, widths[k]) end
    lines[i] = table.concat(cells):gsub("%s+$", "")
  end
  return lines, math.max(width, 60)
end

--- The whole text.
---@param rows table[]
---@param totals table
---@param names string[] of the columns
---@return string
function text.of(rows, totals, names)
  local lines, width = layers(rows, totals, names)
  local rule = ("="):rep(width)
  local out = {rule, lines[1], rule, table.concat(lines, "\n", 2), rule,
    "Total params: " .. grouped(totals.total_params),
    "Trainable params: " .. grouped(totals.trainable_params),
    "Non-trainable params: " .. grouped(totals.non_trainable_params)}
  if totals.flops then
    out[#out + 1] = "Total FLOPs: " .. grouped(totals.flops)
    out[#out + 1] = "Total mult-adds: " .. grouped(totals.mult_adds)
    out[#out + 1] = rule
    out[#out + 1] = "Input size (MB): " .. megabytes(totals.input_bytes)
    out[#out + 1] = "Forward activations size (MB): " .. megabytes(totals.activation_bytes)
  else
    out[#out + 1] = rule
  end
  out[#out + 1] = "Params size (MB): " .. megabytes(totals.parameter_bytes)
  out[#out + 1] = "Buffers size (MB): " .. megabytes(totals.buffer_bytes)
  out[#out + 1] = "Estimated Total Size (MB): " .. megabytes(totals.total_bytes)
  out[#out + 1] = rule
  return table.concat(out, "\n")
end

return text
