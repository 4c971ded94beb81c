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
  function exchange.tensor(offset, bytes, dtype, shape)
    if bytes == 0 then return torch.empty(shape, {dtype = dtype}) end
    return input[{torch.slice(offset, offset + bytes)}]:clone():view(dtype):reshape(shape)
  end

  local escapes = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r"}
  local function quote(text)
    text = text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end)
    return '"' .. text .. '"'
  end

  local function is_tensor(value) return type(value) == "userdata" and getmetatable(value) ~= nil and pcall(torch.numel, value) end

  local encode
  local function encode_tensor(x)
    x = x:detach()
    local shape = {}
    for i, size in ipairs(x.shape) do shape[i] = ("%d"):format(size) end
    local bytes = x:numel() * x:element_size()
    local at = written
    if bytes > 0 then
      local flat = x:resolve_conj():resolve_neg():clone({memory_format = torch.contiguous_format}):flatten():view(torch.uint8)
      output[{torch.slice(at, at + bytes)}] = flat
      written = (written + bytes + 63) // 64 * 64
    end
    return ('{"dtype":%s,"shape":[%s],"offset":%d,"bytes":%d}'):format(
      quote(tostring(x.dtype)), table.concat(shape, ","), at, bytes)
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
    if is_tensor(value) then return encode_tensor(value) end
    return quote(tostring(value))
  end

  -- Runs body() and reports all it returns, or its error.
  function exchange.case(name, body)
    local results = table.pack(pcall(body))
    local line
    if results[1] then
      local ok, text = pcall(encode_list, {table.unpack(results, 2, results.n)}, results.n - 1)
      line = ok and '"values":' .. text or '"error":' .. quote("result: " .. tostring(text))
    else
      local failure = results[2]
      local ok, message = pcall(function() return failure.message end)
      line = '"error":' .. quote(ok and message or tostring(failure))
    end
    report:write('{"name":', quote(name), ",", line, "}\n")
    report:flush()
  end

  -- PyTorch's function by its dotted name: "linalg.norm", "nn.functional.conv2d", or Tensor's method "view".
  function exchange.find(name)
    local value = torch
    for part in name:gmatch("[^.]+") do
      local ok, found = pcall(function() return value[part] end)
      value = ok and found or nil
      if value == nil then break end
    end
    if value ~= nil then return value end
    if name:find("%.") then error("torch has no " .. name) end
    return function(x, ...) return x[name](x, ...) end
  end

  -- The gradients of `inputs` for the results of body(): each result is weighted by a ramp, so that its elements
  -- count differently. Returns the results first, then one gradient an input.
  function exchange.with_gradients(inputs, body)
    for _, x in ipairs(inputs) do x:requires_grad_() end
    local results = table.pack(body())
    local outputs, weights = {}, {}
    local function collect(value)
      if type(value) == "table" then
        for i = 1, #value do collect(value[i]) end
      elseif is_tensor(value) and value.requires_grad then
        local real = torch.is_complex(value) and torch.view_as_real(value) or value
        outputs[#outputs + 1] = real
        weights[#weights + 1] = torch.linspace(0.5, 1.5, real:numel(), {dtype = real.dtype}):reshape(real.shape)
      end
    end
    for i = 1, results.n do collect(results[i]) end
    if #outputs == 0 then return table.unpack(results, 1, results.n) end
    local gradients = torch.autograd.grad(outputs, inputs, {grad_outputs = weights, allow_unused = true})
    for i = 1, #inputs do results[results.n + i] = gradients[i] end
    return table.unpack(results, 1, results.n + #inputs)
  end

  return exchange
end
