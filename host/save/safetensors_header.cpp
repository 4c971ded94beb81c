// A state machine over nlohmann's event parser: no tree is built, nesting beyond the format's is refused at once.
#include "host/save/safetensors_header.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace trainhost::save {
namespace {

using Json = nlohmann::json;

struct DtypeName {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array<DtypeName, 19> kDtypes = {{{"BOOL", at::kBool},
                                                {"U8", at::kByte},
                                                {"I8", at::kChar},
                                                {"F8_E5M2", at::ScalarType::Float8_e5m2},
                                                {"F8_E4M3", at::ScalarType::Float8_e4m3fn},
                                                {"F8_E8M0", at::ScalarType::Float8_e8m0fnu},
                                                {"F8_E4M3FNUZ", at::ScalarType::Float8_e4m3fnuz},
                                                {"F8_E5M2FNUZ", at::ScalarType::Float8_e5m2fnuz},
                                                {"I16", at::kShort},
                                                {"U16", at::ScalarType::UInt16},
                                                {"F16", at::kHalf},
                                                {"BF16", at::kBFloat16},
                                                {"I32", at::kInt},
                                                {"U32", at::ScalarType::UInt32},
                                                {"F32", at::kFloat},
                                                {"I64", at::kLong},
                                                {"U64", at::ScalarType::UInt64},
                                                {"F64", at::kDouble},
                                                {"C64", at::kComplexFloat}}};
constexpr size_t kMostDims = 64;
// What a tensor, or a text of the metadata, becomes with its place in Lua's tables, roughly, in bytes.
constexpr uint64_t kTensorCost = 800, kTextCost = 200;

std::string in_quotes(std::string_view text) {
  std::string quoted = "'";
  quoted.append(text.substr(0, 80)).append(text.size() > 80 ? "...'" : "'");
  return quoted;
}

// Events come in as: { name : { field : value ... } ... }.
class Reader : public nlohmann::json_sax<Json> {
 public:
  Reader(const file::ReadFile& file, Budget& budget, Header& header) : file_(file), budget_(budget), header_(header) {}

  bool start_object(std::size_t) override {
    if (depth_ == 0) {
      depth_ = 1;
      return true;
    }
    if (depth_ != 1 || list_ != List::none) wrong("an object");
    depth_ = 2;
    metadata_ = name_ == "__metadata__";
    if (metadata_ && std::exchange(metadata_seen_, true)) file_.fail("the header has '__metadata__' twice");
    if (!metadata_) {
      budget_.take(kTensorCost + 3 * name_.size());
      budget_.push(header_.entries, {name_, at::kFloat, {}, 0, 0});
    }
    seen_ = 0;
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && !metadata_ && seen_ != kAll)
      file_.fail("tensor " + in_quotes(name_) + " lacks one of 'dtype', 'shape' and 'data_offsets'");
    --depth_;
    return true;
  }

  bool key(string_t& key) override {
    (depth_ == 1 ? name_ : field_) = key;
    if (depth_ == 2 && !metadata_) {
      const unsigned bit = key == "dtype" ? kDtype : key == "shape" ? kShape : key == "data_offsets" ? kOffsets : 0;
      if (bit == 0) file_.fail("tensor " + in_quotes(name_) + " has an unknown field " + in_quotes(key));
      if (seen_ & bit) file_.fail("tensor " + in_quotes(name_) + " has " + in_quotes(key) + " twice");
      seen_ |= bit;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || metadata_ || list_ != List::none || field_ == "dtype") wrong("a list");
    list_ = field_ == "shape" ? List::shape : List::offsets;
    offsets_ = 0;
    return true;
  }

  bool end_array() override {
    if (list_ == List::offsets && offsets_ != 2)
      file_.fail("tensor " + in_quotes(name_) + ": expected 2 numbers in 'data_offsets', got " +
                 std::to_string(offsets_));
    list_ = List::none;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (list_ == List::none) wrong("a number");
    HeaderEntry& entry = header_.entries.back();
    if (list_ == List::offsets) {
      if (offsets_ < 2) (offsets_ == 0 ? entry.begin : entry.end) = value;
      ++offsets_;
      return true;
    }
    if (value > static_cast<uint64_t>(INT64_MAX)) wrong("a size beyond 2^63");
    if (entry.shape.size() == kMostDims) wrong("more than 64 dimensions");
    entry.shape.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && metadata_) {
      budget_.take(kTextCost + 2 * (field_.size() + value.size()));
      budget_.push(header_.metadata, {field_, value});
      return true;
    }
    if (depth_ != 2 || list_ != List::none || field_ != "dtype") wrong("a string");
    const auto type = torch_dtype(value);
    if (!type)
      file_.fail("tensor " + in_quotes(name_) + " has the dtype " + in_quotes(value) + ", which LibTorch lacks");
    header_.entries.back().type = *type;
    return true;
  }

