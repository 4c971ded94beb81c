-- DataLoader: batches of a dataset in an order that (seed, epoch) alone decide, made ahead of time by C++ threads.
local datasets = require "torch.utils.data.dataset"
local host = require "host"
local keywords = require "host.keywords"
local native = require "native.data"
local passes = require "torch.utils.data.passes"
local vm = require "native.vm"

local DataLoader = {}
local meta = {__name = "DataLoader", __index = DataLoader}

local function usage(message, hint) vm.raise("usage", "DataLoader: " .. message, hint) end

-- PyTorch's name of an option and ours are the same option.
local function alias(options, name, other, default)
  if options[name] ~= nil and options[other] ~= nil then
    usage(("'%s' and '%s' are the same option"):format(name, other))
  end
  local value = options[name]
  if value == nil then value = options[other] end
  if value == nil then value = default end
  if math.type(value) ~= "integer" then
    usage(("'%s' must be an integer, got %s"):format(name, vm.describe(value)))
  end
  return value
end

-- What only some options can be with.
local function check_order_options(options, given)
  if options.sampler ~= nil and options.shuffle then usage("'shuffle' and 'sampler' exclude each other") end
  if options.batch_sampler == nil then return end
  for _, name in ipairs {"batch_size", "shuffle", "sampler", "drop_last"} do
    if given[name] then usage(("'batch_sampler' and '%s' exclude each other"):format(name)) end
  end
end

local function make_native(loader)
  local o = loader.options
  return native.loader(o.source, {
    batch_size = o.batch_size, shuffle = o.shuffle, drop_last = o.drop_last, seed = loader.seed, workers = o.workers,
    prefetch = o.prefetch, pin_memory = o.pin_memory, sampler = o.sampler, batch_sampler = o.batch_sampler,
  })
end

