-- GradScaler and the decorators of Functions under autocast; names that torch.amp does not have.
local test = require "test"
local torch = require "torch"

local function setup(options)
  local w = torch.ones(2, {requires_grad = true})
  return w, torch.optim.SGD({w}, {lr = 0.5}), torch.amp.GradScaler("cpu", options)
end

test.case("a step whose gradients are infinite is left out, and the scale halves", function()
  local w, opt, scaler = setup{init_scale = 8, growth_interval = 2}
  scaler:scale((w * math.huge):sum()):backward()
  scaler:step(opt)
  scaler:update()
  test.equal(w:tolist(), {1.0, 1.0})
  test.equal(scaler:get_scale(), 4.0)
  for _ = 1, 2 do
    opt:zero_grad()
    scaler:scale(w:sum()):backward()
    scaler:step(opt)
    scaler:update()
  end
  test.equal(w:tolist(), {0.0, 0.0})
  test.equal(scaler:get_scale(), 8.0)
end)

test.case("gradients are unscaled once, by hand or in the step", function()
  local w, opt, scaler = setup{init_scale = 16}
  local losses = scaler:scale{w:sum(), {w:sum()}}
  test.equal(losses[2][1]:item(), 32.0)
  losses[1]:backward()
  test.equal(w.grad:tolist(), {16.0, 16.0})
  scaler:unscale_(opt)
  test.equal(w.grad:tolist(), {1.0, 1.0})
  test.raises("unscale_() has already been called on this optimizer since the last update().", scaler.unscale_, scaler, opt)
  scaler:step(opt)
  test.equal(w:tolist(), {0.5, 0.5})
  test.raises("step() has already been called since the last update().", scaler.step, scaler, opt)
  test.raises("unscale_() is being called after step().", scaler.unscale_, scaler, opt)
  test.raises("Closure use is not currently supported", scaler.step, scaler, opt, function() end)
  test.equal(opt.found_inf, nil)
  test.equal(opt.grad_scale, nil)
end)

test.case("an optimizer in Lua is stepped only where no gradient is infinite", function()
  local w = torch.ones(2, {requires_grad = true})
  local steps = 0
  local opt = {param_groups = {{params = {w}}}, step = function() steps = steps + 1 return "done" end}
  local scaler = torch.amp.GradScaler("cpu", {init_scale = 2})
  scaler:scale((w * math.huge):sum()):backward()
  test.equal(scaler:step(opt), nil)
  scaler:update()
  w.grad = nil
  scaler:scale(w:sum()):backward()
  test.equal(scaler:step(opt), "done")
  test.equal(steps, 1)
  test.equal(w.grad:tolist(), {1.0, 1.0})
  w.grad = nil
  scaler:update()
  test.raises("No inf checks were recorded for this optimizer.", scaler.step, scaler, opt)
end)

test.case("the state goes into another scaler", function()
  local _, _, scaler = setup{init_scale = 8}
  scaler:set_growth_factor(3.0)
  local other = torch.amp.GradScaler{device = "cpu"}
  other:load_state_dict(scaler:state_dict())
  test.equal(other:state_dict(), {scale = 8, growth_factor = 3.0, backoff_factor = 0.5, growth_interval = 2000,
    _growth_tracker = 0})
  test.raises("The source state dict is empty", other.load_state_dict, other, {})
end)

test.case("switched off it does nothing", function()
  local w, opt = setup{init_scale = 8}
  local scaler = torch.GradScaler("cpu", {enabled = false})
  scaler:scale(w:sum()):backward()
  scaler:unscale_(opt)
  scaler:step(opt)
  scaler:update()
  test.equal(w:tolist(), {0.5, 0.5})
  test.equal({scaler:get_scale(), scaler:is_enabled(), next(scaler:state_dict())}, {1.0, false})
  if not torch.cuda.is_available() then test.falsy(torch.cuda.amp.GradScaler():is_enabled()) end
end)

test.case("a Function casts what comes in, and its backward has the forward's autocast", function()
  local F = torch.autograd.Function("Cast")
  local seen = {}
  F.forward = torch.amp.custom_fwd({device_type = "cpu", cast_inputs = torch.float32})(function(_, x)
    seen.forward, seen.inside = x.dtype, torch.is_autocast_enabled("cpu")
    return x * 2
  end)
  F.backward = torch.amp.custom_bwd(function(_, grad)
    seen.backward = torch.is_autocast_enabled("cpu")
    return grad * 2
  end, {device_type = "cpu"})
  local x = torch.ones(2, {dtype = torch.bfloat16, requires_grad = true})
  local y = torch.autocast("cpu", {dtype = torch.bfloat16}, F.apply, x)
  y:sum():backward()
  test.equal(seen, {forward = torch.float32, inside = false, backward = false})
  F.forward = torch.amp.custom_fwd(function(_, t) return t * 2 end, {device_type = "cpu"})
  y = torch.autocast("cpu", {dtype = torch.bfloat16}, F.apply, x)
  y:sum():backward()
  test.truthy(seen.backward)
  test.raises("Expected `device_type` of type `str`", torch.amp.custom_fwd, print)
end)

test.case("names that are not there are refused as those of torch are", function()
  test.equal(test.raises("torch.amp has no 'autocat'", function() return torch.amp.autocat end).hint, "did you mean 'autocast'?")
  test.raises("torch.cuda.amp has no 'x'", function() return torch.cuda.amp.x end)
  test.raises("torch.cpu.amp has no 'custom_fwd'", function() return torch.cpu.amp.custom_fwd end)
end)

test.case("arguments of a wrong type are named", function()
  local GradScaler = torch.amp.GradScaler
  for name, wrong in pairs {init_scale = "x", growth_factor = "x", backoff_factor = true, growth_interval = 1.5, enabled = 0} do
    local err = test.raises("torch.amp.GradScaler: argument '" .. name .. "' must be an? %l+, got", GradScaler, "cpu",
      {[name] = wrong})
    test.equal(err.kind, "usage")
  end
  test.raises("argument 'device' must be a string, got number 1", GradScaler, 1)
end)

test.case("an optimizer whose step fails keeps no flag of the scaler's", function()
  local x = torch.ones(1, {requires_grad = true})
  local opt, scaler = torch.optim.SGD({x}, {lr = 0.5}), torch.amp.GradScaler("cpu")
  scaler:scale(x:sum()):backward()
  rawset(opt, "step", function(self)
    test.truthy(self.found_inf)
    error "no step"
  end)
  test.raises("no step", scaler.step, scaler, opt)
  test.equal(opt.found_inf, nil)
  test.equal(opt.grad_scale, nil)
end)

test.case("every call of a scaler may have a torch.scope of its own", function()
  for _, fused in ipairs {true, false} do
    local w, opt, scaler = setup{init_scale = 8, growth_interval = 2}
    local used = fused and opt or {param_groups = opt.param_groups, step = function() return opt:step() end}
    for step = 1, 4 do
      torch.scope(function()
        opt:zero_grad()
        scaler:scale((w * 2):sum()):backward()
      end)
      if step > 2 then torch.scope(function() scaler:unscale_(used) end) end
      torch.scope(function() scaler:step(used) end)
      torch.scope(function() scaler:update() end)
    end
    test.equal(scaler:get_scale(), 32.0)
    test.equal(w:tolist(), {-3.0, -3.0})
  end
end)
