-- trainhost check: what it finds in a text, and that it finds nothing in texts that are right.
local check = require "train.check"
local describe <const> = require("host.check").describe
local host = require "host"
local test = require "test"

local HEAD <const> = 'local torch, train, mlflow = require "torch", require "train", require "mlflow"\n'
  .. "local nn, F = torch.nn, torch.nn.functional\nlocal x = torch.randn(3)\nprint(nn, F, x, train, mlflow)\n"

-- The findings of a text below the head, without their lines.
local function found(text)
  local texts = {}
  for i, finding in ipairs(check(HEAD .. text, "script.lua")) do
    test.equal(finding.line, 5, finding.message)
    texts[i] = describe(finding)
  end
  return texts
end

test.case("syntax, and PyTorch's names that are words of Lua", function()
  test.equal(found "local y = x:repeat(2, 2)", {"'repeat' is a word of Lua; Tensor.repeat is x:rep(2, 2)"})
  test.equal(found "torch.arange{start = 0, end = 3}",
    {"'end' is a word of Lua; the keyword argument is end_ = ... or [\"end\"] = ..."})
  test.equal(found "if x then", {"'end' expected near <eof>"})
  test.equal(found "print(('x'):rep(3)) repeat break until true", {})
end)

test.case("globals that nobody sets, and those set by mistake", function()
  test.equal(found "prnit(1)", {"unknown global 'prnit'; did you mean 'print'?"})
  test.equal(found "host.exit(1)", {"unknown global 'host'; local host = require \"host\""})
  test.equal(found "total = 1 print(total)", {"'total' is a global: `local` is missing"})
  test.equal(found "function f() end f()", {"'f' is a global: `local` is missing"})
  test.equal(found "for i = 1, 3 do print(i, arg[i], _VERSION, utf8.char(65)) end", {})
  test.equal(found "do local inner = 1 print(inner) end print(inner)", {"unknown global 'inner'; the local of that name is not seen here"})
  test.equal(found "repeat local done = true until done", {})
  test.equal(found "goto over ::over:: local t = {[1] = 2, a = 3; 4} print(t.a, -t[1] ^ 2, #t, not t, 0x1p4, 1e-3, 3 // 2)", {})
end)

test.case("variables and functions that are never read", function()
  test.equal(found "local a = 1", {"unused variable 'a'"})
  test.equal(found "local a a = 1", {"unused variable 'a'"})
  test.equal(found "local function f() end", {"unused function 'f'"})
  test.equal(found "local _a, b = 1, 2 print(b) for i in pairs({}) do end local function g(unused) end g()", {})
  test.equal(found "local run <close> = nil", {})
end)

test.case("names that torch, train, mlflow and host do not have", function()
  test.equal(found "nn.Liner(2, 3)", {"torch.nn has no 'Liner'; did you mean 'Linear'?"})
  test.equal(found "print(train.EarlyStoping)", {"train has no 'EarlyStoping'; did you mean 'EarlyStopping'?"})
  test.equal(found "mlflow.log_metrc('a', 1)", {"mlflow has no 'log_metrc'; did you mean 'log_metric'?"})
  test.equal(found "print(torch.utils.data.DataLoder)",
    {"torch.utils.data has no 'DataLoder'; did you mean 'DataLoader'?"})
  test.equal(found "print(require('host').fiel)", {"host has no 'fiel'; did you mean 'file'?"})
  test.equal(found "torch.mine = 1 nn.Linear.x = 2 print(pcall(function() return torch.nope end))", {})
  test.equal(found "local n = nn if x then n = {} end print(n.whatever)", {})
end)

