-- Help: names are found, shown and corrected.
local test = require "test"
local host = require "host"
local names = require "host.help.names"
local torch = require "torch"

local function text(what) return host.help.text(what) end

-- Namespaces and constants whose value here is nothing: listed all the same.
local ABSENT <const> = {}

test.case("every name that a namespace lists is there", function()
  local missing = {}
  for _, path in ipairs {"torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.linalg", "torch.fft",
    "torch.special", "torch.optim", "torch.utils", "torch.utils.data", "train", "train.metrics", "mlflow", "host"} do
    for _, name in ipairs(names.of((names.find(path)))) do
      if names.find(path .. "." .. name) == nil and not ABSENT[path .. "." .. name] then missing[#missing + 1] = path .. "." .. name end
    end
  end
  test.equal(missing, {})
end)

test.case("shows the signatures of an operator, its sentence and PyTorch's page", function()
  local shown = text(torch.add)
  test.truthy(shown:find("Adds `other`", 1, true))
  test.truthy(shown:find("torch.add(input: Tensor|number, other: Tensor|number, {alpha: number = 1, out?: Tensor}) -> Tensor",
    1, true))
  test.truthy(shown:find("x:add(other: Tensor|number, {alpha: number = 1}) -> Tensor", 1, true))
  test.truthy(shown:find("x:add_(", 1, true))
  test.truthy(shown:find("\n  x + y\n", 1, true))
  test.truthy(shown:find("https://docs.pytorch.org/docs/stable/generated/torch.add.html", 1, true))
  test.equal(text "torch.add", shown)
end)

test.case("names what differs from Python: rep, end_, varargs, lists that begin at 1", function()
  test.truthy(text "Tensor.rep":find("PyTorch's name is `repeat`", 1, true))
  test.truthy(text "torch.arange":find("end_: number", 1, true))
  test.truthy(text "torch.arange":find("`end` is `end_`", 1, true))
  test.truthy(text "torch.zeros":find("size...: integer[]", 1, true))
  test.truthy(text "torch.chunk":find("begins at 1", 1, true))
  test.truthy(text "torch.max":find("values: Tensor, indices: Tensor", 1, true) or text "torch.max":find("-> values: Tensor,", 1, true))
end)

test.case("finds a value by itself and by each of its names", function()
  test.equal(text "nn.Linear", text(torch.nn.Linear))
  test.equal(text "nn.Linear", text "torch.nn.Linear")
  test.equal(text(torch.linalg.norm), text "torch.linalg.norm")
  test.equal(text "F.relu", text(torch.nn.functional.relu))
  test.equal(text(torch.ones(2).sum), text "torch.Tensor.sum")
  test.equal(text "Tensor:sum", text "torch.Tensor.sum")
end)

test.case("takes an object for its class", function()
  test.equal(text(torch.ones(2)), text "torch.Tensor")
  test.equal(text(torch.nn.Linear(2, 3)), text "nn.Linear")
  test.equal(text(torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 1})), text "torch.optim.SGD")
end)

test.case("shows parameters with their types and defaults", function()
  local shown = text "nn.Linear"
  test.truthy(shown:find("torch.nn.Linear(in_features, out_features, bias = true", 1, true))
  test.truthy(shown:find("bias boolean", 1, true))
  test.truthy(shown:find("reset_parameters  Draws the parameters anew", 1, true))
  test.truthy(text "F.dropout":find("p = 0.5", 1, true))
  test.truthy(text "torch.optim.AdamW":find("betas = {0.9, 0.999}", 1, true))
end)

test.case("shows methods of objects that functions make", function()
  test.truthy(text "torch.utils.data.DataLoader":find(":enumerate", 1, true))
  test.truthy(text "DataLoader.iter":find("for x, y in loader:iter() do", 1, true))
  test.truthy(text "Run.log_metric":find("Run:log_metric(key, value, step?)", 1, true))
end)

test.case("shows native functions, attributes and constants", function()
  test.truthy(text "torch.no_grad":find("Runs fn(...) without recording", 1, true))
  test.truthy(text "Tensor.shape":find("attribute, integer[]", 1, true))
  test.truthy(text "torch.pi":find("3.14159", 1, true))
  test.truthy(text "torch.float32":find("torch.float32", 1, true))
end)

test.case("a function of the script shows the comment above it", function()
  -- Twice its argument.
  local function twice(x) return 2 * x end
  test.truthy(text(twice):find("Twice its argument.", 1, true))
end)

test.case("a name that is not there is a usage error with the nearest ones", function()
  local err = test.raises("torch has no 'ad'", text, "torch.ad")
  test.equal(err.kind, "usage")
  test.truthy(err.hint:find("torch.add", 1, true))
  test.truthy(test.raises("there is no 'relu'", text, "relu").hint:find("torch.nn.functional.relu", 1, true))
  test.truthy(test.raises("torch.nn has no 'Liner'", text, "nn.Liner").hint:find("torch.nn.Linear", 1, true))
end)

