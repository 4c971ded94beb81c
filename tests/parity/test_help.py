# Help tells what PyTorch's own parser and documentation tell: the arguments of operators, the pages of names.
import re

import pytest
import torch

LISTING = """
local names, entry = require "host.help.names", require "host.help.entry"
local json = require("host").json
local out = {}
for _, space in ipairs {"torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils",
    "torch.linalg", "torch.fft", "torch.special", "torch.optim", "torch.utils.data", "torch.autograd", "torch.cuda"} do
  for _, name in ipairs(names.of((names.find(space)))) do
    local path = space .. "." .. name
    local it = entry.of(path, (names.find(path)))
    local calls = {}
    for i, call in ipairs(it.calls or {}) do
      local positional, keywords = {}, {}
      for k, p in ipairs(call.positional) do positional[k] = {p.name, p.optional == true, p.default or ""} end
      for k, p in ipairs(call.keywords) do keywords[k] = {p.name, p.optional == true, p.default or ""} end
      calls[i] = {positional = positional, keywords = keywords}
    end
    out[path] = {link = it.link, calls = calls, operator = it.operator}
  end
end
print(json.encode(out))
"""

# Documented at another place than their name says.
ELSEWHERE = {"torch.nn.functional.logsigmoid"}


@pytest.fixture(scope="module")
def entries(trainhost):
    import json
    return json.loads(trainhost.lua(LISTING))


def of_link(link):
    """The Python object that a page of the documentation is about; None if there is none with a text."""
    path = re.sub(r"\.html$", "", re.sub(r"^.*(generated/|#)", "", link))
    found = torch
    for part in path.split(".")[1:]:
        found = getattr(found, part, None)
    return found if getattr(found, "__doc__", None) or not callable(found) else None


def test_every_page_is_about_something_that_pytorch_documents(entries):
    links = {path: each["link"] for path, each in entries.items() if each.get("link")}
    assert len(links) > 900
    dead = [f"{path}: {link}" for path, link in links.items() if of_link(link) is None and path not in ELSEWHERE]
    assert not dead, "\n".join(dead)


def test_at_least_300_operators_have_a_sentence_and_a_page(entries):
    assert sum(1 for path, each in entries.items() if each.get("operator") and each.get("link")) > 300


# Keywords that PyTorch's listing sometimes leaves out.
HELD_BACK = {"out", "generator", "requires_grad"}


class Nothing:
    pass


def read(listed):
    """(names by position, names of keywords) of "Tensor input, int dim = None, *, Tensor out = None"."""
    positional, keywords, target = [], set(), None
    for part in re.findall(r"(?:[^,(\[]|\([^)]*\)|\[[^\]]*\])+", listed):
        part = part.strip()
        if part == "*":
            target = keywords
            continue
        name = part.split("=")[0].split()[-1]
        name = {"end": "end_", "self": "input"}.get(name, name)
        if target is None:
            positional.append(name)
        else:
            keywords.add(name)
    return tuple(positional), frozenset(keywords) - HELD_BACK


def listed_by_parser(function):
    """What PyTorch's parser lists when it is given nonsense; nothing for an operator of one signature."""
    try:
        function(*[Nothing()] * 12)
    except TypeError as error:
        return {read(a or b) for a, b in re.findall(r"^ \* \((.*)\)$|expected \((.*)\)$", str(error), re.M)}


def positions_in_docstring(function):
    line = re.search(r"^\s*(?:torch\.)?\w+\((.*)\)(?: ->|\s*$)", function.__doc__, re.M)[1]
    return read(line)[0]


NAMES = """add addcdiv addmm addmv all amax aminmax any arange argmin argsort baddbmm bernoulli bincount bmm bucketize
cat ceil clamp clone complex conv1d conv2d conv3d cos count_nonzero cov cross cummax cumprod cumsum diag diag_embed
diagonal diff div dot empty_like eq erf exp eye flip floor fmod gather ge gt heaviside histc hypot index_select
isclose isnan kron kthvalue le lerp linspace log log1p logaddexp logcumsumexp logspace logsumexp lt masked_fill
masked_select matmul max maximum mean median min minimum mm movedim mul multinomial mv nan_to_num narrow ne neg
ones_like outer permute poisson pow prod quantile rand_like randint_like randn_like randperm range reciprocal
remainder renorm repeat_interleave reshape roll rot90 round rsqrt scatter scatter_add scatter_reduce searchsorted
select sigmoid sign sin sort sqrt squeeze stack std std_mean sub sum svd swapaxes t take take_along_dim tan tanh tile
topk trace transpose trapezoid tril triu trunc unbind unsqueeze var var_mean vdot where xlogy zeros_like""".split()


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_those_that_pytorch_lists(entries, name):
    ours = {(tuple(each[0] for each in call["positional"]), frozenset(each[0] for each in call["keywords"]) - HELD_BACK)
            for call in entries["torch." + name]["calls"]}
    theirs = listed_by_parser(getattr(torch, name))
    if theirs:
        missing = theirs - ours
    else:
        missing = {positions_in_docstring(getattr(torch, name))} - {positional for positional, _ in ours}
    assert not missing, f"missing {sorted(map(str, missing))}, there is {sorted(map(str, ours))}"
