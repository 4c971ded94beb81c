# trainhost plot: runs that mlflow.callback has logged, in a terminal, through a pipe, into a file.
import hashlib
import os
import re
import sqlite3
import struct
import subprocess
import xml.etree.ElementTree
import zlib

import pytest
from terminal import on_terminal

TRAINING = """
local train, mlflow = require "train", require "mlflow"
for _, run in ipairs{{"first", 1}, {"second", 2}, {"twin", 3}, {"twin", 4}} do
  local active <close> = mlflow.start_run{run_name = run[1]}
  print(active.info.run_id)
  train.fit{train = {{1}}, valid = {{1}}, epochs = 20, quiet = true,
    step = function(state) return run[2] * 0.5 ^ state.epoch + (state.phase == "train" and 0 or 0.1) end,
    callbacks = {mlflow.callback(), train.CSVLogger{filename = run[1] .. ".csv"}}}
end
"""
UTF8 = {"LC_ALL": "C.UTF-8", "NO_COLOR": ""}
PLAIN = {"LC_ALL": "C", "MLFLOW_TRACKING_URI": ""}


@pytest.fixture(scope="module")
def work(trainhost, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plot")
    (folder / "train.lua").write_text(TRAINING)
    ids = trainhost.run("train.lua", cwd=folder, env={"MLFLOW_TRACKING_URI": ""}).stdout.split()
    assert len(ids) == 4
    return folder, ids


def bare(line):
    return re.sub(r"\x1b\[\d*m", "", line)


def braille(lines):
    return sum(0x2800 < ord(c) < 0x2900 for line in lines for c in line)


@pytest.mark.parametrize("columns, rows", [(100, 30), (50, 16)])
def test_a_terminal_is_filled_with_coloured_braille(trainhost, work, columns, rows):
    lines = on_terminal(trainhost, work[0], ["plot", "first"], columns, rows, UTF8)
    assert len(lines) == rows - 1
    assert max(len(bare(line)) for line in lines) in (columns - 1, columns)
    assert "loss" in lines[0] and "val_loss" in lines[0] and "\x1b[34m" in lines[0] and "\x1b[31m" in lines[0]
    assert braille(lines[1:]) > columns
    assert bare(lines[-1]).startswith("step") and bare(lines[-1]).split()[1] == "0"
    for line in lines:
        assert line.count("\x1b[0m") * 2 == line.count("\x1b[")


def test_no_color_and_another_locale_are_respected(trainhost, work):
    lines = on_terminal(trainhost, work[0], ["plot", "first", "loss"], 60, 20, {**UTF8, "NO_COLOR": "1"})
    assert braille(lines) > 30 and not any("\x1b" in line for line in lines)
    lines = on_terminal(trainhost, work[0], ["plot", "first", "loss", "--no-color"], 60, 20, {"LC_ALL": "C"})
    assert all(line.isascii() for line in lines) and sum(line.count("*") for line in lines) > 50


def test_a_pipe_gets_80_columns_without_colours(trainhost, work):
    out = trainhost.run("plot", "first", cwd=work[0], env={**PLAIN, **UTF8}).stdout
    assert "\x1b" not in out and braille(out.splitlines()) > 60 and max(map(len, out.splitlines())) <= 80
    assert out.startswith("a loss ") and "  b val_loss " in out.splitlines()[0]
    plain = trainhost.run("plot", "first", "--ascii", "--width", 50, "--height=14", cwd=work[0], env={**PLAIN, **UTF8}).stdout
    assert plain.isascii() and max(map(len, plain.splitlines())) <= 50 and plain.count("\n") == 14
    assert plain.startswith("* loss 1.907e-06  + val_loss 0.1")


def test_runs_are_found_by_id_beginning_name_and_file(trainhost, work):
    folder, ids = work
    first = trainhost.run("plot", "first", "loss", cwd=folder, env=PLAIN).stdout
    begin = next(ids[0][:n] for n in range(1, 33) if sum(each.startswith(ids[0][:n]) for each in ids) == 1)
    for word in (ids[0], begin, begin.upper()):
        assert trainhost.run("plot", word, "loss", cwd=folder, env=PLAIN).stdout == first
    of_file = trainhost.run("plot", "first.csv", "loss", cwd=folder, env=PLAIN).stdout
    assert of_file.splitlines()[0] == first.splitlines()[0] and of_file.count("\n") == first.count("\n")
    assert of_file.splitlines()[-1].startswith("epoch") and of_file.split()[-1] == "20"
    both = trainhost.run("plot", "first", "second", "loss", "val_loss", cwd=folder, env=PLAIN).stdout
    assert all(f"{run} {name} " in both for run in ("first", "second") for name in ("loss", "val_loss"))
    mixed = trainhost.run("plot", "first", "second.csv", "loss", cwd=folder, env=PLAIN).stdout
    assert "first loss" in mixed and "second.csv loss" in mixed and mixed.splitlines()[-1].startswith("step")
    elsewhere = trainhost.run("plot", "--store", folder / "mlflow.db", "--run", "first", "--metric", "loss", cwd="/", env=PLAIN)
    assert elsewhere.stdout == first
    by_uri = trainhost.run("plot", "first", "loss", cwd="/", env={**PLAIN, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"})
    assert by_uri.stdout == first


def test_log_scale_makes_an_exponential_a_straight_line(trainhost, work):
    out = trainhost.run("plot", "first", "loss", "--log", "--ascii", "--height", 30, cwd=work[0], env=PLAIN).stdout.splitlines()
    rows = [line.split("|", 1)[-1].split("+", 1)[-1] for line in out[1:-2]]
    starts = [row.index("*") for row in rows if "*" in row]
    steps = [b - a for a, b in zip(starts, starts[1:])]
    assert len(starts) > 20 and max(steps) - min(steps) <= 2
    assert any(line.split()[0] == "1e-05" for line in out)


def read_png(data):
    """Width, height and the rows of a PNG file of 8 bits without filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, *form = struct.unpack(">IIBBBBB", body)
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    assert form == [8, 2, 0, 0, 0]
    raw, stride = zlib.decompress(packed), width * 3 + 1
    assert len(raw) == stride * height and all(raw[y * stride] == 0 for y in range(height))
    return width, height, [raw[y * stride + 1:(y + 1) * stride] for y in range(height)]


def test_out_writes_pictures(trainhost, work, tmp_path):
    folder, png, svg = work[0], tmp_path / "a.png", tmp_path / "a.svg"
    words = ["first", "second", "--log", "--title", "two runs"]
    assert trainhost.run("plot", *words, "--out", png, cwd=folder, env=PLAIN).stdout == f"{png}\n"
    width, height, rows = read_png(png.read_bytes())
    assert (width, height) == (720, 440)

    def places(color):
        found = [(x, y) for y, row in enumerate(rows) for x in range(width) if tuple(row[3 * x:3 * x + 3]) == color]
        return [x for x, _ in found], [y for _, y in found]

    blue, red = places((0x1f, 0x77, 0xb4)), places((0xd6, 0x27, 0x28))
    for xs, ys in (blue, red):
        assert len(xs) > 400 and max(xs) - min(xs) > 500 and max(ys) - min(ys) > 200
    assert min(y for x, y in zip(*red) if x < 120) < min(y for x, y in zip(*blue) if x < 120), "twice the loss lies higher"
    assert trainhost.run("plot", *words, "--out", svg, cwd=folder, env=PLAIN).returncode == 0
    texts = [each.text for each in xml.etree.ElementTree.parse(svg).getroot().iter("{http://www.w3.org/2000/svg}text")]
    for text in ("two runs", "step", "first loss", "first val_loss", "second loss", "second val_loss"):
        assert text in texts


@pytest.mark.parametrize("words, code, says", [
    (["first", "lss"], 2, r"'lss' is neither a metric of this run nor a run; did you mean 'loss'\? valid: loss, val_loss"),
    (["thrid"], 2, r"'thrid' is no run of .*mlflow\.db', .*there are:\n(  [0-9a-f]{32}  .*FINISHED  (first|second|twin)\n){4}"),
    ([], 2, r"which run\? .*\n(  [0-9a-f]{32}  .*\n){4}"),
    (["twin"], 2, r"'twin' is the name or the beginning of the id of 2 runs; .*\n(  [0-9a-f]{32}  .*twin\n){2}"),
    (["none.csv"], 2, r"there is no file 'none\.csv'"),
    (["first", "--widht", "3"], 2, r"unknown option '--widht'; did you mean '--width'\?"),
    (["first", "--width", "wide"], 2, r"--width expects a whole number above 0, got 'wide'"),
    (["first", "--out"], 2, r"--out expects a value"),
    (["first", "--out", "x.gif"], 2, r"must end in \.svg or \.png, got 'x\.gif'"),
    (["first", "--out", "/none/x.png"], 1, r"/none"),
    (["--store", "none.db", "first"], 2, r"there is no store 'none\.db' \(--uri names an mlflow\.db or a tracking server\)"),
    (["--store", "train.lua", "first"], 1, r"mlflow: .*'train\.lua'"),
])
def test_what_is_wrong_is_told_with_what_is_there(trainhost, work, words, code, says):
    done = trainhost.run("plot", *words, cwd=work[0], env=PLAIN, check=False)
    assert done.returncode == code and done.stdout == ""
    assert re.match(r"trainhost plot: " if code == 2 else "trainhost plot: .*", done.stderr) and re.search(says, done.stderr), done.stderr
    assert not (work[0] / "none.db").exists()


def test_the_store_is_not_written_and_no_file_is_left(trainhost, work):
    folder = work[0]
    before = hashlib.sha256((folder / "mlflow.db").read_bytes()).digest(), sorted(os.listdir(folder))
    trainhost.run("plot", "first", cwd=folder, env=PLAIN)
    assert (hashlib.sha256((folder / "mlflow.db").read_bytes()).digest(), sorted(os.listdir(folder))) == before


def test_a_run_that_goes_on_and_one_logged_twice_are_drawn(trainhost, work):
    """The store is open in another process; of two points at one step the later one counts."""
    folder, ids = work
    writer = sqlite3.connect(folder / "mlflow.db")
    rows = [("again", value, when, ids[1], step, 0) for step, when, value in
            [(0, 1, 5.0), (1, 2, 5.0), (0, 3, 1.0), (1, 4, 2.0), (2, 5, float("inf"))]]
    writer.executemany("INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)",
                       [(k, min(v, 1.7976931348623157e308), t, r, s, n) for k, v, t, r, s, n in rows])
    writer.execute("INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('again', 2.0, 4, ?, 1, 0)",
                   (ids[1],))
    writer.commit()
    out = trainhost.run("plot", "second", "again", "--ascii", cwd=folder, env=PLAIN).stdout
    assert out.startswith("* again inf\n")
    labels = [float(word) for word in re.findall(r"^ *([\d.]+) \+", out, re.M)]
    assert min(labels) >= 0.9 and max(labels) <= 2.1
    writer.execute("DELETE FROM metrics WHERE key = 'again'")
    writer.execute("DELETE FROM latest_metrics WHERE key = 'again'")
    writer.commit()
    writer.close()


def test_help_is_shown(trainhost):
    assert "RUN|FILE ... [METRIC ...]" in trainhost.run("plot", "--help").stdout
    assert "trainhost plot RUN" in trainhost.run("--help").stdout


def test_a_closed_pipe_is_no_error(trainhost, work):
    command = f"'{trainhost.path}' plot first | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=work[0], capture_output=True, text=True, env={**os.environ, **PLAIN}, timeout=60)
    assert done.stdout.startswith("* loss") and done.stderr == ""