test.case("an example keeps its lines", function()
  local shown = text "torch.save"
  test.truthy(shown:find("  Example:\n    local path = ", 1, true))
  test.truthy(shown:find("\n    torch.load(path).step  --> 3", 1, true))
end)

test.case("docstrings: types with spaces, defaults at the end, what goes on in the next line", function()
  local docstring = require "host.help.docstring"
  local doc = docstring.read {
    " Does it.", "", " And more.", "@param f fun(a: integer, b?: string): Tensor what is called",
    "@param t table<string, Tensor|number> by name,", " on two lines", "@param p? number probability, 0.5",
    "@return Tensor[] of the shape", "@source torch.add",
  }
  test.equal(doc.text, "Does it.\n\nAnd more.")
  test.equal(docstring.sentence(doc.text), "Does it.")
  test.equal(doc.params[1].type, "fun(a: integer, b?: string): Tensor")
  test.equal(doc.params[2].type, "table<string, Tensor|number>")
  test.equal(doc.params[2].text, "by name, on two lines")
  test.equal({doc.params[3].text, doc.params[3].default, doc.params[3].optional}, {"probability", "0.5", true})
  test.equal(doc.returns[1].type, "Tensor[]")
  test.equal(doc.source, "torch.add")
end)

test.case("the default of a loss's reduction is the one that it has", function()
  local a, b, c, sign = torch.rand(3, 4), torch.rand(3, 4), torch.rand(3, 4), torch.tensor {1., -1., 1.}
  local lengths = {torch.full({4}, 3, {dtype = torch.int64}), torch.full({4}, 2, {dtype = torch.int64})}
  local losses = {
    binary_cross_entropy_with_logits = {a, b}, kl_div = {a, b}, hinge_embedding_loss = {a, b:sign()},
    margin_ranking_loss = {a, b, a:sign()}, triplet_margin_loss = {a, b, c}, cosine_embedding_loss = {a, b, sign},
    ctc_loss = {torch.rand(3, 4, 5):log_softmax(-1), torch.ones(4, 2, {dtype = torch.int64}), table.unpack(lengths)},
  }
  local operators = require "host.help.operators"
  for name, arguments in pairs(losses) do
    local told
    for _, call in ipairs(operators.calls("aten::" .. name, false)) do
      for _, param in ipairs(call.positional) do
        if param.name == "reduction" then told = math.tointeger(tonumber(param.default)) end
      end
    end
    local f = torch[name]
    local ours = {table.unpack(arguments)}
    ours[#ours + 1] = {reduction = told}
    test.equal(f(table.unpack(ours)):tolist(), f(table.unpack(arguments)):tolist(), name)
  end
end)

test.case("what only reads the arguments of another function has the comment of that one", function()
  local comments = require "host.help.comments"
  local graph = torch.autograd.graph
  test.equal(comments.of_function(graph.get_gradient_edge).name, "graph.get_gradient_edge")
  test.equal(comments.of_function(torch.autograd.Variable).file, "torch/autograd/init.lua")
end)

test.case("what is no name is none, and what is left out says why", function()
  for _, name in ipairs {"", ".", "...", "torch.", ".add", "torch..add"} do
    test.raises("there is no '" .. name:gsub("%p", "%%%0") .. "'", text, name)
  end
  test.raises("torch has no 'jit' %(TorchScript", text, "torch.jit")
  test.raises("torch has no 'bitt' %(did you mean torch.bit", text, "torch.bitt")
end)

test.case("repeat is a keyword: it is rep everywhere", function()
  for _, name in ipairs {"torch.Tensor.repeat", "Tensor.rep"} do
    test.truthy(text(name):find("x:rep(", 1, true) and not text(name):find("x:repeat(", 1, true))
  end
  test.raises("did you mean 'rep'", function() return torch.ones(1).repeatt end)
end)

test.case("what is in a namespace is no method", function()
  test.truthy(not text("torch.linalg.norm"):find("x:linalg_norm", 1, true))
  for _, name in ipairs {"linalg_norm", "fft_fft", "special_erf"} do
    test.raises("a Tensor has no method or attribute '" .. name .. "'", function() return torch.ones(1)[name] end)
    for _, each in ipairs(names.of_tensor()) do test.truthy(each ~= name) end
  end
  test.equal(torch.linalg.norm(torch.tensor {3.0, 4.0}):item(), 5.0)
end)

test.case("mlflow.callback shows its options", function()
  test.truthy(text "mlflow.callback":find("log_checkpoints = true", 1, true))
  test.equal(text(require("mlflow").callback), text "mlflow.callback")
end)
