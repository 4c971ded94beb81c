-- A graph in the language of Graphviz.
local function quoted(text) return '"' .. text:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"' end

---@param graph table
---@param lines string[][] the text of each node
---@return string
return function(graph, lines)
  local out = {"digraph " .. quoted(graph.name) .. " {", "  node [shape=box, fontname=monospace];"}
  for i, node in ipairs(graph.nodes) do
    local style = node.kind ~= "module" and ", style=rounded" or ""
    out[#out + 1] = ("  n%d [label=%s%s];"):format(i, quoted(table.concat(lines[i], "\n")), style)
  end
  for _, edge in ipairs(graph.edges) do
    out[#out + 1] = ("  n%d -> n%d%s;"):format(edge.from, edge.to, edge.kind == "holds" and " [style=dashed]" or "")
  end
  out[#out + 1] = "}\n"
  return table.concat(out, "\n")
end
