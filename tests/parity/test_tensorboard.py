# Event files as the real TensorBoard reads them, and beside those of PyTorch's own SummaryWriter.
import io
import os
import pathlib
import resource
import signal
import subprocess
import time
import wave

import numpy
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator, event_file_loader
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.projector import projector_config_pb2
from tensorboard.util import tensor_util
from google.protobuf import text_format
from torch.utils.tensorboard import SummaryWriter

from exchange import Exchange

HEAD = "local torch = require 'torch'; local SummaryWriter = torch.utils.tensorboard.SummaryWriter; "
ALL = {kind: 0 for kind in ("scalars", "images", "histograms", "tensors", "audio", "compressedHistograms")}


def load(folder):
    accumulator = event_accumulator.EventAccumulator(str(folder), size_guidance=ALL)
    accumulator.Reload()
    return accumulator


def events(folder):
    """All events of the one file in a folder, every checksum checked."""
    [path] = sorted(pathlib.Path(folder).glob("events.out.tfevents.*"))
    return list(event_file_loader.LegacyEventFileLoader(str(path)).Load())


def summaries(folder):
    """{tag: value} of the last event with that tag."""
    return {value.tag: value for event in events(folder) for value in event.summary.value}


class Twins:
    """The same calls by trainhost and by PyTorch, into two folders."""

    def __init__(self, trainhost, folder):
        self.trainhost, self.ours, self.theirs = trainhost, folder / "lua", folder / "python"
        self.exchange = Exchange(folder)
        self.lines = [f"local writer = torch.utils.tensorboard.SummaryWriter('{self.ours}')"]
        self.writer = SummaryWriter(str(self.theirs))

    def call(self, method, *args, **kwargs):
        values = [self.exchange.lua(value) if value is not None else "nil" for value in args]
        named = ", ".join(f"{name} = {self.exchange.lua(value)}" for name, value in kwargs.items())
        self.lines.append(f"writer:{method}({', '.join(values + (['{' + named + '}'] if named else []))})")
        args = [torch.tensor(value) if isinstance(value, list) and value and not isinstance(value[0], str) else value
                for value in args]
        getattr(self.writer, method)(*args, **kwargs)

    def run(self):
        self.writer.close()
        self.exchange.case("write", "\n".join(self.lines + ["writer:close()", "return true"]))
        result = self.exchange.run(self.trainhost)["write"]
        assert result.error is None, result.error
        return summaries(self.ours), summaries(self.theirs)


@pytest.fixture
def twins(trainhost, tmp_path):
    return Twins(trainhost, tmp_path)


def test_scalars_with_their_steps_and_times(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""local w <close> = SummaryWriter('{tmp_path}/a')
      for i = 0, 99 do w:add_scalar('loss', 1 / (i + 1), i) end
      w:add_scalar('tensor', torch.tensor{{{{2.5}}}}, torch.tensor(7))
      w:add_scalar('late', -1e30, 2^40, 12345.5)
      w:add_scalar('big', 1e300, 1)
      w:add_scalar('nan', 0/0, 3.0)
      w:add_scalar('true', true)
      w:add_scalar('a/ü', 1)""")
    before = time.time()
    a = load(tmp_path / "a")
    assert [event.step for event in a.Scalars("loss")] == list(range(100))
    assert [event.value for event in a.Scalars("loss")] == [numpy.float32(1 / (i + 1)) for i in range(100)]
    assert abs(a.Scalars("loss")[0].wall_time - before) < 600
    assert [(e.step, e.value) for e in a.Scalars("tensor")] == [(7, 2.5)]
    assert [(e.step, e.wall_time) for e in a.Scalars("late")] == [(2 ** 40, 12345.5)]
    assert a.Scalars("big")[0].value == numpy.inf
    assert numpy.isnan(a.Scalars("nan")[0].value) and a.Scalars("nan")[0].step == 3
    assert a.Scalars("true")[0].value == 1 and a.Scalars("a/ü")[0].value == 1
    first = events(tmp_path / "a")[0]
    assert first.file_version == "brain.Event:2" and first.step == 0


def test_scalars_of_the_new_style_are_pytorch_s(twins):
    twins.call("add_scalar", "single", 0.1, 3, new_style=True)
    twins.call("add_scalar", "double", 0.1, 3, new_style=True, double_precision=True)
    ours, theirs = twins.run()
    assert ours == theirs


def test_add_scalars_makes_pytorch_s_folders(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""local w <close> = SummaryWriter('{tmp_path}/lua')
      for i = 0, 2 do w:add_scalars('run/14h', {{xsinx = i, ['tan x'] = 2 * i}}, i) end""")
    with SummaryWriter(str(tmp_path / "python")) as w:
        for i in range(3):
            w.add_scalars("run/14h", {"xsinx": i, "tan x": 2 * i}, i)

    def folders(root):
        return sorted(str(path.parent.relative_to(root)) for path in root.rglob("events.*"))
    assert folders(tmp_path / "lua") == folders(tmp_path / "python")
    ours = load(tmp_path / "lua/run_14h_tan x")
    assert [(e.step, e.value) for e in ours.Scalars("run/14h")] == [(0, 0), (1, 2), (2, 4)]


