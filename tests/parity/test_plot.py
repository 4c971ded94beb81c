# nn.plot's files as other programs read them: DOT, XML, PNG.
import re
import struct
import xml.etree.ElementTree
import zlib

import numpy
import pytest

NET = """
local torch = require 'torch'
local nn = torch.nn
local Block = nn.class("Block")
function Block:__init(n)
  self.conv = nn.Conv2d(n, n, 3, {padding = 1})
  self.bn = nn.BatchNorm2d(n)
end
function Block:forward(x) return torch.relu(self.bn(self.conv(x)) + x) end
local net = nn.Sequential(nn.Conv2d(3, 4, 1), Block(4), Block(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
local Odd = nn.class('A<"B">&C')
function Odd:forward(x) return x * 2 end
net:append(Odd())
nn.plot(net, arg[1], {input = {2, 3, 8, 8}, show_shapes = true})
"""
LAYERS = ["0: Conv2d", "1.conv: Conv2d", "1.bn: BatchNorm2d", "2.conv: Conv2d", "2.bn: BatchNorm2d",
          "3: AdaptiveAvgPool2d", "4: Flatten", "5: Linear", '6: A<"B">&C']
EDGES = {("input", "0"), ("0", "1.conv"), ("1.conv", "1.bn"), ("1.bn", "2.conv"), ("0", "2.conv"), ("2.conv", "2.bn"),
         ("0", "3"), ("1.bn", "3"), ("2.bn", "3"), ("3", "4"), ("4", "5"), ("5", "6"), ("6", "output")}


@pytest.fixture(scope="module")
def drawn(trainhost, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plot")
    files = {kind: folder / f"net.{kind}" for kind in ("dot", "svg", "png")}
    code = NET.replace("arg[1]", "file")
    trainhost.lua("for _, file in ipairs{" + ", ".join(f"'{file}'" for file in files.values()) + "} do" + code + " end")
    return files


def dot_tokens(text):
    """The tokens of a DOT file; fails for what is none."""
    pattern = re.compile(r'\s+|("(?:[^"\\]|\\.)*"|->|[A-Za-z_][A-Za-z_0-9]*|[{}\[\];=,])')
    at, tokens = 0, []
    while at < len(text):
        match = pattern.match(text, at)
        assert match, f"no DOT: {text[at:at + 20]!r}"
        at = match.end()
        if match.group(1):
            tokens.append(match.group(1))
    return tokens


def test_the_dot_file_has_every_layer_and_the_edges_of_a_residual_net(drawn):
    tokens = dot_tokens(drawn["dot"].read_text())
    assert tokens[0] == "digraph" and tokens[2] == "{" and tokens[-1] == "}"
    statements, current = [], []
    for token in tokens[3:-1]:
        if token == ";":
            statements.append(current)
            current = []
        else:
            current.append(token)
    assert not current
    names, edges = {}, set()
    for words in statements:
        if words[0] == "node":
            continue
        if words[1] == "->":
            edges.add((words[0], words[2]))
        else:
            assert words[1:4] == ["[", "label", "="] and words[-1] == "]"
            names[words[0]] = words[4][1:-1].replace('\\"', '"').split("\\n")
    assert [each[0] for each in names.values()] == ["input", *LAYERS, "output"]
    assert names["n3"] == ["1.conv: Conv2d", "input: [2, 4, 8, 8]", "output: [2, 4, 8, 8]"]
    short = {node: lines[0].split(":")[0] for node, lines in names.items()}
    assert {(short[a], short[b]) for a, b in edges} == EDGES


def test_the_svg_file_is_xml_with_all_names_inside_the_picture(drawn):
    root = xml.etree.ElementTree.parse(drawn["svg"]).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == space + "svg"
    width, height = int(root.get("width")), int(root.get("height"))
    texts = [each.text for each in root.iter(space + "text")]
    assert all(name in texts for name in LAYERS)
    assert texts.count("output: [2, 4, 8, 8]") == 5
    boxes = [tuple(int(each.get(k)) for k in ("x", "y", "width", "height")) for each in list(root.iter(space + "rect"))[1:]]
    assert len(boxes) == len(LAYERS) + 2
    for x, y, w, h in boxes:
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[i + 1:]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, "boxes overlap"


def read_png(path):
    """The pixels of a PNG file of 8 bits without interlacing."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, header = 8, b"", None
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
        header = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else header
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    assert kind == b"IEND" and header[2:] == (8, 2, 0, 0, 0)
    rows = numpy.frombuffer(zlib.decompress(packed), numpy.uint8).reshape(header[1], header[0] * 3 + 1)
    assert (rows[:, 0] == 0).all()
    return rows[:, 1:].reshape(header[1], header[0], 3)


def test_the_png_file_shows_boxes_with_text_and_lines(drawn):
    try:
        from PIL import Image
        pixels = numpy.asarray(Image.open(drawn["png"]))
    except ImportError:
        pixels = read_png(drawn["png"])
    colors = {tuple(color) for color in pixels.reshape(-1, 3)}
    assert colors == {(255, 255, 255), (34, 34, 34), (85, 85, 85), (74, 111, 165), (238, 243, 251), (243, 243, 243)}
    column = (pixels == (74, 111, 165)).all(axis=2)
    tops = [y for y in range(1, len(column)) if column[y].sum() > 60 and column[y - 1].sum() <= 60]
    assert len(tops) == 2 * (len(LAYERS) + 2)  # upper and lower edges of one box a layer
