-- Which curves are drawn together: training and validation of a metric in one panel, a colour for each run or curve.
local sources = require "train.plot.sources"

local panels = {}

local COLORS <const> = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"}
local DASHES <const> = {{}, {6, 4}, {2, 3}}  -- of the first, second and third curve of a run

---What a name measures, in training or in validation: "loss" of loss, val_loss, train_loss; "epoch_loss" of epoch_val_loss.
---@param name string
---@return string
function panels.base(name)
  for _, phase in ipairs {"val", "valid", "validation", "train", "training"} do
    local rest = name:match("^" .. phase .. "[_/](.+)$")
    if rest then return rest end
    local before, after = name:match("^(.+[_/])" .. phase .. "[_/](.+)$")
    if before then return before .. after end
    before = name:match("^(.+)/" .. phase .. "$")
    if before then return before end
  end
  return name
end

-- The names of each panel, in the order asked for.
local function groups(names, together)
  if together then return {{names = names, title = panels.base(names[1])}} end
  local list, by_base = {}, {}
  for _, name in ipairs(names) do
    local base = panels.base(name)
    if not by_base[base] then
      by_base[base] = {names = {}, title = base}
      list[#list + 1] = by_base[base]
    end
    table.insert(by_base[base].names, name)
  end
  return list
end

local function lines_of(names, runs)
  local lines, by_run = {}, #runs > 1 and #names <= #DASHES
  for r, run in ipairs(runs) do
    for k, name in ipairs(names) do
      local found = run.series[name]
      if found then
        local index = by_run and r or #lines + 1
        lines[#lines + 1] = {
          name = run.name and run.name .. " " .. name or name, xs = found.xs, ys = found.ys, index = index,
          color = COLORS[(index - 1) % #COLORS + 1], dashes = by_run and DASHES[k] or DASHES[1],
        }
      end
    end
  end
  return lines
end

---The panels of some series of some runs.
---@param runs table[] of sources
---@param names string[] at least one
---@param together boolean all in one panel
---@return table[] panels {title, lines = {{name, xs, ys, index, color, dashes}}}
function panels.of(runs, names, together)
  local list = {}
  for _, group in ipairs(groups(names, together)) do
    list[#list + 1] = {title = group.title, lines = lines_of(group.names, runs)}
  end
  return list
end

---What the x axis counts, of all runs; epochs become steps from 0 beside runs that have those.
---@param runs table[]
---@return string "epoch" or "step"
function panels.align(runs)
  local axis = runs[1] and runs[1].axis
  for _, run in ipairs(runs) do
    if run.axis ~= axis then axis = "step" end
  end
  for _, run in ipairs(axis == "step" and runs or {}) do
    if run.axis == "epoch" then
      for _, line in pairs(run.series) do
        local xs = {}
        for i, x in ipairs(line.xs) do xs[i] = x - 1 end
        line.xs = xs
      end
    end
  end
  return axis or "epoch"
end

---The names that are drawn: those asked for, or the loss, or all that there are.
---@param runs table[]
---@param wanted? string|string[]
---@return string[] names
---@return string? unknown the one of them that no run has
function panels.names(runs, wanted)
  local all, known = sources.names(runs), {}
  for _, name in ipairs(all) do known[name] = true end
  if wanted == nil then
    local names = {}
    for _, name in ipairs {"loss", "val_loss"} do
      if known[name] then names[#names + 1] = name end
    end
    return #names > 0 and names or all
  end
  if wanted == "all" and not known.all then return all end
  local names = type(wanted) == "string" and {wanted} or wanted
  for _, name in ipairs(names) do
    if not known[name] then return all, tostring(name) end
  end
  return names
end

return panels
