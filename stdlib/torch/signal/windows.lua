-- torch.signal.windows: window functions of signal processing.
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local windows = {}

local function op(name) return ops.find_any("aten::" .. name) end

local linspace <const> = op "linspace"
local FACTORY <const> = ", sym=true, dtype=nil, layout=nil, device=nil, requires_grad=false"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

-- The options of a new tensor; errors for those that no window takes.
local function options_of(name, length, dtype, layout, device, requires_grad)
  dtype, layout = dtype or native.get_default_dtype(), layout or native.strided
  if length < 0 then fail("%s requires non-negative window length, got M=%d", name, length) end
  if layout ~= native.strided then
    fail("%s is implemented for strided tensors only, got: %s", name, tostring(layout))
  end
  if dtype ~= native.float32 and dtype ~= native.float64 then
    vm.raise("dtype", ("%s expects float32 or float64 dtypes, got: %s"):format(name, tostring(dtype)))
  end
  return {dtype = dtype, layout = layout, device = device, requires_grad = requires_grad}
end

local function empty(options) return op "empty"({0}, options) end
local function one(options) return op "ones"({1}, options) end

-- How many steps lie between the ends: a periodic window is a symmetric one that is longer by one.
local function span(length, sym) return sym and length - 1 or length end

local function general_cosine(name, length, a, sym, dtype, layout, device, requires_grad)
  local options = options_of(name, length, dtype, layout, device, requires_grad)
  if length == 0 then return empty(options) end
  if length == 1 then return one(options) end
  if type(a) ~= "table" then fail "Coefficients must be a list/tuple" end
  if #a == 0 then fail "Coefficients cannot be empty" end
  local step = 2 * math.pi / span(length, sym)
  local k = linspace(0, (length - 1) * step, length, options)
  local signed = {}
  for i, weight in ipairs(a) do signed[i] = i % 2 == 1 and weight or -weight end
  local factors = native.tensor(signed, {dtype = options.dtype, device = device, requires_grad = requires_grad})
  local i = op "arange"(#a, {dtype = factors.dtype, device = factors.device, requires_grad = requires_grad})
  return (factors:unsqueeze(-1) * op "cos"(i:unsqueeze(-1) * k)):sum(0)
end

local parse_general_cosine = signature("torch.signal.windows.general_cosine", "M, *, a=nil" .. FACTORY)
local parse_general_hamming = signature("torch.signal.windows.general_hamming", "M, *, alpha=0.54" .. FACTORY)

--- A sum of cosines with alternating signs: a[0] - a[1] cos(z) + a[2] cos(2 z) ...
---@param M integer the window's length
---@param a number[] the cosines' factors; must be given
---@param sym? boolean false: periodic, for spectral analysis; true
---@param dtype? dtype float32 or float64
---@param layout? layout strided
---@param device? device
---@param requires_grad? boolean false
---@return Tensor [M]
---@example torch.signal.windows.general_cosine(3, {a = {0.5, 0.5}})  --> tensor([0., 1., 0.])
function windows.general_cosine(...)
  local length, a, sym, dtype, layout, device, requires_grad = parse_general_cosine(...)
  return general_cosine("general_cosine", length, a, sym, dtype, layout, device, requires_grad)
end

--- alpha - (1 - alpha) cos(z).
---@param M integer the window's length
---@param alpha? number 0.54
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.general_hamming(3, {alpha = 0.5})  --> tensor([0., 1., 0.])
function windows.general_hamming(...)
  local length, alpha, sym, dtype, layout, device, requires_grad = parse_general_hamming(...)
  return general_cosine("general_cosine", length, {alpha, 1.0 - alpha}, sym, dtype, layout, device, requires_grad)
end

-- Windows that are general_cosine with these factors.
local function of_cosines(name, factors, shown)
  local parse = signature("torch.signal.windows." .. name, "M, *" .. FACTORY)
  return function(...)
    local length, sym, dtype, layout, device, requires_grad = parse(...)
    return general_cosine(shown or "general_cosine", length, factors, sym, dtype, layout, device, requires_grad)
  end
end

--- 0.54 - 0.46 cos(z).
---@param M integer the window's length
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.hamming(3)  --> tensor([0.0800, 1.0000, 0.0800])
windows.hamming = of_cosines("hamming", {0.54, 1.0 - 0.54})

--- (1 - cos(z)) / 2.
---@param M integer the window's length
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.hann(5)  --> tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
windows.hann = of_cosines("hann", {0.5, 0.5})

--- 0.42 - 0.5 cos(z) + 0.08 cos(2 z).
---@param M integer the window's length
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example ("%.2f"):format(torch.signal.windows.blackman(5)[1]:item())  --> 0.34
windows.blackman = of_cosines("blackman", {0.42, 0.5, 0.08}, "blackman")

--- The least 4-term Blackman-Harris window of Nuttall.
---@param M integer the window's length
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.nuttall(3)  --> tensor([3.6280e-04, 1.0000e+00, 3.6280e-04])
windows.nuttall = of_cosines("nuttall", {0.3635819, 0.4891775, 0.1365995, 0.0106411})

local parse_bartlett = signature("torch.signal.windows.bartlett", "M, *" .. FACTORY)
local parse_cosine = signature("torch.signal.windows.cosine", "M, *" .. FACTORY)
local parse_exponential = signature("torch.signal.windows.exponential", "M, *, center=nil, tau=1.0" .. FACTORY)
local parse_gaussian = signature("torch.signal.windows.gaussian", "M, *, std=1.0" .. FACTORY)
local parse_kaiser = signature("torch.signal.windows.kaiser", "M, *, beta=12.0" .. FACTORY)

--- A triangle from 0 to 1 to 0.
---@param M integer the window's length
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.bartlett(5)  --> tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
function windows.bartlett(...)
  local length, sym, dtype, layout, device, requires_grad = parse_bartlett(...)
  local options = options_of("bartlett", length, dtype, layout, device, requires_grad)
  if length == 0 then return empty(options) end
  if length == 1 then return one(options) end
  local step = 2 / span(length, sym)
  return 1 - linspace(-1, -1 + (length - 1) * step, length, options):abs()
end

--- Half a sine wave.
---@param M integer the window's length
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.cosine(3)  --> tensor([0.5000, 1.0000, 0.5000])
function windows.cosine(...)
  local length, sym, dtype, layout, device, requires_grad = parse_cosine(...)
  local options = options_of("cosine", length, dtype, layout, device, requires_grad)
  if length == 0 then return empty(options) end
  local step = math.pi / ((not sym and length > 1) and length + 1 or length)
  return linspace(0.5 * step, (0.5 + (length - 1)) * step, length, options):sin()
end

--- exp(-|n - center| / tau).
---@param M integer the window's length
---@param center? number where the maximum is; for periodic windows alone, the middle
---@param tau? number the decay, 1.0
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.exponential(3, {tau = 1})  --> tensor([0.3679, 1.0000, 0.3679])
function windows.exponential(...)
  local length, center, tau, sym, dtype, layout, device, requires_grad = parse_exponential(...)
  local options = options_of("exponential", length, dtype, layout, device, requires_grad)
  if tau <= 0 then fail("Tau must be positive, got: %s instead.", text.value(tau)) end
  if sym and center ~= nil then fail "Center must be None for symmetric windows" end
  if length == 0 then return empty(options) end
  center = center or ((not sym and length > 1) and length or length - 1) / 2.0
  local step = 1 / tau
  return (-linspace(-center * step, (-center + (length - 1)) * step, length, options):abs()):exp()
end

--- exp(-(n / std)^2 / 2) from the middle.
---@param M integer the window's length
---@param std? number standard deviation, 1.0
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.gaussian(3, {std = 1})  --> tensor([0.6065, 1.0000, 0.6065])
function windows.gaussian(...)
  local length, std, sym, dtype, layout, device, requires_grad = parse_gaussian(...)
  local options = options_of("gaussian", length, dtype, layout, device, requires_grad)
  if std <= 0 then fail("Standard deviation must be positive, got: %s instead.", text.value(std)) end
  if length == 0 then return empty(options) end
  local start = -((not sym and length > 1) and length or length - 1) / 2.0
  local step = 1 / (std * math.sqrt(2))
  return (-linspace(start * step, (start + (length - 1)) * step, length, options) ^ 2):exp()
end

--- The Kaiser window, of the modified Bessel function of order 0.
---@param M integer the window's length
---@param beta? number how narrow, 12.0
---@param sym? boolean false: periodic, for spectral analysis; true
---@return Tensor [M]
---@example torch.signal.windows.kaiser(3)  --> tensor([5.2773e-05, 1.0000e+00, 5.2773e-05])
function windows.kaiser(...)
  local length, beta, sym, dtype, layout, device, requires_grad = parse_kaiser(...)
  local options = options_of("kaiser", length, dtype, layout, device, requires_grad)
  if beta < 0 then fail("beta must be non-negative, got: %s instead.", text.value(beta)) end
  if length == 0 then return empty(options) end
  if length == 1 then return one(options) end
  -- In the window's own precision, as PyTorch computes the ends.
  local width = native.tensor(beta, {dtype = options.dtype, device = device})
  local start = -width
  local last = op "minimum"(width, start + (length - 1) * (2.0 * width / span(length, sym)))
  local k = linspace(start:item(), last:item(), length, options)
  return op "i0"((width * width - k:pow(2)):sqrt()) / op "i0"(width)
end

return require("host.namespace")("torch.signal.windows", {held = windows})
