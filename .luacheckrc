-- What luacheck holds every Lua file to (`./dev check`).
std = "lua54"
max_line_length = 140
unused_args = false
ignore = {"581"}  -- `not (a >= b)` is not `a < b` when one is NaN
exclude_files = {"build", "install"}
