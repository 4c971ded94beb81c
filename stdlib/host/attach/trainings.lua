-- The trainings of this machine that can be attached to: their list, and the one that is meant by a word.
local file = require "native.file"
local host = require "host"
local serve = require "native.serve"

local trainings = {}

local SHORTEST <const> = 4  -- letters of the beginning of a run's id

---Those that run, in the order in which they began; what killed ones have left is removed.
---@return table[] list {id, pid, index, script, folder, started, run_id, run_name, path}
function trainings.list()
  local folder, list = serve.folder(), {}
  for _, name in ipairs(file.list(folder)) do
    local id = name:match("^(.*)%.json$")
    if id then
      local ok, about = pcall(function() return host.json.decode(file.read(folder .. "/" .. name)) end)
      local is_one = ok and type(about) == "table" and math.type(about.pid)
      if is_one and serve.is_alive(about.pid) then
        about.path = ("%s/%s.sock"):format(folder, id)
        if file.exists(about.path) then list[#list + 1] = about end
      elseif is_one then
        pcall(file.remove, folder .. "/" .. name)
        pcall(file.remove, ("%s/%s.sock"):format(folder, id))
      end
    end
  end
  table.sort(list, function(a, b)
    if a.started ~= b.started then return a.started < b.started end
    return a.id < b.id
  end)
  for i, about in ipairs(list) do about.index = i end
  return list
end

---Prints a list.
---@param list table[]
function trainings.show(list)
  local rows = {{"#", "PROCESS", "SCRIPT", "STARTED", "MLFLOW RUN", "FOLDER"}}
  for _, about in ipairs(list) do
    rows[#rows + 1] = {tostring(about.index), about.id, about.script ~= "" and about.script or "-",
      os.date("%H:%M:%S", math.floor(about.started)), about.run_id and ("%s %s"):format(about.run_id, about.run_name or "") or "-",
      about.folder}
  end
  local widths = {}
  for _, row in ipairs(rows) do
    for i, word in ipairs(row) do widths[i] = math.max(widths[i] or 0, #word) end
  end
  for _, row in ipairs(rows) do
    for i, word in ipairs(row) do row[i] = word .. (" "):rep(widths[i] - #word) end
    print((table.concat(row, "  "):gsub("%s+$", "")))
  end
end

-- Is it the place in the list, the process, the id of the MLflow run or the beginning of it, the run's name, or the script?
local function is_meant(about, word)
  return tostring(about.index) == word or about.id == word or tostring(about.pid) == word or about.run_name == word
    or about.script == word or (about.script or ""):match("([^/]*)$") == word
    or about.run_id ~= nil and #word >= SHORTEST and about.run_id:sub(1, #word) == word
end

---The trainings that a word may mean: its place in the list, its process, its MLflow run's name, id or the beginning of that,
---its script.
---@param list table[] all of them
---@param word string
---@return table[]
function trainings.meant(list, word)
  local found = {}
  for _, about in ipairs(list) do
    if is_meant(about, word) then found[#found + 1] = about end
  end
  return found
end

return trainings
