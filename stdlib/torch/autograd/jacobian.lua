-- torch.autograd.functional.jacobian and hessian, made from the parts of functional.lua.
local blocks_of = require "torch.func.blocks"
local func = require "torch.func"
local native = require "native.autograd"
local signature = require "torch.signature"
local vm = require "native.vm"

local joined <const>, numels <const> = blocks_of.joined, blocks_of.numels
local WHERE <const> = "torch.autograd.functional.jacobian"

-- The unit vectors of all tensors together: for each a [total, numel] matrix.
local function basis(list)
  local sizes, total = numels(list)
  local chunks, from = {}, 0
  for i, each in ipairs(list) do
    chunks[i] = each:new_zeros({total, sizes[i]})
    chunks[i]:diagonal(-from):fill_(1)
    from = from + sizes[i]
  end
  return chunks, sizes, total
end

-- result[output][input] as the caller's lists are.
local function arrange(blocks, is_outputs_list, is_inputs_list)
  if not is_inputs_list then
    for i, row in ipairs(blocks) do blocks[i] = row[1] end
  end
  return is_outputs_list and blocks or blocks[1]
end

return function(parts)
  local functional = {}

  local function forward_mode(f, inputs, strict, vectorize)
    if strict then
      vm.raise("usage", WHERE .. ': `strict=True` and `strategy="forward-mode"` are not supported together (yet). Please ' ..
        'either set `strict=False` or `strategy="reverse-mode"`.')
    end
    if not vectorize then
      vm.raise("usage", "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for " ..
        "`vectorize=True`.")
    end
    local list, is_list = parts.as_list(inputs, "inputs", "jacobian")
    local tangents, sizes = basis(list)
    local is_outputs_list, shapes
    local function outputs_of(...)
      local outputs
      outputs, is_outputs_list = parts.call(f, {...}, "jacobian")
      return outputs
    end
    local slopes = table.pack(func.vmap(function(...)
      local directions = {...}
      for i, direction in ipairs(directions) do directions[i] = direction:view_as(list[i]) end
      local values, result = func.jvp(outputs_of, list, directions)
      shapes = {}
      for i, value in ipairs(values) do shapes[i] = value.shape end
      return table.unpack(result)
    end)(table.unpack(tangents)))
    local blocks = {}
    for i = 1, slopes.n do
      blocks[i] = {}
      for k, part in ipairs(slopes[i]:split(sizes, 0)) do
        blocks[i][k] = part:movedim(0, -1):reshape(joined(shapes[i], list[k].shape))
      end
    end
    return arrange(blocks, is_outputs_list, is_list)
  end

  local function vectorized(outputs, list, create_graph)
    local torch = require "torch"
    local grads, sizes, total = basis(outputs)
    local flat = {}
    for i, output in ipairs(outputs) do flat[i] = output:reshape(-1) end
    local rows = parts.gradients(flat, list, grads, {create_graph = create_graph, is_grads_batched = true})
    local blocks = {}
    for i = 1, #outputs do blocks[i] = {} end
    for k, input in ipairs(list) do
      local row = rows[k] or torch.zeros_like(input):expand(joined({total}, input.shape))
      for i, part in ipairs(row:split(sizes, 0)) do
        blocks[i][k] = part:reshape(joined(outputs[i].shape, input.shape))
      end
    end
    return blocks
  end

  -- A backward for each element of the outputs.
  local function row_by_row(outputs, list, create_graph, strict)
    local torch = require "torch"
    local blocks = {}
    for i, output in ipairs(outputs) do
      local rows = {}
      for k = 1, #list do rows[k] = {} end
      local flat = output:reshape(-1)
      for j = 0, output:numel() - 1 do
        local grads = parts.gradients({flat[j]}, list, nil, {create_graph = create_graph, retain_graph = true})
        for k, input in ipairs(list) do
          local grad = grads[k]
          if grad == nil then
            if strict then
              vm.raise("usage", ("Output %d of the user-provided function is independent of input %d. This is not allowed " ..
                "in strict mode."):format(i - 1, k - 1))
            end
            grad = torch.zeros_like(input)
          elseif strict and create_graph and not grad.requires_grad then
            vm.raise("usage", ("The jacobian of the user-provided function is independent of input %d. This is not " ..
              "allowed in strict mode when create_graph=True."):format(i - 1))
          end
          rows[k][j + 1] = grad
        end
      end
      blocks[i] = {}
      for k, input in ipairs(list) do
        local shape = joined(output.shape, input.shape)
        blocks[i][k] = #rows[k] > 0 and torch.stack(rows[k], 0):view(shape) or input:new_zeros(shape)
      end
    end
    return blocks
  end

  local parse = signature(WHERE,
    "func, inputs, create_graph=false, strict=false, vectorize=false, strategy='reverse-mode'")

  --- The Jacobian of func at inputs: for each output and input, output shape and then input shape.
  ---@param func function
  ---@param inputs Tensor|Tensor[]
  ---@param create_graph? boolean false
  ---@param strict? boolean false; an independent input is an error, not zeros
  ---@param vectorize? boolean false; all rows in one vmapped pass
  ---@param strategy? string "reverse-mode" or "forward-mode"
  ---@return Tensor|Tensor[]|Tensor[][] result[output][input] where both are lists
  ---@example torch.autograd.functional.jacobian(torch.square, torch.tensor{1., 2.}):tolist()
  --- --> {{2.0, 0.0}, {0.0, 4.0}}
  function functional.jacobian(...)
    local f, inputs, create_graph, strict, vectorize, strategy = parse(...)
    if strategy ~= "forward-mode" and strategy ~= "reverse-mode" then
      vm.raise("usage", 'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more ' ..
        'outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".')
    end
    if strategy == "forward-mode" then
      if create_graph then
        vm.raise("usage", WHERE .. ': `create_graph=True` and `strategy="forward-mode"` are not supported together (yet). ' ..
          'Please either set `create_graph=False` or `strategy="reverse-mode"`.')
      end
      return forward_mode(f, inputs, strict, vectorize)
    end
    return native.enable_grad(function()
      local list, is_list = parts.as_list(inputs, "inputs", "jacobian")
      list = parts.prepare(list, create_graph, true)
      local outputs, is_outputs_list = parts.call(f, list, "jacobian")
      parts.check_recorded(outputs, #outputs, "outputs", strict)
      if vectorize and strict then
        vm.raise("usage", WHERE .. ": `strict=True` and `vectorized=True` are not supported together. Please either set " ..
          "`strict=False` or `vectorize=False`.")
      end
      local blocks = vectorize and vectorized(outputs, list, create_graph) or
        row_by_row(outputs, list, create_graph, strict)
      return arrange(parts.finish(blocks, create_graph), is_outputs_list, is_list)
    end)
  end

  local parse_hessian = signature("torch.autograd.functional.hessian",
    "func, inputs, create_graph=false, strict=false, vectorize=false, outer_jacobian_strategy='reverse-mode'")

  --- The second derivatives of func, whose output is one number, at inputs.
  ---@param func function
  ---@param inputs Tensor|Tensor[]
  ---@param create_graph? boolean false
  ---@param strict? boolean false
  ---@param vectorize? boolean false
  ---@param outer_jacobian_strategy? string "reverse-mode" or "forward-mode"
  ---@return Tensor|Tensor[][] result[i][k] where inputs are a list
  ---@example torch.autograd.functional.hessian(function(x) return x:square():sum() end, torch.tensor{1., 2.}):tolist()
  --- --> {{2.0, 0.0}, {0.0, 2.0}}
  function functional.hessian(...)
    local f, inputs, create_graph, strict, vectorize, strategy = parse_hessian(...)
    local _, is_list = parts.as_list(inputs, "inputs", "hessian")
    if strategy ~= "forward-mode" and strategy ~= "reverse-mode" then
      vm.raise("usage", 'Expected strategy to be either "forward-mode" or "reverse-mode".')
    end
    local function single(...)
      local outputs, is_outputs_list = parts.call(f, {...}, "hessian")
      parts.check_recorded(outputs, #outputs, "outputs", strict)
      parts.single_output("hessian", outputs, is_outputs_list)
      return outputs[1]:squeeze()
    end
    local function jacobian_of(...)
      local list = {...}
      if strategy == "forward-mode" then
        for _, each in ipairs(list) do each:requires_grad_(true) end
      end
      local jacobian = functional.jacobian(single, list, {create_graph = true})
      parts.check_recorded(jacobian, #list, "jacobian", strict)
      return jacobian
    end
    local result = functional.jacobian(jacobian_of, is_list and inputs or {inputs}, {create_graph = create_graph,
      strict = strict, vectorize = vectorize, strategy = strategy})
    return is_list and result or result[1][1]
  end

  return functional
end