def samples():
    generator = torch.Generator().manual_seed(7)
    normal = torch.randn(5000, generator=generator)
    yield "normal", normal
    yield "double", normal.double().reshape(50, 100).t()
    yield "half", normal.half()
    yield "bfloat16", normal.bfloat16()
    yield "integers", torch.randint(-50, 50, (1000,), generator=generator)
    yield "bytes", torch.arange(256, dtype=torch.uint8)
    yield "wide", torch.exp(20 * normal.double()) * torch.sign(normal)
    yield "positive", normal.abs() + 1
    yield "skewed", torch.exp(2 * normal)
    yield "zeros", torch.zeros(10)
    yield "one", torch.tensor([-3.25])
    yield "few", torch.tensor([1.0, 1.0, 2.0, 5.0, 5.5])
    yield "edges", torch.tensor([1e-12, -1e-12, 1.1e-12, 0.0, 1e19, -1e19], dtype=torch.float64)


RULES = ["auto", "fd", "doane", "scott", "stone", "rice", "sturges", "sqrt"]


def check_histogram(ours, theirs, what):
    ours, theirs = ours.histo, theirs.histo
    assert list(ours.bucket) == list(theirs.bucket), what
    assert list(ours.bucket_limit) == list(theirs.bucket_limit), what
    assert (ours.num, ours.min, ours.max) == (theirs.num, theirs.min, theirs.max), what
    assert ours.sum == theirs.sum, what
    assert ours.sum_squares == pytest.approx(theirs.sum_squares, rel=1e-12), what


@pytest.mark.parametrize("bins", ["tensorflow", 1, 7, 300] + RULES)
def test_histograms_are_pytorch_s_bucket_for_bucket(twins, bins):
    for name, values in samples():
        if name in ("wide", "edges") and bins in ("fd", "auto", "scott"):  # numpy takes more bins than it has memory
            continue
        twins.call("add_histogram", name, values, 1, bins=bins)
        twins.call("add_histogram", name + "/20", values, 1, bins=bins, max_bins=20)
    ours, theirs = twins.run()
    assert set(ours) == set(theirs) and len(ours) >= 22
    for name in theirs:
        check_histogram(ours[name], theirs[name], f"{name} by {bins}")


def test_histograms_by_edges_and_with_values_that_are_no_numbers(twins):
    values = torch.tensor([0.0, 1, 1, 2, 3, float("inf"), -float("inf"), 0.5])
    for i, edges in enumerate(([0.0, 1.0, 2.0], [0.5, 0.5, 1.0, 3.0], [-10.0, 10.0])):
        twins.call("add_histogram", f"edges{i}", values, 1, bins=torch.tensor(edges, dtype=torch.float64))
    twins.call("add_histogram", "infinite", values, 2)
    ours, theirs = twins.run()
    for name in theirs:
        assert list(ours[name].histo.bucket) == list(theirs[name].histo.bucket), name
        assert list(ours[name].histo.bucket_limit) == list(theirs[name].histo.bucket_limit), name


