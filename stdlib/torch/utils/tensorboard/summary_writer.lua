-- torch.utils.tensorboard.SummaryWriter: PyTorch's methods and arguments; a thread of the host does the writing.
local events = require "native.events"
local messages = require "torch.utils.tensorboard.messages"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

---@class SummaryWriter
local SummaryWriter = {__name = "SummaryWriter"}

-- Attributes that are made when somebody asks.
function SummaryWriter.__index(self, key)
  if key == "default_bins" then
    self.default_bins = events.default_bins()
    return self.default_bins
  end
  return SummaryWriter[key]
end

local GRAPH <const>, SUMMARY <const>, SESSION <const>, TAGGED <const> = 4, 5, 7, 8  -- parts of an event
local PATIENCE <const> = 10  -- seconds that flush and close wait for a disk
local FEW <const> = 16       -- files of add_hparams that may wait to be closed

local function fail(text, ...) vm.raise("usage", text:format(...)) end

-- The file of this writer; a new one after close.
local function file_of(self)
  local file = self._file
  if file then return file end
  file = events.open(self.log_dir, self.filename_suffix)
  self._file, self._files, self._by_folder = file, {file}, {}
  if self.purge_step ~= nil then
    events.add_version(file, self.purge_step)
    events.add(file, SESSION, messages.encode {{1, "integer", 1}}, self.purge_step)
    self.purge_step = nil
  end
  return file
end

