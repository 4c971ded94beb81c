-- What memory the process has, in bytes, as the system tells it.

---The resident memory of this process, nil where the system does not tell.
---@return integer? bytes
return function()
  local file = io.open("/proc/self/status")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  local kilobytes = tonumber(text:match("VmRSS:%s*(%d+)%s*kB"))
  return kilobytes and math.tointeger(kilobytes) * 1024
end
