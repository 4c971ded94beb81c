-- The names that the line of `trainhost attach` is completed with: those of the training.
local names = {}

---What asks the training: the reply {names, replaced}, nil without one. Set once it is attached to.
---@type (fun(line: string): table?)?
names.ask = nil

---Completes the name that ends a line, as host.repl does.
---@param line string up to the cursor
---@return string[] names
---@return integer replaced how many characters of the line they replace
function names.complete(line)
  local reply = names.ask and names.ask(line)
  return reply and reply.names or {}, reply and reply.replaced or 0
end

return names