-- The file in a folder below, for one of several curves.
local function file_below(self, folder)
  file_of(self)
  local file = self._by_folder[folder]
  if not file then
    file = events.open(folder, self.filename_suffix)
    self._by_folder[folder] = file
    self._files[#self._files + 1] = file
  end
  return file
end

-- A file that gets nothing more: it is closed when it is written. No call waits for that but flush and close, and one
-- that finds so many of them open.
local function let_go(self, file)
  local list = self._let_go or {}
  self._let_go = list
  list[#list + 1] = file
  if #list <= FEW then return end
  local oldest = table.remove(list, 1)
  events.flush(oldest, PATIENCE)
  events.close(oldest)
end

local function check_text(where, name, value)
  if type(value) ~= "string" then
    fail("%s: argument '%s' must be a string, got %s", where == "__init" and "SummaryWriter" or "SummaryWriter." .. where,
      name, vm.describe(value))
  end
end

local function check_table(where, name, value)
  if type(value) ~= "table" then
    fail("SummaryWriter.%s: argument '%s' must be a table, got %s", where, name, vm.describe(value))
  end
end

local function check_count(name, value, least)
  if type(value) ~= "number" or value ~= value or value < least then
    fail("SummaryWriter: argument '%s' must be a number of %d or more, got %s", name, least, vm.describe(value))
  end
end

local function tensor_of(where, name, values)
  if torch.is_tensor(values) then return values end
  if type(values) == "number" then return torch.tensor({values}, {dtype = torch.float64, device = "cpu"}) end
  if type(values) == "table" then return torch.tensor(values, {dtype = torch.float64, device = "cpu"}) end
  fail("SummaryWriter.%s: argument '%s' must be a Tensor or a list of numbers, got %s", where, name, vm.describe(values))
end

--- Adds a histogram of what may have none: NaN everywhere.
---@private
function SummaryWriter:_add_histogram_of(tag, values, step)
  events.add_histogram(file_of(self), tag, values, nil, nil, step)
end

-- How the files beside this one add their methods.
SummaryWriter._parts = {GRAPH = GRAPH, SUMMARY = SUMMARY, TAGGED = TAGGED, file_of = file_of, let_go = let_go,
  check_text = check_text, check_table = check_table, tensor_of = tensor_of}

local scalar_arguments = signature("SummaryWriter.add_scalar",
  "tag, scalar_value, global_step=nil, walltime=nil, new_style=false, double_precision=false")

--- Adds a number; returns in a microsecond.
---@param tag string
---@param scalar_value number|boolean|Tensor one element
---@param global_step? integer
---@param walltime? number seconds since 1970; now
---@param new_style? boolean as a tensor; false
---@param double_precision? boolean of the new style; false
---@example local folder = os.tmpname()
--- os.remove(folder)
--- local writer <close> = torch.utils.tensorboard.SummaryWriter(folder)
--- for step = 0, 9 do writer:add_scalar("loss", 1 / (step + 1), step) end
--- writer:get_logdir() == folder  --> true
function SummaryWriter:add_scalar(...)
  local tag, value, step, walltime, new_style, double_precision = scalar_arguments(...)
  if new_style then
    check_text("add_scalar", "tag", tag)
    return events.add(file_of(self), SUMMARY, messages.scalar(tag, value, double_precision), step, walltime)
  end
  events.add_scalar(self._file or file_of(self), tag, value, step, walltime)
end

--- Adds numbers that are drawn in one picture: a file for each, in the folder LOG_DIR/main_tag_<name>.
---@param main_tag string
---@param tag_scalar_dict table<string, number|Tensor>
---@param global_step? integer
---@param walltime? number
---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
--- for step = 0, 9 do writer:add_scalars("loss", {train = 1 / (step + 1), valid = 2 / (step + 1)}, step) end
function SummaryWriter:add_scalars(main_tag, tag_scalar_dict, global_step, walltime)
  if type(global_step) == "table" and walltime == nil then
    local given = require("host.keywords").check("SummaryWriter.add_scalars", global_step,
      {global_step = require("host.keywords").none, walltime = require("host.keywords").none})
    global_step, walltime = given.global_step, given.walltime
  end
  check_text("add_scalars", "main_tag", main_tag)
  check_table("add_scalars", "tag_scalar_dict", tag_scalar_dict)
  walltime = walltime or require("host").time()
  for _, name in ipairs(ordered.keys(tag_scalar_dict)) do
    local folder = ("%s/%s_%s"):format(self.log_dir, main_tag:gsub("/", "_"), tostring(name))
    events.add_scalar(file_below(self, folder), main_tag, tag_scalar_dict[name], global_step, walltime)
  end
end

local tensor_arguments = signature("SummaryWriter.add_tensor", "tag, tensor, global_step=nil, walltime=nil")

--- Adds a whole tensor.
---@param tag string
---@param tensor Tensor
---@param global_step? integer
---@param walltime? number
---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
--- writer:add_tensor("confusion", torch.eye(3), 0)
function SummaryWriter:add_tensor(...)
  local tag, tensor, step, walltime = tensor_arguments(...)
  check_text("add_tensor", "tag", tag)
  if not torch.is_tensor(tensor) then
    fail("SummaryWriter.add_tensor: argument 'tensor' must be a Tensor, got %s", vm.describe(tensor))
  end
  events.add(file_of(self), SUMMARY, messages.of_tensor(tag, tensor), step, walltime)
end

local histogram_arguments = signature("SummaryWriter.add_histogram",
  "tag, values, global_step=nil, bins='tensorflow', walltime=nil, max_bins=nil")

--- Adds a histogram, counted now.
---@param tag string
---@param values Tensor|number[] any shape
---@param global_step? integer
---@param bins? string|integer|number[]|Tensor "tensorflow": buckets that grow by a tenth; how many equal ones; numpy's
--- rule for how many ("auto", "fd", "doane", "scott", "stone", "rice", "sturges", "sqrt"); or the edges
---@param walltime? number
---@param max_bins? integer neighbours are merged until there are about so many
---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
--- local layer = nn.Linear(4, 3)
--- for epoch = 0, 2 do writer:add_histogram("weight", layer.weight, epoch) end
--- writer:add_histogram("weight/equal", layer.weight, {global_step = 3, bins = "auto"})
function SummaryWriter:add_histogram(...)
  local tag, values, step, bins, walltime, max_bins = histogram_arguments(...)
  values = tensor_of("add_histogram", "values", values)
  if bins == "tensorflow" then bins = nil
  elseif type(bins) == "table" then bins = torch.tensor(bins, {dtype = torch.float64, device = "cpu"}) end
  if not events.add_histogram(self._file or file_of(self), tag, values, bins, max_bins, step, walltime) then
    fail("SummaryWriter.add_histogram: no value of '%s' lies in a bucket: all are NaN, infinite or outside of the bins", tag)
  end
end

local raw_arguments = signature("SummaryWriter.add_histogram_raw",
  "tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts, global_step=nil, walltime=nil")

--- Adds a histogram that is counted already.
---@param tag string
---@param min number
---@param max number
---@param num number how many values
---@param sum number
---@param sum_squares number
---@param bucket_limits number[]|Tensor the upper limit of each bucket
---@param bucket_counts number[]|Tensor
---@param global_step? integer
---@param walltime? number
---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
--- writer:add_histogram_raw("ages", 1, 9, 3, 15, 107, {5, 10}, {2, 1}, 0)
function SummaryWriter:add_histogram_raw(...)
  local tag, min, max, num, sum, sum_squares, limits, counts, step, walltime = raw_arguments(...)
  check_text("add_histogram_raw", "tag", tag)
  limits = tensor_of("add_histogram_raw", "bucket_limits", limits)
  counts = tensor_of("add_histogram_raw", "bucket_counts", counts)
  if limits:numel() ~= counts:numel() then fail("len(bucket_limits) != len(bucket_counts), see the document.") end
  local histogram = messages.encode {{1, "real", min}, {2, "real", max}, {3, "real", num}, {4, "real", sum},
    {5, "real", sum_squares}, {6, "reals", limits}, {7, "reals", counts}}
  events.add(file_of(self), SUMMARY, messages.summary(messages.encode {{1, "text", tag}, {5, "bytes", histogram}}),
    step, walltime)
end

local text_arguments = signature("SummaryWriter.add_text", "tag, text_string, global_step=nil, walltime=nil")

--- Adds a text; TensorBoard shows it as Markdown.
---@param tag string
---@param text_string string
---@param global_step? integer
---@param walltime? number
---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
--- writer:add_text("notes", "a *first* try", 0)
function SummaryWriter:add_text(...)
  local tag, text, step, walltime = text_arguments(...)
  check_text("add_text", "tag", tag)
  check_text("add_text", "text_string", text)
  events.add(file_of(self), SUMMARY, messages.text(tag, text), step, walltime)
end

--- The folder of the event files.
---@return string
---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
--- writer:get_logdir():match("[^.]+$")  --> d
function SummaryWriter:get_logdir() return self.log_dir end

--- Waits until what was added is on the disk; not for a disk that refuses, which was warned of.
---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
--- writer:add_scalar("loss", 0.5, 0)
--- writer:flush()
function SummaryWriter:flush()
  local clock = require("host").clock
  local deadline = clock() + PATIENCE
  for _, file in ipairs(self._files or {}) do events.flush(file, math.max(0, deadline - clock())) end
  for _, file in ipairs(self._let_go or {}) do
    events.flush(file, math.max(0, deadline - clock()))
    events.close(file)
  end
  self._let_go = nil
  if self._embeddings then events.flush_written(math.max(0, deadline - clock())) end
end

--- Flushes, and lets the files go. A writer that is used again begins a new file.
---@example local writer = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
--- writer:add_scalar("loss", 0.5, 0)
--- writer:close()
function SummaryWriter:close()
  local files = self._files
  if not files then return end
  self:flush()
  self._file, self._files, self._by_folder = nil, nil, nil
  for _, file in ipairs(files) do events.close(file) end
end

SummaryWriter.__close = SummaryWriter.close
function SummaryWriter:__tostring() return ("SummaryWriter('%s')"):format(self.log_dir) end

for _, name in ipairs {"pictures", "plugins"} do
  require("torch.utils.tensorboard.writer_" .. name)(SummaryWriter)
end

local arguments = signature("SummaryWriter",
  "log_dir=nil, comment='', purge_step=nil, max_queue=10, flush_secs=120, filename_suffix=''")

--- Makes a writer of TensorBoard's event files, and its folder. Events are on their way to the file 20 ms after the call
--- that adds them, written by a thread of the host: max_queue and flush_secs, the bounds that PyTorch's writer keeps, are
--- kept without being used. The writer and add_hparams make their file at the call, add_embedding its folder; what they
--- hold goes the same way. No call waits for the disk but flush and close; a disk that refuses is warned of once, events
--- wait for it in memory.
---@param log_dir? string "runs/<date>_<host>" + comment by default
---@param comment? string the end of the default log_dir
---@param purge_step? integer TensorBoard forgets events of older files from this step on
---@param max_queue? integer events that may wait, 10
---@param flush_secs? number how long they may wait, 120
---@param filename_suffix? string of the event file's name
---@example local folder = os.tmpname()
--- os.remove(folder)
--- local writer = torch.utils.tensorboard.SummaryWriter {log_dir = folder, filename_suffix = ".train"}
--- writer:add_histogram("weights", torch.randn(100), 0)
--- writer:close()
--- #require("host").file.list(folder)  --> 1
function SummaryWriter:__init(...)
  local log_dir, comment, purge_step, max_queue, flush_secs, suffix = arguments(...)
  check_text("__init", "comment", comment)
  check_text("__init", "filename_suffix", suffix)
  if log_dir ~= nil then check_text("__init", "log_dir", log_dir) end
  if purge_step ~= nil and not (type(purge_step) == "number" and math.tointeger(purge_step)) then
    fail("SummaryWriter: argument 'purge_step' must be an integer, got %s", vm.describe(purge_step))
  end
  check_count("max_queue", max_queue, 0)
  check_count("flush_secs", flush_secs, 0)
  if not log_dir or log_dir == "" then
    log_dir = ("runs/%s_%s%s"):format(os.date("%b%d_%H-%M-%S"), events.host_name(), comment)
  end
  self.log_dir, self.purge_step, self.max_queue, self.flush_secs, self.filename_suffix = log_dir, purge_step, max_queue,
    flush_secs, suffix
  file_of(self)
end

return setmetatable(SummaryWriter, {__name = "class", __call = function(class, ...)
  local self = setmetatable({}, class)
  self:__init(...)
  return self
end})
