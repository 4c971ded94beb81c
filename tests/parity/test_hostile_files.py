# Files made to exhaust or to mislead: an error of kind io, or a value, in at most twice the file's size and 64 MB.
import io
import json
import struct
import zipfile
import zlib

import pytest
import torch

MEBIBYTE = 1 << 20


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s


def name(module, what):
    return b"c" + module + b"\n" + what + b"\n"


def storage(kind=b"FloatStorage", key=b"0", count=b"K\x06"):
    return b"(" + text(b"storage") + name(b"torch", kind) + text(key) + text(b"cpu") + count + b"tQ"


def tensor(size, stride, offset=b"K\0", of=storage()):
    return name(b"torch._utils", b"_rebuild_tensor_v2") + b"(" + of + offset + size + stride + b"\x89" + ORDERED + b"tR"


ORDERED = name(b"collections", b"OrderedDict") + b")R"
LARGE, NEGATIVE = b"\x8a\x08" + struct.pack("<q", 2**62), b"J" + struct.pack("<i", -1)


def archive(pickle, compress=zipfile.ZIP_STORED, **records):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compress) as out:
        out.writestr("a/data.pkl", b"\x80\2" + pickle + b".")
        out.writestr("a/data/0", bytes(24))
        for key, data in records.items():
            out.writestr(key.replace("__", "/"), data)
    return made.getvalue()


def rows(entries, at=0):
    """A zip's directory and end, of (name, stored, size, method, header)."""
    directory = b"".join(struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 20, 20, 0, method, 0, 0, 0, stored, size, len(n), 0, 0, 0, 0, 0, header) + n
                         for n, stored, size, method, header in entries)
    count = min(len(entries), 0xffff)
    end64 = b""
    if len(entries) >= 0xffff:
        end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, len(entries), len(entries), len(directory), at)
        end64 += struct.pack("<IIQI", 0x07064b50, 0, at + len(directory), 1)
    return directory + end64 + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, count, count, len(directory), at, 0)


def header(n, stored, size, method):
    return struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 0, method, 0, 0, 0, stored, size, len(n), 0) + n


def many_entries(count):
    names = [b"a/data.pkl"] + [b"%07d" % i for i in range(count)]
    parts = [header(n, 0, 0, 0) for n in names]
    entries, at = [], 0
    for n, part in zip(names, parts):
        entries.append((n, 0, 0, 0, at))
        at += len(part)
    return b"".join(parts) + rows(entries, at)


