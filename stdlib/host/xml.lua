-- Text as it stands in XML: what pictures are written with.
local xml = {}

local ENTITIES <const> = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;"}

--- A value as text of an element or an attribute; control characters, which XML has none of, are spaces.
---@param text any
---@return string
function xml.escape(text) return (tostring(text):gsub("[&<>\"]", ENTITIES):gsub("[%z\1-\8\11\12\14-\31]", " ")) end

return xml
