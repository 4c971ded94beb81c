-- The methods of SummaryWriter for graphs, hyperparameters, embeddings, curves, charts and meshes.
local events = require "native.events"
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local plugins = require "torch.utils.tensorboard.plugins"
local signature = require "torch.signature"
local vm = require "native.vm"

local HPARAMS <const> = {hparam_domain_discrete = keywords.none, run_name = keywords.none, global_step = keywords.none}

---@param SummaryWriter table
return function(SummaryWriter)
  local parts = SummaryWriter._parts
  local file_of, check_text, check_table = parts.file_of, parts.check_text, parts.check_table

  local function add(self, summary, step, walltime) events.add(file_of(self), parts.SUMMARY, summary, step, walltime) end

  -- A table whose names are all those of options.
  local function are_options(value)
    if not keywords.is(value) then return false end
    for name in pairs(value) do
      if HPARAMS[name] == nil then return false end
    end
    return true
  end

  --- Adds a run to the table of hyperparameters: LOG_DIR/run_name with them and the metrics that came of them.
  ---@param hparam_dict table<string, number|string|boolean|Tensor>
  ---@param metric_dict table<string, number|Tensor> names that no other curve has
  ---@param hparam_domain_discrete? table<string, table> all values that a hyperparameter can have
  ---@param run_name? string the time by default
  ---@param global_step? integer the last three also by name
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_hparams({lr = 0.1, optimizer = "sgd"}, {["hparam/accuracy"] = 0.9}, {run_name = "first"})
  function SummaryWriter:add_hparams(hparam_dict, metric_dict, hparam_domain_discrete, run_name, global_step)
    if are_options(hparam_domain_discrete) then
      local given = keywords.check("SummaryWriter.add_hparams", hparam_domain_discrete, HPARAMS)
      hparam_domain_discrete, run_name, global_step = given.hparam_domain_discrete, given.run_name, given.global_step
    end
    if type(hparam_dict) ~= "table" or type(metric_dict) ~= "table" then
      vm.raise("usage", "hparam_dict and metric_dict should be dictionary.")
    end
    if hparam_domain_discrete ~= nil then
      check_table("add_hparams", "hparam_domain_discrete", hparam_domain_discrete)
    end
    local summaries = plugins.hparams(hparam_dict, metric_dict, hparam_domain_discrete or {})
    if not run_name or run_name == "" then run_name = ("%.7f"):format(require("host").time()) end
    file_of(self)
    local below = events.open(self.log_dir .. "/" .. run_name, "")
    for _, summary in ipairs(summaries) do events.add(below, parts.SUMMARY, summary, global_step) end
    for _, name in ipairs(ordered.keys(metric_dict)) do events.add_scalar(below, name, metric_dict[name], global_step) end
    parts.let_go(self, below)
  end

  local graph_arguments = signature("SummaryWriter.add_graph", "model, input_to_model=nil, verbose=false, use_strict_trace=true")

  --- Adds the graph of a model: a scope for each module, its parameters and calls, and what flows between them. Without an
  --- input the model is not called and only its modules are shown. It is as before afterwards.
  ---@param model Module
  ---@param input_to_model? Tensor|Tensor[] the arguments of forward
  ---@param verbose? boolean print the nodes
  ---@param use_strict_trace? boolean no effect: the model is called, not compiled
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_graph(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.randn(1, 4))
  function SummaryWriter:add_graph(...)
    local model, input, verbose = graph_arguments(...)
    if not require("native.model").is_module(model) then
      vm.raise("usage", "SummaryWriter.add_graph: argument 'model' must be a Module, got " .. vm.describe(model))
    end
    local graph = require "torch.utils.tensorboard.graph"
    local definition, text = graph.of("SummaryWriter.add_graph", model, input)
    if verbose then print(text) end
    events.add(file_of(self), parts.GRAPH, definition)
    events.add(file_of(self), parts.TAGGED, graph.run_metadata())
  end

  --- Not there: ONNX files are not read.
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- local ok, err = pcall(writer.add_onnx_graph, writer)
  --- err.message:match("SummaryWriter.add_onnx_graph")  --> SummaryWriter.add_onnx_graph
  function SummaryWriter:add_onnx_graph()
    vm.raise("usage", "SummaryWriter.add_onnx_graph: ONNX files are not read", "add_graph takes a Module and its input")
  end

  local embedding_arguments = signature("SummaryWriter.add_embedding",
    "mat, metadata=nil, label_img=nil, global_step=nil, tag='default', metadata_header=nil")

  --- Adds points for TensorBoard's projector, as files in LOG_DIR/<step>/<tag>.
  ---@param mat Tensor [n, dimensions]
  ---@param metadata? table a label for each point, or a list of them
  ---@param label_img? Tensor [n, channels, height, width]
  ---@param global_step? integer
  ---@param tag? string "default"
  ---@param metadata_header? string[] names of the labels, if there are several
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_embedding(torch.randn(3, 5), {"cat", "dog", "cow"})
  function SummaryWriter:add_embedding(...)
    local mat, metadata, images, step, tag, header = embedding_arguments(...)
    check_text("add_embedding", "tag", tag)
    if metadata ~= nil then check_table("add_embedding", "metadata", metadata) end
    file_of(self)
    self._embeddings = self._embeddings or {}
    require("torch.utils.tensorboard.embedding").write(self.log_dir, self._embeddings, {mat = mat, metadata = metadata,
      label_img = images, global_step = step, tag = tag, metadata_header = header})
  end

  local curve_arguments = signature("SummaryWriter.add_pr_curve",
    "tag, labels, predictions, global_step=nil, num_thresholds=127, weights=nil, walltime=nil")

  --- Adds precision and recall at thresholds from 0 to 1.
  ---@param tag string
  ---@param labels Tensor|number[] 0 or 1
  ---@param predictions Tensor|number[] from 0 to 1
  ---@param global_step? integer
  ---@param num_thresholds? integer 127 at most
  ---@param weights? number|Tensor
  ---@param walltime? number
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_pr_curve("digits", torch.tensor{0, 1, 1, 0}, torch.tensor{0.1, 0.8, 0.4, 0.3}, 0)
  function SummaryWriter:add_pr_curve(...)
    local tag, labels, predictions, step, thresholds, weights, walltime = curve_arguments(...)
    check_text("add_pr_curve", "tag", tag)
    labels = parts.tensor_of("add_pr_curve", "labels", labels)
    predictions = parts.tensor_of("add_pr_curve", "predictions", predictions)
    if labels:numel() ~= predictions:numel() then
      vm.raise("shape", ("SummaryWriter.add_pr_curve: labels and predictions must be as many, got %d and %d")
        :format(labels:numel(), predictions:numel()))
    end
    if math.type(thresholds) ~= "integer" or thresholds < 2 then
      vm.raise("usage", "SummaryWriter.add_pr_curve: num_thresholds must be an integer of 2 or more, got "
        .. vm.describe(thresholds))
    end
    local rows = plugins.count_curve(labels, predictions, thresholds, weights)
    add(self, plugins.pr_curve(tag, rows, thresholds), step, walltime)
  end

  local raw_curve_arguments = signature("SummaryWriter.add_pr_curve_raw", "tag, true_positive_counts, false_positive_counts, "
    .. "true_negative_counts, false_negative_counts, precision, recall, global_step=nil, num_thresholds=127, "
    .. "weights=nil, walltime=nil")

  --- Adds precision and recall that are computed already, each a value for each threshold.
  ---@param tag string
  ---@param true_positive_counts Tensor|number[]
  ---@param false_positive_counts Tensor|number[]
  ---@param true_negative_counts Tensor|number[]
  ---@param false_negative_counts Tensor|number[]
  ---@param precision Tensor|number[]
  ---@param recall Tensor|number[]
  ---@param global_step? integer
  ---@param num_thresholds? integer 127
  ---@param weights? any no effect
  ---@param walltime? number
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_pr_curve_raw("few", {2, 1}, {1, 0}, {0, 1}, {0, 1}, {2 / 3, 1}, {1, 0.5}, 0, {num_thresholds = 2})
  function SummaryWriter:add_pr_curve_raw(...)
    local tag, tp, fp, tn, fn, precision, recall, step, thresholds, _, walltime = raw_curve_arguments(...)
    check_text("add_pr_curve_raw", "tag", tag)
    add(self, plugins.pr_curve(tag, {tp, fp, tn, fn, precision, recall}, thresholds), step, walltime)
  end

  --- Adds charts that show several curves: {category = {title = {"Multiline", tags} or {"Margin", {value, lower, upper}}}}.
  --- Once for each writer.
  ---@param layout table
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_custom_scalars {losses = {both = {"Multiline", {"loss/train", "loss/valid"}}}}
  function SummaryWriter:add_custom_scalars(layout)
    check_table("add_custom_scalars", "layout", layout)
    add(self, plugins.custom_scalars(layout))
  end

  local chart_arguments = signature("SummaryWriter.add_custom_scalars_multilinechart", "tags, category='default', title='untitled'")

  --- Adds one chart of several curves.
  ---@param tags string[]
  ---@param category? string "default"
  ---@param title? string "untitled"
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_custom_scalars_multilinechart({"loss/train", "loss/valid"}, "losses", "both")
  function SummaryWriter:add_custom_scalars_multilinechart(...)
    local tags, category, title = chart_arguments(...)
    check_table("add_custom_scalars_multilinechart", "tags", tags)
    add(self, plugins.custom_scalars {[category] = {[title] = {"Multiline", tags}}})
  end

  --- Adds one chart of a curve with its lower and upper bound.
  ---@param tags string[] three
  ---@param category? string "default"
  ---@param title? string "untitled"
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_custom_scalars_marginchart({"loss/mean", "loss/least", "loss/most"})
  function SummaryWriter:add_custom_scalars_marginchart(...)
    local tags, category, title = chart_arguments(...)
    check_table("add_custom_scalars_marginchart", "tags", tags)
    add(self, plugins.custom_scalars {[category] = {[title] = {"Margin", tags}}})
  end

  local mesh_arguments = signature("SummaryWriter.add_mesh",
    "tag, vertices, colors=nil, faces=nil, config_dict=nil, global_step=nil, walltime=nil")

  --- Adds a mesh or a cloud of points.
  ---@param tag string
  ---@param vertices Tensor [batch, n, 3]
  ---@param colors? Tensor [batch, n, 3]
  ---@param faces? Tensor [batch, n, 3] indices of vertices
  ---@param config_dict? table of three.js
  ---@param global_step? integer
  ---@param walltime? number
  ---@example local writer <close> = torch.utils.tensorboard.SummaryWriter(os.tmpname() .. ".d")
  --- writer:add_mesh("cloud", torch.rand(1, 100, 3), {global_step = 0})
  function SummaryWriter:add_mesh(...)
    local tag, vertices, colors, faces, config, step, walltime = mesh_arguments(...)
    check_text("add_mesh", "tag", tag)
    if config ~= nil then check_table("add_mesh", "config_dict", config) end
    add(self, plugins.mesh(tag, {vertices = vertices, colors = colors, faces = faces}, config), step, walltime)
  end
end