  bool null() override { wrong("null"); }
  bool boolean(bool) override { wrong("a boolean"); }
  bool number_integer(number_integer_t) override { wrong("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { wrong("a fraction"); }
  bool binary(binary_t&) override { wrong("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    file_.fail("the header is not valid JSON at byte " + std::to_string(position));
  }

 private:
  enum class List { none, shape, offsets };
  static constexpr unsigned kDtype = 1, kShape = 2, kOffsets = 4, kAll = 7;

  [[noreturn]] void wrong(const char* what) const {
    if (depth_ == 0) file_.fail("the header is not a JSON object");
    file_.fail(
        "the header has " + std::string(what) + " where it does not belong" +
        (name_.empty() ? std::string() : ", at " + in_quotes(name_) + (depth_ == 2 ? " " + in_quotes(field_) : "")));
  }

  const file::ReadFile& file_;
  Budget& budget_;
  Header& header_;
  int depth_ = 0;
  std::string name_, field_;
  bool metadata_ = false, metadata_seen_ = false;
  unsigned seen_ = 0;
  List list_ = List::none;
  int offsets_ = 0;
};

void check_sizes(const file::ReadFile& file, const HeaderEntry& entry) {
  const std::string name = "tensor " + in_quotes(entry.name);
  if (entry.end < entry.begin)
    file.fail(name + " ends before it begins: data_offsets " + std::to_string(entry.begin) + ", " +
              std::to_string(entry.end));
  unsigned __int128 bytes = c10::elementSize(entry.type);
  bool empty = false;
  for (const int64_t size : entry.shape) empty |= size == 0;
  for (const int64_t size : entry.shape) {
    bytes = empty ? 0 : bytes * static_cast<uint64_t>(size);
    if (bytes > static_cast<uint64_t>(INT64_MAX)) file.fail(name + " has a shape beyond 2^63 bytes");
  }
  if (bytes != entry.end - entry.begin)
    file.fail(name + ": dtype and shape make " + std::to_string(static_cast<uint64_t>(bytes)) +
              " bytes, data_offsets " + std::to_string(entry.end - entry.begin));
  // LibTorch multiplies the strides even of empty tensors.
  unsigned __int128 stride = 1;
  for (const int64_t size : entry.shape)
    if ((stride *= static_cast<uint64_t>(std::max<int64_t>(size, 1))) > static_cast<uint64_t>(INT64_MAX))
      file.fail(name + " has a shape beyond 2^63 elements");
}

template <class Item, class NameOf>
void check_names(const file::ReadFile& file, const std::vector<Item>& items, NameOf name_of, const char* what) {
  std::vector<std::string_view> names;
  for (const Item& item : items) names.push_back(name_of(item));
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) file.fail("the header has the " + std::string(what) + " " + in_quotes(*twice) + " twice");
}

}  // namespace

std::string_view safetensors_dtype(at::ScalarType type) noexcept {
  for (const auto& row : kDtypes)
    if (row.type == type) return row.name;
  return {};
}

std::optional<at::ScalarType> torch_dtype(std::string_view name) noexcept {
  for (const auto& row : kDtypes)
    if (row.name == name) return row.type;
  return std::nullopt;
}

Header read_header(const file::ReadFile& file, Budget& budget) {
  if (file.size() < 8) file.fail("expected at least 8 bytes, got " + std::to_string(file.size()));
  std::array<unsigned char, 8> prefix{};
  file.read(0, prefix.data(), prefix.size());
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = (length << 8) | prefix[static_cast<size_t>(i)];
  if (length > file.size() - 8)
    file.fail("the header's length is " + std::to_string(length) + ", the file holds " +
              std::to_string(file.size() - 8));
  if (length > kMostHeaderBytes)
    file.fail("the header's length is " + std::to_string(length) + ", expected at most " +
              std::to_string(kMostHeaderBytes));
  budget.take(length);
  std::string text(length, '\0');
  file.read(8, text.data(), text.size());
  if (text.empty() || text.front() != '{') file.fail("the header does not begin with '{'");

  Header header;
  header.data = 8 + length;
  Reader reader(file, budget, header);
  Json::sax_parse(text, &reader);
  const auto name = [](const HeaderEntry& entry) { return std::string_view(entry.name); };
  const auto key = [](const auto& pair) { return std::string_view(pair.first); };
  check_names(file, header.entries, name, "tensor");
  check_names(file, header.metadata, key, "metadata key");

  std::vector<const HeaderEntry*> by_place;
  for (const HeaderEntry& entry : header.entries) {
    check_sizes(file, entry);
    by_place.push_back(&entry);
  }
  std::sort(by_place.begin(), by_place.end(),
            [](const auto* a, const auto* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  uint64_t end = 0;
  for (const HeaderEntry* entry : by_place) {
    if (entry->begin != end)
      file.fail("tensor " + in_quotes(entry->name) + " begins at byte " + std::to_string(entry->begin) +
                " of the data, expected " + std::to_string(end) + ": tensors must neither overlap nor leave holes");
    end = entry->end;
  }
  if (end != file.size() - header.data)
    file.fail("the tensors need " + std::to_string(end) + " bytes of data, the file holds " +
              std::to_string(file.size() - header.data));
  return header;
}

}  // namespace trainhost::save