def test_the_real_tensorboard_shows_histograms(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""local w <close> = SummaryWriter('{tmp_path}/a')
      for i = 0, 4 do w:add_histogram('h', torch.arange(10.0) + i, i, {{bins = 5}}) end
      w:add_histogram_raw('raw', 0, 1, 3, 1.5, 1.25, {{0.5, 1}}, torch.tensor{{2, 1}}, 3)""")
    a = load(tmp_path / "a")
    assert [event.step for event in a.Histograms("h")] == list(range(5))
    assert a.Histograms("h")[4].histogram_value.bucket == [0, 2, 2, 2, 2, 2]
    raw = a.Histograms("raw")[0].histogram_value
    assert (raw.min, raw.max, raw.num, raw.sum, raw.sum_squares) == (0, 1, 3, 1.5, 1.25)
    assert (raw.bucket_limit, raw.bucket) == ([0.5, 1], [2, 1])


def pixels(value):
    return numpy.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))


def test_images_are_pytorch_s_in_size_and_pixels(twins):
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(3, 11, 13, generator=generator)
    twins.call("add_image", "chw", image, 1)
    twins.call("add_image", "outside", image * 3 - 1, 1)
    twins.call("add_image", "hwc", image.permute(1, 2, 0), 1, dataformats="HWC")
    twins.call("add_image", "hw", image[0], 1, dataformats="HW")
    twins.call("add_image", "wh", image[0], 1, dataformats="WH")
    twins.call("add_image", "grey", image[:1], 1)
    twins.call("add_image", "opacity", torch.rand(4, 5, 6, generator=generator), 1)
    twins.call("add_image", "grey and opacity", torch.rand(2, 5, 6, generator=generator), 1)
    twins.call("add_image", "bytes", (image * 255).byte(), 1)
    twins.call("add_image", "double", image.double(), 1)
    twins.call("add_images", "batch", torch.rand(10, 3, 4, 5, generator=generator), 1)
    twins.call("add_images", "few", torch.rand(3, 1, 4, 5, generator=generator), 1)
    twins.call("add_images", "nhwc", (torch.rand(9, 4, 5, 3, generator=generator) * 255).byte(), 1, dataformats="NHWC")
    ours, theirs = twins.run()
    for name in theirs:
        a, b = ours[name].image, theirs[name].image
        assert (a.height, a.width, a.colorspace) == (b.height, b.width, b.colorspace), name
        assert numpy.array_equal(pixels(ours[name]), pixels(theirs[name])), name


def test_boxes_are_drawn_in_red_where_they_are(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""local w <close> = SummaryWriter('{tmp_path}/a')
      local boxes = torch.tensor{{{{4., 6, 30, 20}}, {{-5., -5, 500, 500}}}}
      w:add_image_with_boxes('plain', torch.zeros(3, 40, 50), boxes:narrow(0, 0, 1), 0)
      w:add_image_with_boxes('labels', torch.zeros(3, 40, 50), boxes, 0, {{labels = {{'cat', 'dog'}}, rescale = 2}})""")
    found = summaries(tmp_path / "a")
    plain = pixels(found["plain"])
    red = numpy.argwhere((plain == [255, 0, 0]).all(axis=2))
    assert red.min(axis=0).tolist() in ([5, 3], [6, 4]) and red.max(axis=0).tolist() in ([20, 30], [21, 31])
    assert not plain[10:18, 8:28].any() and (plain[:, :, 1:] == 0).all()
    assert pixels(found["labels"]).shape == (80, 100, 3)


def test_films_are_animations_and_sounds_are_wav_files(twins, trainhost, tmp_path):
    sound = torch.sin(torch.arange(2000) * 0.05)
    twins.call("add_audio", "sound", sound.unsqueeze(0), 3, sample_rate=8000)
    twins.call("add_audio", "loud", 2 * sound, 3)
    ours, theirs = twins.run()
    assert ours == theirs
    with wave.open(io.BytesIO(ours["sound"].audio.encoded_audio_string)) as file:
        assert (file.getframerate(), file.getnframes(), file.getsampwidth()) == (8000, 2000, 2)
    film = torch.rand(3, 4, 3, 6, 7, generator=torch.Generator().manual_seed(1))
    exchange = Exchange(tmp_path)
    exchange.case("film", f"""local w <close> = torch.utils.tensorboard.SummaryWriter('{tmp_path}/film')
      w:add_video('v', {exchange.tensor(film)}, 5, 10) return true""")
    assert exchange.run(trainhost)["film"].error is None
    from torch.utils.tensorboard._utils import _prepare_video
    frames = (torch.from_numpy(_prepare_video(film.numpy())).float() * 255).clip(0, 255).byte().numpy()
    value = load(tmp_path / "film").Images("v")[0]
    picture = Image.open(io.BytesIO(value.encoded_image_string))
    assert picture.n_frames == 4 and (picture.height, picture.width) == frames.shape[1:3] and value.step == 5
    for i in range(4):
        picture.seek(i)
        assert numpy.array_equal(numpy.asarray(picture.convert("RGB")), frames[i])
        assert picture.info["duration"] == 100