def overlapping(count):
    """One packed record of 64 MB of zeros, listed many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(bytes(64 * MEBIBYTE)) + packer.flush()
    first = header(b"00.npy", len(data), 64 * MEBIBYTE, 8) + data
    return first + rows([(b"%02d.npy" % i, len(data), 64 * MEBIBYTE, 8, 0) for i in range(count)], len(first))


def packed_npz(size):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
        head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }" % size
        head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
        out.writestr("a.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + bytes(size))
    return made.getvalue()


def npy(head, data=b""):
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data


def safe(head, data=b""):
    return struct.pack("<Q", len(head)) + head + data


def legacy(pickle, keys=b"]", data=b""):
    return (b"\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." b"\x80\2M\xe9\3." b"\x80\2}." + b"\x80\2" + pickle + b"."
            + b"\x80\2" + keys + b"." + data)


def structure(made):
    return safe(json.dumps({"__metadata__": {"trainhost": made}}).encode())


MILLION = 10**6
# Made when they are needed: name -> (bytes, is it refused; None: either).
FILES = {
    "bomb.npz": (lambda: packed_npz(150 * MEBIBYTE), True),
    "bomb in a pickle.pt": (lambda: archive(b"](" + b"N" * (100 * MEBIBYTE) + b"e", zipfile.ZIP_DEFLATED), True),
    "bomb in a storage.pt": (lambda: archive(tensor(b"J\0\0\0\x02\x85", b"K\1\x85", of=storage(key=b"1", count=b"J\0\0\0\x02")), zipfile.ZIP_DEFLATED,
                                             a__data__1=bytes(160 * MEBIBYTE)), True),
    "overlap.npz": (lambda: overlapping(50), True),
    "a million records.pt": (lambda: many_entries(MILLION), True),
    "records claimed.pt": (lambda: rows([])[:-14] + struct.pack("<HHIIH", 0xfffe, 0xfffe, 0, 0, 0), True),
    "deep list.pt": (lambda: archive(b"]" * 100_000 + b"a" * 99_999), False),
    "deep list, old": (lambda: legacy(b"]" * 100_000 + b"a" * 99_999), False),
    "deeper list.pt": (lambda: archive(b"]" * MILLION + b"a" * (MILLION - 1)), None),
    "deep tuple.pt": (lambda: archive(b")" + b"\x85" * MILLION), None),
    "marks.pt": (lambda: archive(b"(" * (30 * MILLION)), True),
    "nothing in a list.pt": (lambda: archive(b"](" + b"N" * (30 * MILLION) + b"e"), True),
    "empty lists.pt": (lambda: archive(b"](" + b"]" * (5 * MILLION) + b"e"), True),
    "empty dicts.pt": (lambda: archive(b"](" + b"}" * (5 * MILLION) + b"e"), True),
    "dict of small keys.pt": (lambda: archive(b"}(" + b"".join(b"M%cJ%cN" % (0, 0) if 0 else b"J" + struct.pack("<i", i) + b"N" for i in range(MILLION)) + b"u"), True),
    "laughs.pt": (lambda: archive(b"]q\0" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(200))), False),
    "memo far away.pt": (lambda: archive(b"Nr\xff\xff\xff\xff"), False),
    "memo spread.pt": (lambda: archive(b"N" + b"".join(b"r" + struct.pack("<I", 4001 * i) for i in range(MILLION))), None),
    "one text often.pt": (lambda: archive(b"](" + text(b"x" * MEBIBYTE) + b"q\0" + b"h\0" * 100_000 + b"e"), False),
    "one set often.pt": (lambda: archive(b"](" + b"".join(b"J" + struct.pack("<i", i) for i in range(10_000)) + b"eq\0\x85q\1](" + (name(b"builtins", b"set") + b"h\1R") * 10_000 + b"e"), True),
    "one text encoded often.pt": (lambda: archive(text(b"x" * MEBIBYTE) + text(b"latin1") + b"\x86q\0](" + (name(b"_codecs", b"encode") + b"h\0R") * 10_000 + b"e"), True),
    "one tensor often.pt": (lambda: archive(b"](" + tensor(b"K\2\x85", b"K\1\x85").replace(b"tR", b"tq\1R") + name(b"torch._utils", b"_rebuild_tensor_v2") + b"q\2" + b"h\2h\1R" * MILLION + b"e"), True),
    "storage of 2^62.pt": (lambda: archive(tensor(b"K\2\x85", b"K\1\x85", of=storage(count=LARGE))), True),
    "storage of -1.pt": (lambda: archive(tensor(b"K\2\x85", b"K\1\x85", of=storage(count=NEGATIVE))), True),
    "storage without record.pt": (lambda: archive(tensor(b"K\2\x85", b"K\1\x85", of=storage(key=b"../../0"))), True),
    "storage too short.pt": (lambda: archive(tensor(b"K\x07\x85", b"K\1\x85", of=storage(count=b"K\x07"))), True),
    "size beyond.pt": (lambda: archive(tensor(b"K\x07\x85", b"K\1\x85")), True),
    "stride beyond.pt": (lambda: archive(tensor(b"K\2K\2\x86", b"K\6K\1\x86")), True),
    "stride of 2^62.pt": (lambda: archive(tensor(b"K\3\x85", LARGE + b"\x85")), True),
    "offset beyond.pt": (lambda: archive(tensor(b"K\1\x85", b"K\1\x85", b"K\6")), True),
    "offset of 2^62.pt": (lambda: archive(tensor(b"K\0\x85", b"K\1\x85", LARGE)), True),
    "negative size.pt": (lambda: archive(tensor(NEGATIVE + b"\x85", b"K\1\x85")), True),
    "negative stride.pt": (lambda: archive(tensor(b"K\2\x85", NEGATIVE + b"\x85")), True),
    "negative offset.pt": (lambda: archive(tensor(b"K\2\x85", b"K\1\x85", NEGATIVE)), True),
    "sizes that overflow.pt": (lambda: archive(tensor(LARGE + LARGE + b"K\0\x87", b"K\0K\0K\0\x87")), True),
    "many dimensions.pt": (lambda: archive(tensor(b"(" + b"K\1" * 65 + b"t", b"(" + b"K\1" * 65 + b"t")), True),
    "sparse beyond.pt": (lambda: sparse_beyond(), True),
    "list that holds itself.pt": (lambda: archive(b"]q\0h\0a"), False),
    "tuple that holds itself.pt": (lambda: archive(b"]q\0(h\0tq\1a0h\1"), False),
    "storage of an old file": (lambda: legacy(tensor(b"K\2\x85", b"K\1\x85", of=storage(count=LARGE).replace(b"tQ", b"NtQ")), b"]" + text(b"0") + b"a", struct.pack("<Q", 2**62)), True),
    "view within an old file": (lambda: legacy(tensor(b"K\2\x85", b"K\1\x85", of=storage().replace(b"tQ", text(b"v") + b"K\4K\2\x87tQ")), b"]" + text(b"0") + b"a", struct.pack("<Q", 6) + bytes(24)), False),
    "view beyond an old file": (lambda: legacy(tensor(b"K\6\x85", b"K\1\x85", of=storage().replace(b"tQ", text(b"v") + b"K\5K\2\x87tQ")), b"]" + text(b"0") + b"a", struct.pack("<Q", 6) + bytes(24)), True),
    "huge header.npy": (lambda: b"\x93NUMPY\2\0\xff\xff\xff\xff", True),
    "huge shape.npy": (lambda: npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"), True),
    "objects.npy": (lambda: npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\2N."), True),
    "fields.npy": (lambda: npy(b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", bytes(4)), True),
    "names.npz": (lambda: names_npz(), False),
    "header of 2^63.safetensors": (lambda: struct.pack("<Q", 2**63) + b"{}", True),
    "header of 150 MB.safetensors": (lambda: safe(b'{"a":' + b" " * 150 * MEBIBYTE), True),
    "a million tensors.safetensors": (lambda: safe(b"{" + b",".join(b'"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i for i in range(MILLION)) + b"}"), None),
    "a million texts.safetensors": (lambda: safe(b'{"__metadata__":{' + b",".join(b'"%x":""' % i for i in range(MILLION)) + b"}}"), None),
    "deep json.safetensors": (lambda: safe(b'{"a":' * MILLION), True),
    "deep structure.safetensors": (lambda: structure("[" * MILLION + "]" * MILLION), True),
    "lists in a structure.safetensors": (lambda: structure("[" + "[]," * 3 * MILLION + "0]"), True),
    "structure of no tensor.safetensors": (lambda: structure('{"$tensor": "../a"}'), True),
    "structure of no key.safetensors": (lambda: structure('{"$pairs": [[null, 1]]}'), True),
}


def sparse_beyond():
    made = io.BytesIO()
    torch.save(torch.sparse_coo_tensor([[1, 77]], [1., 2.], (3,), check_invariants=False), made)
    return made.getvalue()


def names_npz():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        out.writestr("../../evil.npy", npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", bytes(4)))
    return made.getvalue()


SCRIPT = """
  local torch = require "torch"
  local function peak()
    for line in io.lines "/proc/self/status" do
      local kilobytes = line:match "^VmHWM:%s*(%d+)"
      if kilobytes then return tonumber(kilobytes) * 1024 end
    end
  end
  torch.save({torch.zeros(1)}, "warm.pt")
  torch.load("warm.pt")
  collectgarbage()
  local before, began = peak(), os.clock()
  local ok, got = pcall(torch.load, arg[1], arg[2] and {mmap = true})
  local kind, message = ok and "ok" or got.kind, ok and "" or got.message
  print(peak() - before, os.clock() - began, kind, message)"""


@pytest.mark.parametrize("what", FILES)
def test_a_hostile_file_is_an_error_and_costs_little(trainhost, tmp_path, what):
    make, refused = FILES[what]
    data = make()
    (tmp_path / what).write_bytes(data)
    out = trainhost.run("-e", SCRIPT, "--", what, cwd=tmp_path).stdout
    grown, seconds, kind, message = out.rstrip("\n").split("\t", 3)
    assert kind in (("io",) if refused else ("ok",) if refused is False else ("io", "ok")), message
    assert int(grown) <= 2 * len(data) + 64 * MEBIBYTE, f"{int(grown) >> 20} MB for a file of {len(data) >> 20} MB: {message}"
    assert float(seconds) < 20
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([what, "warm.pt"])
