-- What `trainhost check` finds in the text of a training script: what host.check finds in any, and what is wrong in the
-- calls of train that are written out.
local check = require "host.check"
local written = require "train.check.written"

local RULES <const> = {
  function(found, report)
    local calls, fit = require "train.check.calls", require "train.check.fit"
    for _, call in ipairs(found.calls) do
      local name, home = written.called_name(call)
      if home and not call.protected then
        local wrong = calls.keywords(call, report)
        calls.options(call, report)
        if home == "train" then fit(call, name, report, wrong) end
      end
    end
  end,
  function(found, report) require("train.check.callbacks")(found, report) end,
}

---@param text string
---@param name string the file, for what Lua says
---@return table[] findings as of host.check
return function(text, name) return check.text(text, name, RULES) end