def test_text_tensors_curves_layouts_and_meshes_are_pytorch_s(twins):
    generator = torch.Generator().manual_seed(5)
    labels, scores = torch.randint(0, 2, (500,), generator=generator), torch.rand(500, generator=generator)
    twins.call("add_text", "lstm", "# An *lstm*\nü", 4)
    for dtype in (torch.float32, torch.float64, torch.int32, torch.int64, torch.int16, torch.int8, torch.bool,
                  torch.complex64, torch.complex128):
        twins.call("add_tensor", str(dtype), torch.tensor([[0, 1, 2], [3, -4, 5]]).to(dtype), 2)
    twins.call("add_pr_curve", "pr", labels, scores, 3)
    twins.call("add_pr_curve", "pr/few", labels, scores, 3, num_thresholds=10)
    twins.call("add_pr_curve_raw", "raw", *[torch.tensor([2.0, 1.0])] * 6, 3, num_thresholds=2)
    twins.call("add_custom_scalars_multilinechart", ["a/b", "a/c"])
    corners = torch.rand(1, 4, 3, generator=generator)
    faces = torch.tensor([[[0, 2, 3], [0, 3, 1]]], dtype=torch.int32)
    twins.call("add_mesh", "mesh", corners, global_step=3, faces=faces,
               colors=torch.randint(0, 255, (1, 4, 3), generator=generator))
    twins.call("add_mesh", "cloud", corners, global_step=3)
    ours, theirs = twins.run()
    assert set(ours) == set(theirs)
    for name in theirs:
        assert ours[name] == theirs[name], name
    loaded = load(twins.ours)
    assert loaded.Tensors("lstm/text_summary")[0].tensor_proto.string_val == ["# An *lstm*\nü".encode()]
    assert loaded.Tensors("pr")[0].step == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.uint8])
def test_tensors_that_pytorch_writes_amiss_are_read_by_tensorboard(trainhost, tmp_path, dtype):
    values = torch.tensor([1.5, 0, 200, 3]).to(dtype)
    exchange = Exchange(tmp_path)
    exchange.case("x", f"""local w <close> = torch.utils.tensorboard.SummaryWriter('{tmp_path}/a')
      w:add_tensor('t', {exchange.tensor(values)}, 1) return true""")
    assert exchange.run(trainhost)["x"].error is None
    found = tensor_util.make_ndarray(load(tmp_path / "a").Tensors("t")[0].tensor_proto)
    assert found.astype(numpy.float64).tolist() == values.double().tolist()


