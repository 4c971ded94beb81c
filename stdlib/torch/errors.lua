-- Python's classes of errors by which a script tells one error from another: torch.linalg.LinAlgError.is(err).
local Error = {}
Error.__index = Error
Error.__name = "class"
function Error:__tostring() return self.path end

local errors = {}

local function define(name, path)
  local class = setmetatable({path = path}, Error)
  --- Is it an error of this class?
  ---@param err any what pcall gave
  ---@return boolean
  ---@example local _, err = pcall(torch.linalg.inv, torch.zeros(2, 2))
  --- torch.linalg.LinAlgError.is(err)  --> true
  function class.is(err) return type(err) == "table" and err.type == name end
  errors[name] = class
end

--- A matrix that cannot be inverted or factorized, or an iteration that does not converge.
define("LinAlgError", "torch.linalg.LinAlgError")
--- The memory of an accelerator is used up. That of the CPU: err.kind == "memory", as for both.
define("OutOfMemoryError", "torch.OutOfMemoryError")
--- An accelerator's driver reported an error.
define("AcceleratorError", "torch.AcceleratorError")
--- Gradients that differ, of torch.autograd.gradcheck.
define("GradcheckError", "torch.autograd.GradcheckError")

return errors
