# Every Lua block of the README runs as it stands; but the one of the main script, which trains for minutes.
import re

import pytest

from conftest import ROOT

BLOCKS = [block for block in re.findall(r"^```lua\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
          if "fashion_mnist" not in block]


def test_the_readme_shows_lua():
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.search(r"\w.*", block)[0][:40])
def test_block_runs(trainhost, tmp_path, block):
    (tmp_path / "block.lua").write_text(block)
    trainhost.run("block.lua", cwd=tmp_path)
