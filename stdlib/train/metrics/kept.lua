-- Metrics that need all values at once: rows are kept on their device, as chunks that are joined when they are read.
local keep = require("native.tensor").keep
local sums = require "train.metrics.sums"
local torch = require "torch"

local kept = {}

-- Values of another number of outputs cannot follow.
local function fitting(self, chunk)
  local first = self.chunks[1]
  if not first then return chunk end
  local fitted = {}
  for i, tensor in ipairs(chunk) do
    if tensor:dim() > 1 then sums.check_outputs(self, first[i][0], tensor[0]) end
    fitted[i] = tensor:to(first[1].device)
  end
  return fitted
end

-- Rows without a weight among rows with one count once.
local function weighted_alike(self, chunk)
  local first = self.chunks[1]
  local columns = self.COLUMNS
  if not first or #first == #chunk then return chunk end
  local function fill(some) some[columns + 1] = torch.ones({#some[1]}, {dtype = torch.float64, device = some[1].device}) end
  if #chunk == columns then
    fill(chunk)
  else
    for _, held in ipairs(self.chunks) do
      fill(held)
      keep(held[columns + 1])
    end
  end
  return chunk
end

---Adds a chunk to a list of them. Chunks of about the same size become one, so that there are few and each row is copied a
---few times only.
---@param chunks Tensor[][]
---@param chunk Tensor[]
function kept.join(chunks, chunk)
  while #chunks > 0 and #chunks[#chunks][1] <= 2 * #chunk[1] do
    local before, joined = table.remove(chunks), {}
    for i, tensor in ipairs(chunk) do joined[i] = torch.cat {before[i], tensor} end
    chunk = joined
  end
  for _, tensor in ipairs(chunk) do keep(tensor) end
  chunks[#chunks + 1] = chunk
end

---All chunks of a list as one, which is all that is in it then; nil if it has none.
---@param chunks Tensor[][]
---@return Tensor[]|nil columns
function kept.whole(chunks)
  if #chunks > 1 then
    local columns = {}
    for i = 1, #chunks[1] do
      local parts = {}
      for j, chunk in ipairs(chunks) do parts[j] = chunk[i] end
      columns[i] = keep(torch.cat(parts))
    end
    for i = 2, #chunks do chunks[i] = nil end
    chunks[1] = columns
  end
  return chunks[1]
end

---Adds rows.
---@param self table of a class of kept.class
---@param chunk Tensor[] the class's columns, each [n, ...], and perhaps the rows' weights, [n] in float64
function kept.append(self, chunk)
  if #chunk[1] == 0 then return end
  kept.join(self.chunks, weighted_alike(self, fitting(self, chunk)))
end

---All rows, nil if there are none.
---@param self table
---@return Tensor[]|nil columns
function kept.all(self) return kept.whole(self.chunks) end

---The class of metrics that keep rows of these columns, and sums of these fields.
---@param name string
---@param columns string[]
---@param fields string[]
---@param direction? string
---@return table class
function kept.class(name, columns, fields, direction)
  local Class = sums.class(name, fields, direction)
  local of_sums = {reset = Class.reset, merge = Class.merge, state_dict = Class.state_dict, load = Class.load_state_dict}
  local names = {table.unpack(columns)}
  names[#names + 1] = "weights"
  Class.COLUMNS = #columns

  ---Forgets everything.
  function Class:reset()
    of_sums.reset(self)
    self.chunks = {}
  end

  ---Adds what another metric of the same class and options has seen.
  function Class:merge(other)
    of_sums.merge(self, other)
    local rows = kept.all(other)
    if rows then kept.append(self, {table.unpack(rows)}) end
  end

  ---What a checkpoint keeps: all rows among it.
  ---@return table<string, any>
  function Class:state_dict()
    local state, rows = of_sums.state_dict(self), kept.all(self) or {}
    for i, column in ipairs(names) do state[column] = rows[i] end
    return state
  end

  ---Goes on where state_dict was taken.
  function Class:load_state_dict(state)
    of_sums.load(self, state)
    self.chunks = {}
    local chunk = {}
    for i, column in ipairs(names) do chunk[i] = state[column] and state[column]:detach():clone() end
    if chunk[1] then kept.append(self, chunk) end
  end

  return Class
end

return kept