test.case("a tensor as a condition", function()
  local function always(word, what) return {("a tensor under '%s' is always true; add :item() to %s"):format(word, what)} end
  test.equal(found "if x:gt(0) then end", always("if", ":gt(...)"))
  test.equal(found "if false then elseif torch.any(x) then end", always("elseif", "any(...)"))
  test.equal(found "while (x:isnan()) do end", always("while", ":isnan(...)"))
  test.equal(found "repeat until x:sum()", always("until", ":sum(...)"))
  test.equal(found "print(not x:any())", always("not", ":any(...)"))
  test.equal(found "print(x:any() and 1 or 2)", always("and", ":any(...)"))
  test.equal(found "print(x:any() or 2)", always("or", ":any(...)"))
  test.equal(found "if print and x:max():isnan() then end", always("if", ":isnan(...)"))
  test.equal(found "if F.relu(x) then end", always("if", "relu(...)"))
  test.equal(found [[if x:any():item() or torch.equal(x, x) or x:sum():item() > 3 or x:is_floating_point() then end
    ]], {})
  test.equal(found "local y = print and torch.zeros(2) or x print(y or torch.zeros(3))", {})
  test.equal(found "local s = 'a' if s:sub(1) or string.rep('a', 2) or math.max(1, 2) then end", {})
  test.equal(found "local queue = setmetatable({}, {}) if queue:any() or queue.list:max() then end", {})
end)

-- The findings of a train.fit with these arguments beside what it cannot do without.
local function of_fit(more)
  return found("train.fit{model = x, optimizer = 'sgd', loss = 'mse', train = x, epochs = 2, " .. more .. "}")
end

test.case("logs that a callback finds out of the training are not unknown", function()
  for _, text in ipairs {"train.GradientMonitor{}, train.EarlyStopping{monitor = 'grad_norm/0', mode = 'min'}",
    "train.LearningRateMonitor{}, train.EarlyStopping{monitor = 'learning_rate/group1', mode = 'min'}",
    "train.MemoryMonitor{}, train.EarlyStopping{monitor = 'memory_cuda', mode = 'min'}",
    "{check = print, on_epoch_end = print}, train.EarlyStopping{monitor = 'mine', mode = 'min'}"} do
    test.equal(of_fit("callbacks = {" .. text .. "}"), {}, text)
  end
end)

test.case("monitors and options of callbacks that are written out", function()
  local fit = "valid = x, metrics = {accuracy = train.metrics.Accuracy()}, callbacks = {%s}"
  test.equal(of_fit(fit:format "train.EarlyStopping{monitor = 'val_acc'}"),
    {"unknown monitor 'val_acc'; did you mean 'val_accuracy'? valid: loss, accuracy, val_loss, val_accuracy"})
  test.equal(found("local stop = train.EarlyStopping{monitor = 'vl_loss'} train.fit{model = x, optimizer = x, loss = x, train = x, "
    .. "epochs = 1, " .. fit:format "stop" .. "}"),
    {"unknown monitor 'vl_loss'; did you mean 'val_loss'? valid: loss, accuracy, val_loss, val_accuracy"})
  test.equal(of_fit(fit:format "train.EarlyStopping{monitor = 'val_accuracy'}, train.ModelCheckpoint{filepath = 'x'}"), {})
  test.equal(of_fit(fit:format "train.EarlyStopping{monitor = 'mine', mode = 'min'}, {writes = {'mine'}, on_epoch_end = print}"), {})
  local mine = "train.EarlyStopping{monitor = 'mine', mode = 'min'}, "
  test.equal(of_fit(fit:format(mine .. "train.on('epoch_end', {writes = {'mine'}}, print)")), {})
  test.equal(of_fit(fit:format "train.EarlyStopping{monitor = 'mine', mode = 'min'}, train.on('epoch_end', print)"),
    {"unknown monitor 'mine'; valid: loss, accuracy, val_loss, val_accuracy"})
  test.equal(of_fit(fit:format "train.EarlyStopping{monitor = 'mine', mode = 'min'}, print()"), {})
  test.equal(of_fit(fit:format "train.EarlyStopping{monitor = 'samples_per_second', mode = 'max'}, train.Throughput()"), {})
  test.equal(of_fit "callbacks = {train.EarlyStopping{patience = 3}}",
    {"monitor 'val_loss', but the fit has no validation data; valid = loader, or monitor = \"loss\""})
  test.equal(of_fit "callbacks = {train.ReduceLROnPlateau{monitor = 'learning_rate', mode = 'min'}}", {})
  test.truthy(found "print(train.EarlyStopping{patiens = 3})"[1]:find("unknown keyword string \"patiens\".*did you mean 'patience'"))
  test.truthy(found "print(train.ReduceLROnPlateau{factor = -1})"[1]:find("factor must be a number of 0 or more"))
end)

