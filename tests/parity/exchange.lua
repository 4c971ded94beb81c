-- The Lua side of a parity test: tensors come from one file of bytes, what the cases return goes to another, and
-- a line of JSON tells where. Loaded by the scripts that exchange.py writes.
local torch = require "torch"

return function(input_path, input_bytes, output_path, output_bytes, report_path)
  local input = input_bytes > 0 and torch.from_file(input_path, false, input_bytes, {dtype = torch.uint8})
  local output = torch.from_file(output_path, true, output_bytes, {dtype = torch.uint8})
  local report = assert(io.open(report_path, "w"))
  local written = 0
  local exchange = {}

  -- A tensor of its own, so that no case sees what another did to it.
  function exchange.tensor(offset, bytes, dtype, shape, strides, storage_offset)
    if bytes == 0 then
      local x = torch.empty(shape, {dtype = dtype})
      return strides and x:as_strided(shape, strides, storage_offset) or x
    end
    local x = input[{torch.slice(offset, offset + bytes)}]:clone():view(dtype)
    x = strides and x:as_strided(shape, strides, storage_offset) or x:reshape(shape)
    return x.data -- a tensor of its own and no view
  end

  -- Python's random numbers begin at the same place: see trace.py.
  function exchange.seed() torch.manual_seed(5) end

  local escapes = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r"}
  local function quote(text)
    text = text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end)
    return '"' .. text .. '"'
  end

  local function is_tensor(value) return type(value) == "userdata" and getmetatable(value) ~= nil and pcall(torch.numel, value) end
  local function is_complex(value) return type(value) == "userdata" and getmetatable(value) == "complex" end

  local encode, encode_tensor

  local function encode_sparse(x, layout)
    local aten = torch.ops.aten
    local parts
    if layout == "torch.sparse_coo" then
      parts = {aten._indices(x), aten._values(x)}
    elseif layout == "torch.sparse_csr" or layout == "torch.sparse_bsr" then
      parts = {aten.crow_indices(x), aten.col_indices(x), aten.values(x)}
    else
      parts = {aten.ccol_indices(x), aten.row_indices(x), aten.values(x)}
    end
    local coalesced = layout == "torch.sparse_coo" and x:is_coalesced()
    for i, part in ipairs(parts) do parts[i] = encode_tensor(part) end
    return ('{"layout":%s,"coalesced":%s,"shape":[%s],"parts":[%s]}'):format(
      quote(layout), coalesced, table.concat(x.shape, ","), table.concat(parts, ","))
  end

  function encode_tensor(x)
    local takes_gradient = x.requires_grad
    x = x:detach()
    local layout = tostring(x.layout)
    if layout ~= "torch.strided" then return encode_sparse(x, layout) end
    local bytes = x:numel() * x:element_size()
    local at = written
    if bytes > 0 then
      local flat = x:resolve_conj():resolve_neg():clone({memory_format = torch.contiguous_format}):flatten():view(torch.uint8)
      output[{torch.slice(at, at + bytes)}] = flat
      written = (written + bytes + 63) // 64 * 64
    end
    return ('{"dtype":%s,"shape":[%s],"strides":[%s],"grad":%s,"offset":%d,"bytes":%d}'):format(quote(tostring(x.dtype)),
      table.concat(x.shape, ","), table.concat(x:stride(), ","), takes_gradient, at, bytes)
  end

  local function encode_list(values, count)
    local parts = {}
    for i = 1, count do parts[i] = encode(values[i]) end
    return "[" .. table.concat(parts, ",") .. "]"
  end

  -- Numbers go as text: JSON has neither nan nor exact floats.
  function encode(value)
    local kind = type(value)
    if value == nil then return "null" end
    if kind == "boolean" then return tostring(value) end
    if kind == "string" then return quote(value) end
    if math.type(value) == "integer" then return ('{"integer":"%d"}'):format(value) end
    if kind == "number" then return ('{"float":"%a"}'):format(value) end
    if kind == "table" then return encode_list(value, #value) end
    if is_complex(value) then return ('{"complex":["%a","%a"]}'):format(value.real, value.imag) end
    if is_tensor(value) then return encode_tensor(value) end
    return quote(tostring(value))
  end

  -- Runs the statements of `text` and reports all they return, or their error.
  function exchange.case(name, text)
    local body, reason = load("local X, torch = ...\n" .. text, "=" .. name)
    local results = table.pack(pcall(body or error, body and exchange or reason, torch))
    local line
    if results[1] then
      local ok, values = pcall(encode_list, {table.unpack(results, 2, results.n)}, results.n - 1)
      line = ok and '"values":' .. values or '"error":' .. quote("result: " .. tostring(values))
    else
      local failure = results[2]
      local ok, message, kind, class = pcall(function() return failure.message, failure.kind, failure.type end)
      line = ('"error":%s,"kind":%s,"type":%s'):format(quote(ok and message or tostring(failure)), quote(ok and kind or ""),
        quote(ok and class or ""))
    end
    report:write('{"name":', quote(name), ",", line, "}\n")
    report:flush()
  end

  local function collect(list, value)
    if type(value) == "table" then
      for i = 1, #value do collect(list, value[i]) end
    else
      list.n = list.n + 1
      list[list.n] = value
    end
    return list
  end

  -- All that a call returned, tables flattened.
  function exchange.leaves(...)
    local list = {n = 0}
    for i = 1, select("#", ...) do collect(list, (select(i, ...))) end
    return list
  end

  -- The gradients of `inputs` for what requires one among `values`: each is weighted by a ramp, so that its elements
  -- count differently.
  local function gradients_of(values, inputs, create_graph)
    local outputs, weights = {}, {}
    for i = 1, values.n do
      local value = values[i]
      if is_tensor(value) and value.requires_grad then
        local real = torch.is_complex(value) and torch.view_as_real(value:resolve_conj()) or value
        outputs[#outputs + 1] = real
        weights[#weights + 1] = torch.linspace(0.5, 1.5, real:numel(), {dtype = real.dtype}):reshape(real.shape)
      end
    end
    if #outputs == 0 then return end
    return torch.autograd.grad(outputs, inputs, {grad_outputs = weights, allow_unused = true, create_graph = create_graph})
  end

  -- What body() returns, then its gradients for `inputs` (order 1), then the gradients of these (order 2).
  function exchange.with_gradients(inputs, order, body)
    for _, x in ipairs(inputs) do x:requires_grad_() end
    local results = exchange.leaves(body())
    local count, current = results.n, results
    for level = 1, order do
      local gradients = gradients_of(current, inputs, order == 2)
      if not gradients then break end
      current = {n = #inputs}
      for i = 1, #inputs do current[i], results[count + i] = gradients[i], gradients[i] end
      count = count + #inputs
    end
    return table.unpack(results, 1, count)
  end

  -- The names of a module's state dict, then its values.
  local function add_state(out, module)
    local names = {}
    local at = out.n + 1
    out.n = at
    for name, value in pairs(module:state_dict()) do
      names[#names + 1] = name
      if not torch.nn.parameter.is_lazy(value) then
        out.n = out.n + 1
        out[out.n] = value:clone()
      end
    end
    out[at] = table.concat(names, " ")
  end

  -- What is compared of a module: its text, the fields of these names, its state, what forward() gives, the gradients of
  -- the inputs and parameters, its state again.
  function exchange.module(module, fields, inputs, order, forward)
    local out = {n = 1}
    for _, name in ipairs(fields) do
      out.n = out.n + 1
      out[out.n] = module[name]
    end
    add_state(out, module)
    local taken = table.move(inputs, 1, #inputs, 1, {})
    for _, parameter in ipairs(module:parameters()) do
      if parameter.requires_grad then taken[#taken + 1] = parameter end
    end
    local results = forward and table.pack(exchange.with_gradients(taken, order, function()
      exchange.seed()
      return forward()
    end)) or {n = 0}
    table.move(results, 1, results.n, out.n + 1, out)
    out.n = out.n + results.n
    add_state(out, module)
    out[1] = tostring(module)
    return table.unpack(out, 1, out.n)
  end

  -- A module with this state.
  function exchange.loaded(module, state)
    module:load_state_dict(state)
    return module
  end

  return exchange
end
