# Every Lua block of the README runs as it stands.
import re

import pytest

from conftest import ROOT

BLOCKS = re.findall(r"^```lua\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def test_the_readme_shows_lua():
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.search(r"\w.*", block)[0][:40])
def test_block_runs(trainhost, tmp_path, block):
    (tmp_path / "block.lua").write_text(block)
    if "01_fashion_mnist" in block or "fashion_mnist()" in block:
        pytest.skip("trains for minutes: the suite of scripts runs it")
    trainhost.run("block.lua", cwd=tmp_path)