--- Batches of a dataset.
---
--- `for x, y in loader:iter() do` passes over the next epoch; `break` stops its workers. The order is a function of
--- (seed, epoch), the same for every number of workers.
---@param dataset table
---@param options? table batch_size = 1; shuffle = false; drop_last = false; workers = 0 (or num_workers): C++ threads;
--- prefetch = 2 (or prefetch_factor): batches each may be ahead; seed: drawn from generator, or else from torch's
--- default one, if absent; sampler: a list of indices; batch_sampler: a list of lists; pin_memory = false (no effect
--- without CUDA); collate_fn = function(samples) return batch end
---@example local set = torch.utils.data.TensorDataset(torch.arange(5))
--- for x in torch.utils.data.DataLoader(set, {batch_size = 2}):iter() do assert(#x <= 2) end
function DataLoader.new(dataset, options)
  local o = keywords.check("DataLoader", options, {
    batch_size = 1, shuffle = false, drop_last = false, workers = keywords.none, num_workers = keywords.none,
    prefetch = keywords.none, prefetch_factor = keywords.none, seed = keywords.none, sampler = keywords.none,
    batch_sampler = keywords.none, pin_memory = false, collate_fn = keywords.none, generator = keywords.none,
  })
  if o.seed ~= nil and o.generator ~= nil then usage "'seed' and 'generator' exclude each other" end
  check_order_options(o, options or {})
  o.workers = alias(o, "workers", "num_workers", 0)
  o.prefetch = alias(o, "prefetch", "prefetch_factor", 2)
  local count = datasets.length(dataset, "DataLoader")
  local source = not o.collate_fn and datasets.native_of(dataset)
  if not source and o.workers > 0 then
    usage(o.collate_fn and "'collate_fn' runs in the script's own thread: 'workers' must be 0"
      or "a dataset written in Lua is read in the script's own thread: 'workers' must be 0",
      "worker threads read native datasets: TensorDataset, its Subset and ConcatDataset, torch.datasets")
  end
  o.source = source or count
  local loader = setmetatable({
    dataset = dataset, batch_size = o.batch_sampler == nil and o.batch_size or nil, drop_last = o.drop_last,
    workers = o.workers, num_workers = o.workers, collate_fn = o.collate_fn,
    seed = o.seed == nil and native.draw_seed(o.generator) or o.seed, options = o,
  }, meta)
  loader.native = make_native(loader)
  return loader
end

-- The batch of the samples at `indices` of a dataset that is read from Lua.
local function fetch(loader, indices)
  local samples = {}
  for i, index in ipairs(indices) do samples[i] = datasets.sample(loader.dataset, index) end
  if loader.collate_fn then return loader.collate_fn(samples) end
  return require "torch.utils.data.collate"(samples)
end

-- A batch by position as values, any other as one value.
local function values_of(batch)
  if type(batch) == "table" and getmetatable(batch) == nil and batch[1] ~= nil then return table.unpack(batch) end
  return batch
end

-- A pass over a dataset that is read from Lua: a function that gives batch number and batch, and what closes it.
local function pass_of(loader)
  local next_indices, pass, _, closing = loader.native:indices()
  return function()
    local i, indices = next_indices(pass)
    if not i then return nil end
    local batch = fetch(loader, indices)
    pass:advance()
    return i, batch
  end, closing
end

-- What a loop gets. A dry run sees one batch of each pass.
local function handed_out(loader, next_batch, state, control, closing)
  if passes.watch then next_batch, state, control, closing = passes.watch(loader, next_batch, state, control, closing) end
  if not host.dry_run() then return next_batch, state, control, closing end
  local done = false
  return function()
    if done then return nil end
    done = true
    return next_batch(state, control)
  end, nil, nil, closing
end

--- `for x, y in loader:iter() do`: the fields of each batch as values; one table for fields by name.
---@example local set = torch.utils.data.TensorDataset(torch.arange(4))
--- for batch in torch.utils.data.DataLoader(set, {batch_size = 2}):iter() do test.equal(#batch, 2) end
function DataLoader:iter()
  if type(self.options.source) == "userdata" then return handed_out(self, self.native:iter()) end
  local next_batch, closing = pass_of(self)
  return handed_out(self, function()
    local i, batch = next_batch()
    if not i then return nil end
    return values_of(batch)
  end, nil, nil, closing)
end

--- `for i, batch in loader:enumerate() do`: i counts batches from 0, batch is a table of fields.
---@example local set, last = torch.utils.data.TensorDataset(torch.arange(4)), nil
--- for i in torch.utils.data.DataLoader(set, {batch_size = 2}):enumerate() do last = i end
--- last  --> 1
function DataLoader:enumerate()
  if type(self.options.source) == "userdata" then return handed_out(self, self.native:enumerate()) end
  local next_batch, closing = pass_of(self)
  return handed_out(self, next_batch, nil, nil, closing)
end

--- Where the loader stands: with `load_state_dict` another loader of the same data goes on with the next batch.
---@return table {epoch, batch, seed, batch_size, samples}; batch counts those handed out of the epoch
---@example local set = torch.utils.data.TensorDataset(torch.arange(4))
--- torch.utils.data.DataLoader(set, {batch_size = 2}):state_dict().samples  --> 4
function DataLoader:state_dict()
  local epoch, batch = self.native:position()
  return {epoch = epoch, batch = batch, seed = self.seed, batch_size = self.batch_size, samples = #self.dataset}
end

--- The next pass goes on where the state was taken. The number of workers may differ.
---@param state table from `state_dict`
---@example local set = torch.utils.data.TensorDataset(torch.arange(6))
--- local loader = torch.utils.data.DataLoader(set, {batch_size = 2})
--- local state
--- for i in loader:enumerate() do
---   if i == 0 then state = loader:state_dict() break end
--- end
--- loader:load_state_dict(state)
--- local left = 0
--- for _ in loader:iter() do left = left + 1 end
--- left  --> 2
function DataLoader:load_state_dict(state)
  if type(state) ~= "table" then usage("load_state_dict: expected a table, got " .. vm.describe(state)) end
  for _, name in ipairs {"epoch", "batch", "seed", "samples"} do
    if math.type(state[name]) ~= "integer" then
      usage(("load_state_dict: '%s' must be an integer, got %s"):format(name, vm.describe(state[name])))
    end
  end
  for name, mine in pairs {samples = #self.dataset, batch_size = self.batch_size} do
    if state[name] ~= mine then
      usage(("load_state_dict: the state was taken with %s %s, this loader has %s"):format(
        name == "samples" and "a dataset of" or "batch_size", tostring(state[name]), tostring(mine)))
    end
  end
  self.seed = state.seed
  self.native = make_native(self)
  self.native:seek(state.epoch, state.batch)
end

function meta.__len(self) return #self.native end

function meta.__tostring(self)
  return ("DataLoader(%d samples, %d batches%s%s, workers %d)"):format(#self.dataset, #self,
    self.batch_size and " of " .. self.batch_size or "", self.options.shuffle and ", shuffled" or "", self.workers)
end

function meta.__call()
  usage("a loader is no iterator", "write: for x, y in loader:iter() do")
end

return DataLoader.new
