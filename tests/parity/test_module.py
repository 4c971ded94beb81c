# nn.Module against PyTorch's: the same few lines on both sides, what they give, print and refuse.
import re

import exchange
import module_container_cases  # noqa: F401  (adds its cases)
import module_state_cases  # noqa: F401
import pytest
import torch
from module_cases import CASES
from torch import nn

# Public members of Module that Lua has in another way: the reason.
ELSEWHERE = {
    "T_destination": "a type of Python's annotations",
    "call_super_init": "a class calls the constructor of its base, or not, as it likes",
    "dump_patches": "of files with source code, which PyTorch no longer writes",
}


@pytest.fixture(scope="module")
def results(trainhost, tmp_path_factory):
    ours = exchange.Exchange(tmp_path_factory.mktemp("module"))
    for name, (lua, _) in CASES.items():
        ours.case(name, lua)
    members = " ".join(name for name in dir(nn.Module) if not name.startswith("_"))
    hooks = " ".join(name for name in dir(nn.modules.module) if name.startswith("register_"))
    ours.case("members", f"""
      local missing = {{}}
      for name in ("{members}"):gmatch("%S+") do if torch.nn.Module[name] == nil then missing[#missing + 1] = name end end
      for name in ("{hooks}"):gmatch("%S+") do
        if not pcall(function() return torch.nn.modules.module[name] end) then missing[#missing + 1] = name end
      end
      return missing""")
    return ours.run(trainhost)


def plain(value):
    """As it comes back from Lua: sizes and dtypes as their text, classes without the file that they are in."""
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return re.sub(r"torch\.nn\.modules\.\w+\.(?=[A-Z])", "", value)
    return str(value) if isinstance(value, (torch.Size, torch.dtype)) else value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_does_what_pytorch_does(results, name):
    scope = {"torch": torch, "nn": nn}
    exec(CASES[name][1], scope)
    assert results[name].error is None, results[name].error
    assert exchange.difference(plain(scope["out"]), plain(results[name].values)) is None


def test_has_every_public_member(results):
    assert results["members"].error is None, results["members"].error
    missing = set(results["members"].values[0])
    public = {name for name in missing if name != "forward"}  # a class without one has none
    assert public == set(ELSEWHERE)
