-- torch.optim.lr_scheduler: refusals, schedulers of one's own. Values are compared with PyTorch's in tests/parity.
local test = require "test"
local torch = require "torch"
local s = torch.optim.lr_scheduler

local function optimizer(lr, momentum)
  return torch.optim.SGD({torch.zeros(2, {requires_grad = true})}, {lr = lr or 1.0, momentum = momentum or 0})
end

test.case("what does not fit is refused with PyTorch's words", function()
  local opt = optimizer()
  test.raises("is not an Optimizer", s.StepLR, {param_groups = {}}, 3)
  test.raises("argument 'step_size' is missing", s.StepLR, opt)
  test.raises("unknown keyword", s.StepLR, opt, {stepsize = 3})
  test.raises("Expected 1 lr_lambdas, but got 2", s.LambdaLR, opt, {math.abs, math.abs})
  test.raises("Constant multiplicative factor expected", s.ConstantLR, opt, {factor = 2})
  test.raises("Starting multiplicative factor", s.LinearLR, opt, {start_factor = 0})
  test.raises("Ending multiplicative factor", s.LinearLR, opt, {end_factor = 2})
  test.raises("Expected positive integer T_0, but got 0", s.CosineAnnealingWarmRestarts, opt, 0)
  test.raises("Expected integer T_mult >= 1, but got 0", s.CosineAnnealingWarmRestarts, opt, 3, 0)
  test.raises("You must define either total_steps", s.OneCycleLR, opt, 0.1)
  test.raises("Expected positive integer total_steps, but got %-1", s.OneCycleLR, opt, 0.1, {total_steps = -1})
  test.raises("Expected float between 0 and 1 pct_start", s.OneCycleLR, opt, 0.1, {total_steps = 5, pct_start = 2.0})
  test.raises("anneal_strategy must be one of", s.OneCycleLR, opt, 0.1, {total_steps = 5, anneal_strategy = "sin"})
  test.raises("must have the same length", s.OneCycleLR, opt, {0.1, 0.2}, {total_steps = 5})
  test.raises("must support momentum or beta1", s.CyclicLR, torch.optim.Adagrad({torch.zeros(1)}), 0.1, 0.2)
  test.raises("mode is invalid and scale_fn is None", s.CyclicLR, opt, 0.1, 0.2, {mode = "square"})
  test.raises("Factor should be < 1.0", s.ReduceLROnPlateau, opt, {factor = 1})
  test.raises("mode up is unknown!", s.ReduceLROnPlateau, opt, "up")
  test.raises("expected 1 min_lrs, got 2", s.ReduceLROnPlateau, opt, {min_lr = {0, 0}})
  test.raises("needs the metric", function() s.ReduceLROnPlateau(opt):step() end)
  test.raises("at least one scheduler", s.SequentialLR, opt, {}, {})
  test.raises("number of milestones to be equal to 0", s.SequentialLR, opt, {s.StepLR(opt, 1), s.StepLR(opt, 1)}, {})
  test.raises("does not support `ReduceLROnPlateau`", s.ChainedScheduler, {s.ReduceLROnPlateau(opt)})
  test.raises("belong to the same optimizer", s.ChainedScheduler, {s.StepLR(opt, 1), s.StepLR(optimizer(), 1)})
  test.raises("'initial_lr' is not specified in param_groups%[0%]", s.StepLR, optimizer(), 3, {last_epoch = 4})
  local short = s.OneCycleLR(optimizer(1, 0.9), 0.1, {total_steps = 2})
  for _ = 1, 2 do
    short.optimizer:step()
    short:step()
  end
  test.raises("Tried to step 3 times. The specified number of total steps is 2", short.step, short)
end)

test.case("a scheduler written in Lua is one of them", function()
  local Zigzag = s.class("Zigzag", "optimizer, low=0.1, last_epoch=-1")
  function Zigzag:__init(opt, low, last_epoch)
    self.low = low
    s.LRScheduler.__init(self, opt, last_epoch)
  end
  function Zigzag:get_lr()
    local rates = {}
    for i, base in ipairs(self.base_lrs) do rates[i] = self.last_epoch % 2 == 0 and base or base * self.low end
    return rates
  end
  local opt = optimizer()
  local scheduler = Zigzag(opt, {low = 0.5})
  local seen = {}
  for i = 1, 4 do
    opt:step()
    scheduler:step()
    seen[i] = opt.param_groups[1].lr
  end
  test.equal(seen, {0.5, 1.0, 0.5, 1.0})
  local other = Zigzag(optimizer())
  other:load_state_dict(scheduler:state_dict())
  test.equal(other.low, 0.5)
  test.equal(other.last_epoch, 4)
  test.raises("get_lr is not implemented", s.class("Empty", "optimizer, last_epoch=-1"), optimizer())
end)

test.case("a scheduler goes on with the learning rates that an optimizer's state dict brings", function()
  local opt = optimizer()
  local scheduler = s.ExponentialLR(opt, 0.5)
  opt:step()
  scheduler:step()
  local fresh = optimizer(7)
  local other = s.ExponentialLR(fresh, 0.1)
  fresh:load_state_dict(opt:state_dict())
  other:load_state_dict(scheduler:state_dict())
  fresh:step()
  other:step()
  test.equal(fresh.param_groups[1].lr, 0.25)
  test.equal(fresh.param_groups[1].initial_lr, 1.0)
end)

test.case("a plateau is counted, cooled down, and seen from outside", function()
  local opt = optimizer()
  local scheduler = s.ReduceLROnPlateau(opt, {patience = 0, factor = 0.5, cooldown = 2})
  scheduler:step(torch.tensor(1.0))
  scheduler:step(1.0)
  test.equal(scheduler.in_cooldown, true)
  test.equal(scheduler:get_last_lr(), {0.5})
  for _ = 1, 2 do scheduler:step(1.0) end
  test.equal(scheduler.in_cooldown, false)
end)
