# Every Lua block of the README runs as it stands; but the one of the main script, which trains for minutes.
import re

import pytest

from conftest import ROOT

ALL = re.findall(r"^```lua\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
BLOCKS = [block for block in ALL if "fashion_mnist" not in block]


def test_the_readme_shows_lua():
    assert len(BLOCKS) >= 3


def test_the_main_script_is_shown_as_it_is():
    (shown,) = (block for block in ALL if "fashion_mnist" in block)
    assert shown in (ROOT / "scripts/01_fashion_mnist.lua").read_text()


def test_what_a_command_prints_is_shown_as_it_is(trainhost):
    shown = re.findall(r"^```console\n\$ trainhost (.*?)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert shown
    for command, output in shown:
        assert trainhost.run(*command.split()).stdout == output, command


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.search(r"\w.*", block)[0][:40])
def test_block_runs(trainhost, tmp_path, block):
    (tmp_path / "block.lua").write_text(block)
    trainhost.run("block.lua", cwd=tmp_path)