def test_layouts_of_several_charts(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""local w <close> = SummaryWriter('{tmp_path}/lua')
      w:add_custom_scalars{{Taiwan = {{twse = {{'Multiline', {{'twse/0050', 'twse/2330'}}}}}},
        USA = {{dow = {{'Margin', {{'dow/a', 'dow/b', 'dow/c'}}}}, nasdaq = {{'Margin', {{'n/a', 'n/b', 'n/c'}}}}}}}}""")
    with SummaryWriter(str(tmp_path / "python")) as w:
        w.add_custom_scalars({"Taiwan": {"twse": ["Multiline", ["twse/0050", "twse/2330"]]},
                              "USA": {"dow": ["Margin", ["dow/a", "dow/b", "dow/c"]],
                                      "nasdaq": ["Margin", ["n/a", "n/b", "n/c"]]}})
    assert summaries(tmp_path / "lua") == summaries(tmp_path / "python")


def hparams_of(folder):
    found = summaries(folder)
    content = {tag: plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
               for tag, value in found.items() if tag.startswith("_hparams_/")}
    return content, {tag: value.simple_value for tag, value in found.items() if tag not in content}


def test_hyperparameters_are_pytorch_s(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""local w <close> = SummaryWriter('{tmp_path}/lua')
      w:add_hparams({{lr = 0.1, bsize = 3, opt = 'adam', scale = torch.tensor(2.5)}},
        {{['hparam/accuracy'] = 10, ['hparam/loss'] = 0.5}}, {{bsize = {{3, 4}}}}, 'first', 7)
      w:add_hparams({{bn = true}}, {{m = 1}}, {{run_name = 'second'}})
      w:add_hparams({{lr = 1}}, {{m = 1}})""")
    with SummaryWriter(str(tmp_path / "python")) as w:
        w.add_hparams({"bsize": 3, "lr": 0.1, "opt": "adam", "scale": torch.tensor(2.5).item()},
                      {"hparam/accuracy": 10, "hparam/loss": 0.5}, {"bsize": [3, 4]}, "first", 7)
    ours, our_metrics = hparams_of(tmp_path / "lua/first")
    theirs, their_metrics = hparams_of(tmp_path / "python/first")
    assert ours == theirs and our_metrics == their_metrics and len(ours) == 3
    second, _ = hparams_of(tmp_path / "lua/second")
    assert second["_hparams_/session_start_info"].session_start_info.hparams["bn"].bool_value is True
    assert len([path for path in (tmp_path / "lua").iterdir() if path.is_dir()]) == 3


def test_an_embedding_has_pytorch_s_files(twins):
    generator = torch.Generator().manual_seed(5)
    points, images = torch.randn(5, 3, generator=generator), torch.rand(5, 3, 4, 6, generator=generator)
    twins.call("add_embedding", points, metadata=["a", "b", "c", "d", "e"], label_img=images, global_step=3)
    twins.call("add_embedding", points.double(), metadata=[["a", 1], ["b", 2], ["c", 3], ["d", 4], ["e", 5]],
               metadata_header=["name", "n"], tag="two/three")
    twins.run()

    def files(root):
        return {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file() and "tfevents" not in path.name}
    ours, theirs = files(twins.ours), files(twins.theirs)
    assert set(ours) == set(theirs) and len(ours) == 6
    for name in theirs:
        if name.endswith(".png"):
            assert numpy.array_equal(numpy.asarray(Image.open(ours[name])), numpy.asarray(Image.open(theirs[name])))
        elif name.endswith(".pbtxt"):
            ours_config, theirs_config = (text_format.Parse(files[name].read_text(), projector_config_pb2.ProjectorConfig())
                                          for files in (ours, theirs))
            assert ours_config == theirs_config
        else:
            assert ours[name].read_text() == theirs[name].read_text(), name


NET = """
local nn = torch.nn
local Block = nn.class("Block")
function Block:__init(n) self.conv = nn.Conv2d(n, n, 3, {padding = 1}) self.bn = nn.BatchNorm2d(n) end
function Block:forward(x) return torch.relu(self.bn(self.conv(x)) + x) end
local net = nn.Sequential(nn.Conv2d(3, 4, 1), Block(4), nn.Flatten(), nn.Linear(4 * 36, 2))
"""


def test_the_graph_has_the_modules_their_parameters_and_what_flows(trainhost, tmp_path):
    trainhost.lua(HEAD + NET + f"""local w <close> = SummaryWriter('{tmp_path}/a')
      w:add_graph(net, torch.rand(2, 3, 6, 6))
      local v <close> = SummaryWriter('{tmp_path}/b')
      v:add_graph(net)""")
    a = load(tmp_path / "a")
    nodes = {node.name: node for node in a.Graph().node}
    conv, bn = "Sequential/Block[1]/Conv2d[conv]/", "Sequential/Block[1]/BatchNorm2d[bn]/"
    assert nodes[conv + "weight"].op == "Parameter" and nodes[bn + "running_mean"].op == "Buffer"
    assert [dim.size for dim in nodes[conv + "weight"].attr["_output_shapes"].list.shape[0].dim] == [4, 4, 3, 3]
    assert nodes[conv + "Conv2d"].op == "Conv2d" and conv + "weight" in nodes[conv + "Conv2d"].input
    assert "Sequential/Conv2d[0]/Conv2d" in nodes[conv + "Conv2d"].input
    flatten = nodes["Sequential/Flatten[2]/Flatten"].input
    assert {bn + "BatchNorm2d", "Sequential/Conv2d[0]/Conv2d"} <= set(flatten), "the residual connection"
    assert nodes["output/output"].input == ["Sequential/Linear[3]/Linear"]
    assert [dim.size for dim in nodes["Sequential/Linear[3]/Linear"].attr["_output_shapes"].list.shape[0].dim] == [2, 2]
    for node in nodes.values():
        assert all(name in nodes for name in node.input)
    assert a.Tags()["run_metadata"] == ["step1"]
    assert {node.op for node in load(tmp_path / "b").Graph().node} >= {"Conv2d", "Block", "Linear", "Parameter"}


