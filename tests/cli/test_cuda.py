# CUDA in a fresh process: what comes before its first use must not keep it away. Skipped where there is none.
import pytest

BEFORE = {
    "a seed": "torch.manual_seed(7)",
    "a backward on the CPU": "local w = torch.ones(2, {requires_grad = true}) (w * w):sum():backward()",
    "a question about pinned memory": "assert(not torch.ones(2):is_pinned())",
    "pinned memory": "torch.ones(2):pin_memory() torch.empty(2, {pin_memory = true})",
}


@pytest.fixture(scope="module")
def cuda(trainhost):
    if trainhost.lua("print(require('torch').cuda.is_available())") != "true\n":
        pytest.skip("no CUDA device here")


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
def test_cuda_can_be_used_after(trainhost, cuda, before):
    assert trainhost.lua(f"""local torch = require "torch"
        {before}
        print(torch.ones(2):to("cuda"):sum():item())""") == "2.0\n"


def test_a_seed_before_its_first_use_reaches_it(trainhost, cuda):
    def draw(seed):
        return trainhost.lua(f"""local torch = require "torch"
            torch.manual_seed({seed})
            local early = torch.rand(3, {{device = "cuda"}})
            torch.manual_seed({seed})
            print(early:equal(torch.rand(3, {{device = "cuda"}})), early:sum():item())""")
    assert draw(7).startswith("true\t") and draw(7) == draw(7) != draw(8)
