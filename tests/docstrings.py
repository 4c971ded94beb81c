# The laws of docstrings: which functions of the standard library and of the bindings have none.
import re

# Called by its class alone, and told there: hooks of callbacks, what a layer prints, the rules of an autograd.Function.
HOOKS = re.compile(r"[.:](on_\w+|extra_repr)$|\.(forward|backward|setup_context|jvp|vmap)$")
ROW = re.compile(r"""\{\s*"([a-z]\w*)",\s*[\w:]+(?:<(?:[^<>]|<[^<>]*>)*>)?,\s*(nullptr|"")\s*\}""")


class Source:
    """A file of the standard library: its lines and what it makes public."""

    def __init__(self, text):
        self.lines = text.splitlines()
        returned = re.search(r"^return (?:setmetatable\()?(\w+)", text, re.M)
        # Classes with a name.
        classes = re.findall(r"^local ([A-Z]\w*) = .*(?:__name = \"|class\()|^([A-Z]\w*)\.__name = ", text, re.M)
        self.public = {returned[1]} if returned else set()
        self.public.update(name for pair in classes for name in pair if name)
        self.owner = "(?:%s)" % "|".join(sorted(map(re.escape, self.public)) or ["-"])

    def has_docstring(self, number):
        return number >= 2 and self.lines[number - 2].lstrip().startswith("---")

    def documented_elsewhere(self, name):
        """Has a function of this file that name, with a docstring? Or is it no function of this file?"""
        short = re.escape(name)
        made = re.compile(rf"\s*(?:local )?function {short}\(|\s*(?:local )?{short}(?: <const>)? = function\b")
        places = [number for number, line in enumerate(self.lines, 1) if made.match(line)]
        return not places or any(map(self.has_docstring, places))

    def without(self):
        """(line, name) of public functions that have no docstring: `function M.f(`, `M.f = function(`, `M.f = g` and
        `f = function(` in a table that is public."""
        defined = re.compile(rf"function ({self.owner}[.:](?:__init|[a-zA-Z]\w*))\(")
        assigned = re.compile(rf"({self.owner}\.[a-zA-Z]\w*) = (function\b|[a-zA-Z_][\w.]*$)")
        opened = re.compile(rf"(?:({self.owner}(?:\.\w+)*)|local ({self.owner})) = (?:\w+\()*\{{$|return (\{{)$")
        field = re.compile(r"  ([a-zA-Z]\w*) = (function\b|[a-zA-Z_]\w*,?$)")
        table = None
        for number, line in enumerate(self.lines, 1):
            found = defined.match(line) or assigned.match(line)
            if table and not line.startswith(" "):
                table = None
            if table and (inner := field.match(line)):
                name, value = f"{table}.{inner[1]}", inner[2].rstrip(",")
            elif found:
                name, value = found[1], found[2] if found.re is assigned else "function"
            else:
                if began := opened.match(line):
                    table = began[1] or began[2] or "return"
                continue
            if self.has_docstring(number) or HOOKS.search(name) or value in ("true", "false", "nil"):
                continue
            if value == "function" or not self.documented_elsewhere(value):
                yield number, name


def of_stdlib(name, text):
    for number, function in Source(text).without():
        yield number, f"{function} has no docstring"


def of_rows(name, text):
    for found in ROW.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, f"{found[1]} has no docstring"