def test_purge_step_hides_what_came_after(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""do local w <close> = SummaryWriter('{tmp_path}/a')
        for i = 0, 9 do w:add_scalar('loss', i, i) end end
      local w <close> = SummaryWriter{{log_dir = '{tmp_path}/a', purge_step = 5, filename_suffix = '.z'}}
      for i = 5, 6 do w:add_scalar('loss', 100 + i, i) end""")
    found = [(event.step, event.value) for event in load(tmp_path / "a").Scalars("loss")]
    assert found == [(i, i) for i in range(5)] + [(5, 105), (6, 106)]


def test_two_writers_of_a_raw_loop_are_read(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""
      local F = torch.nn.functional
      torch.manual_seed(0)
      local model = torch.nn.Linear(4, 1)
      local opt = torch.optim.SGD(model:parameters(), {{lr = 0.1}})
      local x, v = torch.randn(32, 4), torch.randn(16, 4)
      local train, valid = SummaryWriter('{tmp_path}/runs/train'), SummaryWriter('{tmp_path}/runs/validation')
      for epoch = 0, 4 do
        opt:zero_grad()
        local loss = F.mse_loss(model(x), x:sum(1, true))
        loss:backward()
        opt:step()
        train:add_scalar('loss', loss, epoch)
        train:add_histogram('weight', model.weight, epoch)
        valid:add_scalar('loss', F.mse_loss(model(v), v:sum(1, true)):item(), epoch)
      end
      train:close() valid:close()""")
    for phase in ("train", "validation"):
        losses = [event.value for event in load(tmp_path / "runs" / phase).Scalars("loss")]
        assert len(losses) == 5 and losses == sorted(losses, reverse=True)
    assert len(load(tmp_path / "runs/train").Histograms("weight")) == 5