-- The one finding of a text begins, or holds, this.
local function finds(texts, part)
  test.equal(#texts, 1, table.concat(texts, "\n"))
  test.truthy(texts[1]:find(part, 1, true), texts[1])
end

test.case("keywords that a call of train does not have", function()
  finds(of_fit "batchsize = 3", "train.fit: unknown keyword string \"batchsize\"")
  finds(of_fit "batchsize = 3", "did you mean 'batch_size'?")
  finds(found "train.evaluate{model = x, data = x, loss = x, metric = {}}", "did you mean 'metrics'?")
  finds(found "train.predict{modle = x, data = x}", "did you mean 'model'?")
  finds(found "train.state{callback = {}}", "did you mean 'callbacks'?")
  finds(found "print(train.EarlyStopping{monitor = x, patiense = x})", "did you mean 'patience'?")
  finds(found "print(train.metrics.F1{averag = 'macro'})", "did you mean 'average'?")
  finds(found "print(train.ModelCheckpoint{monitor = arg.y})", "keyword 'filepath' is required")
  test.equal(found "local more = {} train.fit(more) print(train.callback_list{{on_epoch_end = print}})", {})
end)

test.case("what a train.fit cannot do without", function()
  finds(found "train.fit{model = x, optimizer = x, loss = x, train = x}", "the training has no bound")
  finds(found "train.fit{model = x, optimizer = x, loss = x, epochs = 1}", "keyword 'train' is required")
  finds(found "train.fit{model = x, loss = x, train = x, max_steps = 1}", "keyword 'optimizer' is required")
  finds(found "train.fit{model = x, optimizer = x, train = x, max_time = 1}", "keyword 'loss' is required")
  test.equal(found "train.fit{step = print, train = x, epochs = 1} pcall(train.fit, {train = x})", {})
end)

test.case("names of losses, optimizers and metrics", function()
  local fit = "train.fit{model = x, optimizer = '%s', loss = '%s', train = x, epochs = 1, metrics = {'%s'}}"
  test.equal(found(fit:format("AdamW", "cross_entropy", "accuracy")), {})
  finds(found(fit:format("adamm", "mse", "mae")), "unknown optimizer 'adamm'; did you mean 'adam'?")
  finds(found(fit:format("sgd", "cross_entrpy", "mae")), "unknown loss 'cross_entrpy'; did you mean 'cross_entropy'?")
  finds(found(fit:format("sgd", "mse", "acuracy")), "unknown metric 'acuracy'; did you mean 'accuracy'?")
  finds(found "local loss = 'crossentropy' train.evaluate{model = x, data = x, loss = loss}", "unknown loss 'crossentropy'")
end)

test.case("misspelt hooks of tables, methods and train.on", function()
  finds(found "print({on_epoch_ends = function() end})", "unknown hook 'on_epoch_ends'; did you mean 'on_epoch_end'?")
  finds(found "print({on_epoch_end = print, on_nothing_at_all = function() end})", "unknown hook 'on_nothing_at_all'; valid: ")
  finds(found "local C = {} function C:on_train_begn() end print(C)", "did you mean 'on_train_begin'?")
  finds(found "local C = {} function C.on_batch_end() end function C.on_x() end print(C)", "unknown hook 'on_x'")
  finds(found "train.on('epoch_ends', print)", "train.on: unknown event 'epoch_ends'; did you mean 'epoch_end'?")
  test.equal(found "print({on_click = print}, {on_test_end = print, on_train_batch_begin = print}) train.on('on_test_end', print)", {})
end)

test.case("arguments of train.fit that are written out, each told of", function()
  local texts = of_fit "clip_grad_norm = -1, seed = 3, validation_split = 0.5, metrics = {f1 = train.metrics.F1, train.metrics.Accuracy}"
  test.equal(#texts, 3, table.concat(texts, "\n"))
  finds({texts[1]}, "clip_grad_norm must be a number above 0, got number -1")
  finds({texts[2]}, "metric 'f1' is the class F1, expected a metric; call the class: train.metrics.F1()")
  finds({texts[3]}, "call the class: train.metrics.Accuracy()")
  finds(found "train.fit{model = x, optimizer = x, loss = x, train = x, epochs = '2'}",
    "epochs must be a whole number of 1 or more, got string \"2\"")
  finds(found "train.fit{model = x, optimizer = x, loss = nn.MSELoss, train = x, epochs = 2}", "call the class: torch.nn.MSELoss()")
  finds(found "train.fit{model = nn.Linear, optimizer = x, loss = x, train = x, epochs = 2}", "call the class: Linear(...)")
  finds(of_fit "learning_rate = 1e-3", "AdamW(model:parameters(), {lr = 1e-3})")
  finds(of_fit "callbacks = train.EarlyStopping{monitor = 'loss'}", "callbacks must be a list of callbacks")
  finds(of_fit "callbacks = {train.EarlyStopping}", "got the class EarlyStopping; call it: train.EarlyStopping{...}")
  finds(of_fit "callbacks = {function() end}", "train.on(\"epoch_end\", f)")
  test.equal(of_fit "clip_grad_norm = 1, batch_size = 7, steps_per_epoch = 500, class_weight = {[0] = 1.0, [1] = 5}", {})
end)

test.case("every mistake in the options of one callback", function()
  local texts = of_fit "callbacks = {train.EarlyStopping{monitor = 'loss', patiens = 3, min_delta = 'x', mode = 'mini', baseline = arg.y}}"
  test.equal(#texts, 3, table.concat(texts, "\n"))
  finds({texts[1]}, "did you mean 'patience'?")
  finds({texts[2]}, "min_delta must be a number, got string \"x\"")
  finds({texts[3]}, "mode must be \"auto\", \"min\" or \"max\", got string \"mini\"")
  texts = found "print(train.on('epoch_end', {evry = 2, once = -1}, x))"
  test.equal(#texts, 2, table.concat(texts, "\n"))
  finds({texts[1]}, "unknown filter 'evry'; did you mean 'every'?")
  finds({texts[2]}, "once must be")
  finds(found "print(train.CSVLogger('a.csv', {appendd = true}))", "did you mean 'append'?")
  finds(found "print(train.metrics.Accuracy{top_k = 'x'})", "top_k")
  test.equal(found "print(train.on('epoch_end', {every = '5ep', once = arg.n}, arg.f), train.on('batch_end', arg.f))", {})
end)

test.case("fields of a checkpoint's file name, and monitors without validation data", function()
  local name = "callbacks = {train.ModelCheckpoint{filepath = '%s'}}"
  finds(of_fit("valid = x, " .. name:format "out/{epoch}-{val_los:.2f}"), "unknown field '{val_los}'")
  finds(of_fit(name:format "{val_loss:.2f}"), "unknown field '{val_loss}'")
  finds(of_fit "callbacks = {train.ModelCheckpoint 'a{epochs}'}", "did you mean 'epoch'?")
  finds(of_fit "valid = x, callbacks = {train.ModelCheckpoint{filepath = '{val_loss}', save_freq = '10ba'}}", "unknown field '{val_loss}'")
  finds(of_fit(name:format "{epoch:zz}"), "bad format ':zz'")
  test.equal(of_fit("valid = x, metrics = {'mae'}, " .. name:format "{epoch:02d}-{val_mae:.3f}-{step}"), {})
  local texts = of_fit "callbacks = {train.EarlyStopping(), train.ModelCheckpoint{filepath = 'x', save_best_only = true}}"
  finds(texts, "monitor 'val_loss', but the fit has no validation data; valid = loader, or monitor = \"loss\"")
  finds(of_fit "metrics = {own = function() return 1 end}, callbacks = {train.EarlyStopping{monitor = 'own'}}",
    "the direction of monitor 'own' is unknown; give mode = \"min\" or mode = \"max\"")
  test.equal(of_fit "metrics = {own = function() return 1 end}, callbacks = {train.EarlyStopping{monitor = 'own', mode = 'max'}}", {})
  test.equal(of_fit "evaluate_train = 1, callbacks = {train.EarlyStopping{monitor = 'train_loss'}}", {})
  test.equal(of_fit "metrics = {l1_loss = function() return 1 end}, callbacks = {train.EarlyStopping{monitor = 'l1_loss'}}", {})
  test.equal(of_fit "callbacks = {train.ModelCheckpoint{filepath = 'x', monitor = 'own'}}", {})  -- it looks for no best one
  finds(of_fit "scheduler = {x, monitor = 'los'}", "unknown monitor 'los'; did you mean 'loss'?")
end)

test.case("how many parameters a hook has", function()
  finds(found "print({on_epoch_end = function(state) print(state) end})", "is called with (self, state); function(self, state)")
  finds(found "print({on_epoch_end = function(self, epoch, logs) print(epoch, logs) end})", "what Keras gives is in state")
  finds(found "local C = {} function C.on_epoch_end(state) print(state) end print(C)", "is called with (self, state)")
  finds(found "train.on('epoch_end', function(self, state) print(state) end)", "without self")
  test.equal(found "print({on_epoch_end = function(self) end, on_train_end = function() end})", {})
  test.equal(found "print(train.LambdaCallback{on_epoch_end = function(state) print(state) end})", {})
  test.equal(found "local C = {} function C:on_epoch_end(state) print(state) end print(C)", {})
end)

test.case("keywords and arguments of functions of torch", function()
  finds(found "print(torch.zeros(2, {dtyp = torch.float64}))", "torch.zeros: unknown keyword 'dtyp'; did you mean 'dtype'?")
  finds(found "print(x:sum{dims = 1})", "did you mean 'dim'?")
  finds(found "print(nn.Linear(2, 3, {biass = false}))", "torch.nn.Linear: unknown keyword 'biass'; did you mean 'bias'?")
  finds(found "print(nn.Linear(2))", "torch.nn.Linear: argument 'out_features' is missing")
  finds(found "print(nn.Linear('2', 3))", "argument 'in_features' must be integer, got string \"2\"")
  finds(found "print(nn.Dropout(0.5, true, 3))", "takes at most 2 arguments (p, inplace), got 3")
  finds(found "print(torch.optim.Adam({x}, {learning_rate = 1e-3}))",
    "torch.optim.Adam: unknown keyword 'learning_rate'; there are params, lr")
  finds(found "print(F.dropout(x, {prob = 0.5}))", "torch.nn.functional.dropout: unknown keyword 'prob'")
  finds(found "print(torch.utils.data.DataLoader(x, {batchsize = 3}))", "did you mean 'batch_size'?")
  finds(found "print(mlflow.start_run{run_nam = 'a'})", "did you mean 'run_name'?")
  finds(found "print(x:summ())", "a tensor has no method 'summ'")
  test.equal(found "print(torch.zeros{2, 3, dtype = torch.float64}, x:sum(0, {keepdims = true}), x:sum{axis = 0}, x:mean{dim = {0}})", {})
  test.equal(found "print(torch.arange(0, {end_ = 3}), nn.Linear(2, 3, {bias = false, dtype = torch.float64}), torch.zeros(2, 3))", {})
  test.equal(found "local o = {} print(nn.Linear(2, o), nn.Linear(table.unpack(o)), x:view(1, -1), x:to('cpu', {copy = true}))", {})
end)

test.case("tensors that are compared, and loops over what is no iterator", function()
  finds(found "if x > 0 then end", "tensors are not ordered by '>', which gives one boolean in Lua; x:gt(y) compares elements")
  finds(found "local y = nn.Linear(3, 3)(x) while y:sum() <= 2 do end", "x:le(y)")
  test.equal(found "if x:sum():item() > 0 or #x > 3 or x:size(0) >= 2 or x.shape[1] < 3 then end", {})
  local loader = "local loader = torch.utils.data.DataLoader(x) for a in %s do print(a) end"
  finds(found(loader:format "loader"), "a loader is no iterator; for x, y in loader:iter() do")
  finds(found(loader:format "ipairs(loader)"), "loader:enumerate()")
  finds(found "for a in ipairs(x) do print(a) end", "x:iter()")
  finds(found "local m = nn.ReLU() for p in m:parameters() do print(p) end", "for _, p in ipairs(...:parameters()) do")
  finds(found "local m = nn.ReLU() for n, p in pairs(m:named_parameters()) do print(n, p) end", "is an iterator already")
  test.equal(found(loader:format "loader:iter()"), {})
  test.equal(found "local m = nn.ReLU() for _, p in ipairs(m:parameters()) do print(p) end for i = 1, 2 do print(i) end", {})
end)

test.case("methods that an object does not have, and those called with a dot", function()
  finds(found "print(x.sum())", "sum is a method, and is called with a dot; x:sum(...)")
  finds(found "local m = nn.Linear(3, 3) m.train()", "m:train(...)")
  finds(found "local o = torch.optim.SGD({x}, {lr = 1}) o:stepp()", "torch.optim.SGD has no method 'stepp'; did you mean 'step'?")
  finds(found "local run = mlflow.start_run() run:log_metrc('a', 1)", "mlflow.Run has no method 'log_metrc'; did you mean 'log_metric'?")
  finds(found "local l = torch.utils.data.DataLoader(x) print(l:itr())", "did you mean 'iter'?")
  finds(found "print(x:shape())", "shape of a tensor is no method; x.shape")
  finds(found "print(x.lenght)", "a tensor has no 'lenght'")
  finds(found "print(x.shape[0])", "a shape is a Lua list and begins at 1")
  finds(found "print(x:transpose(1))", "torch.Tensor.transpose: argument 'dim1' is missing")
  finds(found "torch.optim.SGD(nn.ReLU(), {lr = 1})", "expected parameters, got a module")
  finds(found "print(torch.optim.SGD({x}, {lr = 'a'}))", "argument 'lr' must be number or Tensor, got string \"a\"")
  finds(found "print(torch.utils.data.DataLoader(x, {batch_size = '32'}))", "'batch_size' must be an integer, got string \"32\"")
  test.equal(found "print(x.sum(x), x.shape[1], x:size(0), x.grad, x.T, x:t(), torch.complex(1, 2):conjugate())", {})
  test.equal(found "print(torch.slice(1, 2).stop)", {})
  test.equal(found "local m = nn.Sequential(nn.ReLU()) m.own = nn.ReLU() m.own(x) m:forward(x) m:append(nn.ReLU()) print(m[0])", {})
end)

test.case("classes of modules", function()
  local class = "local Net = nn.class('Net') function Net%s() return 1 end print(Net()(x))"
  finds(found(class:format ":foward"), "'foward' is no method that a module calls; did you mean 'forward'?")
  finds(found(class:format ":__init__"), "did you mean '__init'?")
  finds(found(class:format ".forward"), "forward is defined with a dot, and has no self; function Net:forward(...)")
  test.equal(found(class:format ":forward"), {})
  test.equal(found "local Net = nn.class('Net') function Net:forward(z) return z end function Net:extra() end print(Net():extra())", {})
end)

test.case("layers that do not fit each other", function()
  finds(found "print(nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(64, 3)))",
    "nn.Linear takes 64, but nn.Linear before it gives 32")
  finds(found "print(nn.Sequential(nn.Conv2d(1, 16, 3), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3)))",
    "nn.Conv2d takes 32, but nn.Conv2d before it gives 16")
  finds(found "local n = 8 print(nn.Sequential(nn.Linear(20, n), nn.BatchNorm1d(9)))", "nn.BatchNorm1d takes 9")
  test.equal(found [[print(nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3)))]], {})
  test.equal(found "print(nn.Sequential(nn.Linear(20, 32), nn.Unflatten(1, {4, 8}), nn.Conv1d(4, 2, 3), nn.Linear(6, 2)))", {})
  test.equal(found "print(nn.Sequential(nn.Linear(20, 32), nn.GLU(), nn.Linear(16, 3), nn.PixelShuffle(2), nn.Linear(6, 2)))", {})
end)

test.case("a step, pairs, and words of other libraries", function()
  finds(of_fit "step = function(batch) return F.mse_loss(x, batch) end", "step takes (batch), and is called with (state, batch)")
  finds(of_fit "step = function(state, batch) print(state, batch) end", "step returns nothing; return loss")
  test.equal(of_fit "step = function(_, batch) return F.mse_loss(x, batch) end", {})
  local loop = "local kept = {} for name, size in pairs({a = 1, b = 2}) do kept[name] = %s end print(kept)"
  finds(found(loop:format "nn.Linear(size, 1)"), "pairs goes through names in another order in each run")
  test.equal(found(loop:format "size + 1"), {})
  finds(found "print({on_validation_end = function() end})", "unknown hook 'on_validation_end'; here it is on_valid_end")
  finds(found "if x:sum() == 0 then end", "a tensor == a number is always false; x:eq(y) compares elements")
  test.equal(found "print(x == nil, x ~= x, x == nn)", {})
end)

test.case("words of Python", function()
  finds(found "print(None)", "unknown global 'None'; it is nil")
  finds(found "if x != 3 then end", "not equal is ~=")
  finds(found "x += 1", "there is no +=")
  finds(found "print(len(x))", "#x is the length of x")
end)

test.case("each finding has its place, its hint and how bad it is", function()
  local first, second = table.unpack(check("local torch = require 'torch'\nlocal a, b = 1, torch.zeross(2) print(b)\n", "s.lua"))
  test.equal({first.line, first.column, first.message, first.hint, first.severity}, {2, 7, "unused variable 'a'", nil, "warning"})
  test.equal({second.line, second.column, second.message, second.hint, second.severity},
    {2, 23, "torch has no 'zeross'", "did you mean 'zeros'?", "error"})
end)

-- Every Lua text below a folder.
local function each(folder, visit)
  for _, name in ipairs(host.file.list(folder)) do
    local path = folder .. "/" .. name
    if host.file.is_folder(path) then each(path, visit) elseif name:find("%.lua$") then visit(path, host.file.read(path)) end
  end
end

test.case("no false alarm in the scripts, the tests, the library's own trainings and the README", function()
  local alarms, count = {}, 0
  local function visit(path, text)
    count = count + 1
    local lines = {}
    for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
    for _, finding in ipairs(check(text, path)) do
      -- What a test has refused is wrong on purpose.
      if not lines[finding.line]:find("refused%(") then
        alarms[#alarms + 1] = ("%s:%d: %s"):format(path, finding.line, describe(finding))
      end
    end
  end
  each("scripts", visit)
  each("tests", visit)
  each("stdlib/train", visit)
  for block in host.file.read("README.md"):gmatch("\n```lua\n(.-)\n```") do
    if not block:find("fashion_mnist", 1, true) then visit("README.md", block) end  -- a part of a script
  end
  test.equal(alarms, {})
  test.truthy(count > 100, count)
end)
