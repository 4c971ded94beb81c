-- Damaged and hostile files: whatever the bytes, torch.load gives a value or an io error, in memory that follows from
-- the file's size. TRAINHOST_LONG=1 runs a hundred times as many.
local test = require "test"
local torch = require "torch"

local long = os.getenv "TRAINHOST_LONG"
local rounds = long and 100 or 1
local seed = tonumber(os.getenv "TRAINHOST_SEED" or "") or 20
local pack = string.pack

-- An archive of stored records. Without `crc` none is checked, so that damage reaches what lies behind.
local function zip(records)
  local parts, rows, at = {}, {}, 0
  for i, record in ipairs(records) do
    local name, data = table.unpack(record)
    local header = pack("<I4I2I2I2I2I2I4I4I4I2I2", 0x04034b50, 20, 0, 0, 0, 0, 0, #data, #data, #name, 0) .. name
    rows[i] = pack("<I4I2I2I2I2I2I2I4I4I4I2I2I2I2I2I4I4", 0x02014b50, 20, 20, 0, 0, 0, 0, 0, #data, #data, #name, 0, 0, 0,
      0, 0, at) .. name
    parts[#parts + 1] = header .. data
    at = at + #header + #data
  end
  local directory = table.concat(rows)
  return table.concat(parts) .. directory
    .. pack("<I4I2I2I2I2I4I4I2", 0x06054b50, 0, 0, #records, #records, #directory, at, 0)
end

local function text(s) return pack("<Bs4", 0x58, s) end
local function global(module, name) return "c" .. module .. "\n" .. name .. "\n" end
local ordered = global("collections", "OrderedDict") .. ")R"

local function storage(class, key, count, view)
  return "(" .. text "storage" .. global("torch", class) .. text(key) .. text "cpu" .. "J" .. pack("<i4", count) .. (view or "") .. "tQ"
end

local function tensor(storage_text, offset, size, stride)
  return global("torch._utils", "_rebuild_tensor_v2") .. "(" .. storage_text .. "K" .. string.char(offset) .. "(" .. size .. "t("
    .. stride .. "t\x89" .. ordered .. "tR"
end

-- Two views of one storage, a bool, a sparse tensor, plain values of every kind.
local function sample(view)
  local six = storage("FloatStorage", "0", 6, view)
  local sparse = global("torch._utils", "_rebuild_sparse_tensor") .. global("torch.serialization", "_get_layout")
    .. text "torch.sparse_coo" .. "\x85R(" .. tensor(storage("LongStorage", "2", 2, view), 0, "K\1K\2", "K\2K\1")
    .. tensor(storage("FloatStorage", "3", 2, view), 0, "K\2", "K\1") .. global("torch", "Size") .. "K\4\x85\x85R\x89t\x86R"
  return "\x80\2" .. ordered .. "q\0(" .. text "a" .. tensor(six, 0, "K\2K\3", "K\3K\1") .. "q\1" .. text "b"
    .. tensor(six, 1, "K\2K\2", "K\1K\2") .. text "mask" .. tensor(storage("BoolStorage", "1", 3, view), 0, "K\3", "K\1")
    .. text "sparse" .. sparse .. text "again" .. "h\1"
    .. text "list" .. "](NK\1M\0\1J\xff\xff\xff\xff\x88\x89G?\xf0\0\0\0\0\0\0\x8a\1\x05e"
    .. text "set" .. global("__builtin__", "set") .. "](K\1K\2e\x85R" .. text "size" .. global("torch", "Size") .. "(K\1K\2t\x85R"
    .. text "device" .. global("torch", "device") .. text "cpu" .. "\x85R" .. text "type" .. global("torch", "int8")
    .. text "bytes" .. global("_codecs", "encode") .. text "\xc3\xbf" .. text "latin1" .. "\x86R" .. "u."
end

local bytes = {["0"] = pack("<ffffff", 0, 1, 2, 3, 4, 5), ["1"] = "\1\0\1", ["2"] = pack("<i8i8", 1, 3), ["3"] = pack("<ff", 5, 6)}

local function new_file(pickle)
  local records = {{"a/data.pkl", pickle}, {"a/byteorder", "little"}, {"a/version", "3\n"}}
  for _, key in ipairs {"0", "1", "2", "3"} do records[#records + 1] = {"a/data/" .. key, bytes[key]} end
  return zip(records)
end

local function old_file(pickle)
  local parts = {"\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "\x80\2M\xe9\3.",
    "\x80\2}(" .. text "little_endian" .. "\x88u.", pickle,
    "\x80\2](" .. text "0" .. text "1" .. text "2" .. text "3" .. "e."}
  for key, size in pairs {["0"] = 4, ["1"] = 1, ["2"] = 8, ["3"] = 4} do
    parts[5 + math.tointeger(tonumber(key)) + 1] = pack("<i8", #bytes[key] // size) .. bytes[key]
  end
  return table.concat(parts)
end

local function write(path, data)
  local file = assert(io.open(path, "wb"))
  file:write(data)
  file:close()
end

-- Peak memory of the process in bytes.
local function peak()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmHWM:%s*(%d+)"
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
end

-- Uses what was read: a tensor that reaches beyond its memory dies here.
local function use(value, seen)
  if torch.is_tensor(value) then
    if not value.is_meta then
      local x = value:detach()
      if x.is_sparse then x = x:coalesce():to_dense() end
      if x:numel() < 1000 then x:to(torch.complex128):abs():sum():item() end
    end
  elseif type(value) == "table" and not seen[value] then
    seen[value] = true
    for _, item in pairs(value) do use(item, seen) end
  end
end

-- One to three changes of a file's bytes.
local function damaged(good, others)
  local data = good
  for _ = 1, math.random(3) do
    local kind, at = math.random(8), math.random(#data)
    if kind <= 2 then  -- a bit
      data = data:sub(1, at - 1) .. string.char(data:byte(at) ~ (1 << math.random(0, 7))) .. data:sub(at + 1)
    elseif kind == 3 then  -- a byte
      data = data:sub(1, at - 1) .. string.char(math.random(0, 255)) .. data:sub(at + 1)
    elseif kind == 4 then  -- a number that is telling
      local width = ({1, 2, 4, 8})[math.random(4)]
      local value = ({0, 1, -1, 127, 255, 0x7fff, 0x7fffffff, -0x80000000, math.maxinteger, math.mininteger})[math.random(10)]
      data = data:sub(1, at - 1) .. pack("<i8", value):sub(1, width) .. data:sub(at + width)
    elseif kind == 5 then data = data:sub(1, at)  -- the rest is cut
    elseif kind == 6 then data = data:sub(1, at - 1) .. data:sub(at + math.random(20))  -- a part is cut
    else  -- a part of it or of another one is put in
      local from = kind == 7 and data or others[math.random(#others)]
      local begin = math.random(#from)
      data = data:sub(1, at) .. from:sub(begin, begin + math.random(60)) .. data:sub(at + 1)
    end
    if #data == 0 then return "x" end
  end
  return data
end

-- Loads `count` damaged forms; how many were refused.
local function run(path, count, make)
  local refused, begin, largest = 0, nil, 0
  for i = 1, count do
    local data = make(i)
    write(path, data)
    largest = math.max(largest, #data)
    if i == 20 then begin = peak() end
    local ok, value = pcall(torch.load, path, {mmap = i % 3 == 0 or nil})
    if ok then
      local used, err = pcall(use, value, {})
      if not used and err.kind == "internal" then test.equal(err.message, "no internal error") end
    else
      refused = refused + 1
      if value.kind ~= "io" and not (value.kind == "device" or value.kind == "usage" and value.message:find "mmap can only") then
        local kept = os.tmpname()
        write(kept, data)
        test.equal(("%s: %s (%s)"):format(value.kind, value.message, kept), "an io error")
      end
    end
  end
  local grown = peak() - begin
  local note = ("%d bytes for a file of %d"):format(grown, largest)
  test.truthy(os.getenv "ASAN_OPTIONS" or grown <= 2 * largest + (64 << 20), note)
  return refused
end

local function good_files(folder)
  local tensors = {a = torch.rand(3, 2), b = torch.arange(4), mask = torch.tensor {true, false}, half = torch.rand(2):to(torch.float16)}
  local function bytes_of(name, value, options)
    torch.save(value, folder .. "/" .. name, options)
    local file = assert(io.open(folder .. "/" .. name, "rb"))
    local data = file:read "a"
    file:close()
    return data
  end
  return {
    bytes_of("a.pt", {state = tensors, list = {1, 2.5, "x", {true}}}), bytes_of("a.npz", tensors),
    bytes_of("b.npz", tensors, {compressed = true}), bytes_of("a.npy", tensors.a), new_file(sample()), old_file(sample "N"),
  }, bytes_of("a.safetensors", {state = tensors, list = {1, 2.5, "x"}})
end

test.case("the files that are damaged here are whole before", function()
  local path = test.tmpdir() .. "/x"
  for _, data in ipairs {new_file(sample()), old_file(sample "N")} do
    write(path, data)
    local got = torch.load(path)
    test.equal(got.b, torch.tensor {{1.0, 3.0}, {2.0, 4.0}})
    test.equal(got.again == got.a, true)
    test.equal(got.sparse:to_dense(), torch.tensor {0.0, 5.0, 0.0, 6.0})
    test.equal(got.list, {torch.None, 1, 256, -1, true, false, 1.0, 5})
    test.equal(got.set[2], true)
    test.equal(got.bytes, "\xff")
  end
end)

test.case("damaged files are io errors or values (4000 files)", function()
  math.randomseed(seed)
  local folder = test.tmpdir()
  local good, safe = good_files(folder)
  test.truthy(run(folder .. "/x", 3000 * rounds, function() return damaged(good[math.random(#good)], good) end) > 1000)
  test.truthy(run(folder .. "/x.safetensors", 1000 * rounds, function() return damaged(safe, good) end) > 500)
end)

test.case("damaged pickles in whole archives are io errors or values (4000 files)", function()
  math.randomseed(seed + 1)
  local path = test.tmpdir() .. "/x"
  local new, old = sample(), sample "N"
  local refused = run(path, 4000 * rounds, function(i)
    if i % 2 == 0 then return new_file(damaged(new, {new})) end
    return old_file(damaged(old, {old}))
  end)
  test.truthy(refused > 1000)
end)

-- Opcodes that mean something, in a random order.
local opcodes = {"N", "\x88", "\x89", ")", "]", "}", "\x8f", "(", "t", "l", "d", "e", "u", "a", "s", "\x90", "\x91", "\x85",
  "\x86", "\x87", "R", "\x81", "b", "Q", "0", "1", "2", "q\0", "q\1", "h\0", "h\1", "h\2", "j\xff\xff\0\0", "r\xff\xff\xff\xff",
  "K\0", "K\2", "M\0\1", "J\xff\xff\xff\x7f", "J\0\0\0\x80", "G\x7f\xf8\0\0\0\0\0\0", "\x8a\1\x80",
  "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", text "a", text "storage", text "0", text "cpu", text "latin1",
  text "torch.sparse_csr", text "torch.strided", "C\1\xff", "\x8c\1x", "\x94", "\x93", ordered, "(K\2t", "(K\2K\3t",
  storage("FloatStorage", "0", 6), storage("BoolStorage", "1", 3),
  tensor(storage("FloatStorage", "0", 6), 0, "K\2K\3", "K\3K\1")}
for module, names in pairs {
  torch = {"Size", "device", "float32", "uint8", "FloatStorage", "Tensor"}, ["torch.storage"] = {"UntypedStorage"},
  ["torch._utils"] = {"_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter", "_rebuild_sparse_tensor",
    "_rebuild_meta_tensor_no_storage"}, ["torch.serialization"] = {"_get_layout"}, ["torch._tensor"] = {"_rebuild_from_type_v2"},
  collections = {"Counter"}, builtins = {"complex", "bytearray", "set"}, _codecs = {"encode"},
} do
  for _, name in ipairs(names) do opcodes[#opcodes + 1] = global(module, name) end
end
table.sort(opcodes)  -- pairs has no order: the same seed is the same files

test.case("random programs of opcodes are io errors or values (2000 files)", function()
  math.randomseed(seed + 2)
  local path = test.tmpdir() .. "/x"
  run(path, 2000 * rounds, function()
    local parts = {"\x80\2"}
    for i = 2, math.random(3, 40) do parts[i] = opcodes[math.random(#opcodes)] end
    parts[#parts + 1] = "."
    return new_file(table.concat(parts))
  end)
end)