def test_the_callback_s_files_are_read(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""local train = require 'train'
      torch.manual_seed(0)
      local x = torch.randn(10, 3)
      local set = torch.utils.data.TensorDataset(x, x:sum(1, {{keepdim = true}}))
      local loader = torch.utils.data.DataLoader(set, {{batch_size = 4}})
      local model = torch.nn.Sequential(torch.nn.Linear(3, 1))
      train.fit{{model = model, optimizer = torch.optim.SGD(model:parameters(), {{lr = 0.1}}), quiet = true,
        loss = torch.nn.functional.mse_loss, train = loader, valid = loader, epochs = 4,
        metrics = {{mae = function(p, t) return (p - t):abs():mean() end}},
        callbacks = {{train.ReduceLROnPlateau{{monitor = 'loss', patience = 0, min_delta = 1e9, factor = 0.5}},
          train.TensorBoard{{log_dir = '{tmp_path}/logs', histogram_freq = 2, update_freq = 2}},
          train.CSVLogger('{tmp_path}/log.csv')}}}}""")
    train, valid = load(tmp_path / "logs/train"), load(tmp_path / "logs/validation")
    header, *rows = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    rows = [dict(zip(header, map(float, row))) for row in rows]
    for name in ("loss", "mae"):
        assert [(e.step, e.value) for e in train.Scalars(f"epoch_{name}")] == [
            (i, pytest.approx(row[name], rel=1e-6)) for i, row in enumerate(rows)]
        assert [(e.step, e.value) for e in valid.Scalars(f"epoch_{name}")] == [
            (i, pytest.approx(row[f"val_{name}"], rel=1e-6)) for i, row in enumerate(rows)]
        assert [e.step for e in train.Scalars(f"batch_{name}")] == [2, 4, 6, 8, 10, 12]
    assert [e.value for e in train.Scalars("epoch_learning_rate")] == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    assert [e.step for e in valid.Scalars("evaluation_loss_vs_iterations")] == [3, 6, 9, 12]
    assert set(train.Tags()["histograms"]) == {f"0.{w}/{k}" for w in ("weight", "bias") for k in ("histogram", "gradient")}
    assert [e.step for e in train.Histograms("0.weight/histogram")] == [0, 2]
    assert {"input/input", "Sequential/Linear[0]/Linear"} <= {node.name for node in train.Graph().node}
    assert not valid.Tags()["graph"] and not any(tag.startswith("epoch_val") for tag in train.Tags()["scalars"])


def test_what_the_gradient_monitor_counts_is_read(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""local train = require 'train'
      local model = torch.nn.Sequential(torch.nn.Linear(3, 1))
      train.fit{{model = model, optimizer = 'sgd', loss = 'mse', quiet = true, train = {{torch.ones(8, 3), torch.ones(8, 1)}},
        batch_size = 2, epochs = 2, callbacks = {{train.GradientMonitor{{log_freq = 4, histograms = true, bins = 8}},
          train.TensorBoard{{log_dir = '{tmp_path}/logs', write_graph = false}}}}}}""")
    found = load(tmp_path / "logs/train")
    tags = {f"{kind}/0.{name}" for kind in ("weights", "gradients") for name in ("weight", "bias")}
    assert set(found.Tags()["histograms"]) == tags
    for tag in tags:
        taken = found.Histograms(tag)
        assert len(taken) == 2 and taken[1].step - taken[0].step == 4
        for event in taken:
            value = event.histogram_value
            assert sum(value.bucket) == value.num == (3 if tag.endswith("weight") else 1)
            assert value.bucket_limit[-1] >= value.max and len(value.bucket) <= 8


def start(trainhost, code, **options):
    return subprocess.Popen([str(trainhost.path), "-e", HEAD + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **options)


def test_the_default_folder_is_pytorch_s(trainhost, tmp_path):
    done = start(trainhost, "local w <close> = SummaryWriter{comment = '_LR'} print(w:get_logdir())", cwd=tmp_path)
    folder = done.communicate(timeout=60)[0].strip()
    assert folder.startswith("runs/") and folder.endswith(f"_{os.uname().nodename}_LR")
    time.strptime(folder[5:].split("_" + os.uname().nodename)[0], "%b%d_%H-%M-%S")
    assert len(events(tmp_path / folder)) == 1


def test_a_killed_process_leaves_a_file_that_is_read(trainhost, tmp_path):
    process = start(trainhost, f"""local w = SummaryWriter('{tmp_path}/a')
      for i = 0, 999 do w:add_scalar('loss', i, i) end
      w:flush()
      print('flushed') io.stdout:flush()
      local i = 1000
      while true do w:add_scalar('loss', i, i) i = i + 1 end""")
    assert process.stdout.readline() == "flushed\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    found = [event.step for event in load(tmp_path / "a").Scalars("loss")]
    assert found == list(range(len(found))) and len(found) >= 1000


def test_a_process_that_ends_without_close_loses_nothing(trainhost, tmp_path):
    trainhost.lua(HEAD + f"""W = SummaryWriter('{tmp_path}/a')
      for i = 0, 4999 do W:add_scalar('loss', i, i) end""")
    assert len(load(tmp_path / "a").Scalars("loss")) == 5000


def test_a_full_disk_is_warned_of_once_and_stops_nothing(trainhost, tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    process = start(trainhost, f"""local w = SummaryWriter('{tmp_path}/a')
      for i = 0, 999 do w:add_scalar('loss', i, i) end
      w:flush()
      for i = 1000, 1999 do w:add_scalar('loss', i, i) end
      w:close()
      print('the training went on')""", preexec_fn=limit, restore_signals=False)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0 and out == "the training went on\n", err
    assert err.count("cannot write") == 1, err
    found = [event.step for event in load(tmp_path / "a").Scalars("loss")]
    assert found == list(range(len(found))) and 20 < len(found) < 200
