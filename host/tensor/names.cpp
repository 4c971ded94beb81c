// Tables of names.
#include "host/tensor/names.h"

#include "host/base/error.h"

namespace trainhost::tensor {

using at::ScalarType;

const std::vector<DtypeName>& dtype_names() {
  static const std::vector<DtypeName> kNames = {
      {"float32", ScalarType::Float},
      {"float64", ScalarType::Double},
      {"float16", ScalarType::Half},
      {"bfloat16", ScalarType::BFloat16},
      {"uint8", ScalarType::Byte},
      {"int8", ScalarType::Char},
      {"int16", ScalarType::Short},
      {"int32", ScalarType::Int},
      {"int64", ScalarType::Long},
      {"uint16", ScalarType::UInt16},
      {"uint32", ScalarType::UInt32},
      {"uint64", ScalarType::UInt64},
      {"bool", ScalarType::Bool},
      {"complex32", ScalarType::ComplexHalf},
      {"complex64", ScalarType::ComplexFloat},
      {"complex128", ScalarType::ComplexDouble},
      {"float8_e4m3fn", ScalarType::Float8_e4m3fn},
      {"float8_e4m3fnuz", ScalarType::Float8_e4m3fnuz},
      {"float8_e5m2", ScalarType::Float8_e5m2},
      {"float8_e5m2fnuz", ScalarType::Float8_e5m2fnuz},
      {"float8_e8m0fnu", ScalarType::Float8_e8m0fnu},
      {"qint8", ScalarType::QInt8},
      {"quint8", ScalarType::QUInt8},
      {"qint32", ScalarType::QInt32},
      {"quint4x2", ScalarType::QUInt4x2},
      {"quint2x4", ScalarType::QUInt2x4},
      {"bits1x8", ScalarType::Bits1x8},
      {"bits2x4", ScalarType::Bits2x4},
      {"bits4x2", ScalarType::Bits4x2},
      {"bits8", ScalarType::Bits8},
      {"bits16", ScalarType::Bits16},
      {"uint1", ScalarType::UInt1},
      {"uint2", ScalarType::UInt2},
      {"uint3", ScalarType::UInt3},
      {"uint4", ScalarType::UInt4},
      {"uint5", ScalarType::UInt5},
      {"uint6", ScalarType::UInt6},
      {"uint7", ScalarType::UInt7},
      {"int1", ScalarType::Int1},
      {"int2", ScalarType::Int2},
      {"int3", ScalarType::Int3},
      {"int4", ScalarType::Int4},
      {"int5", ScalarType::Int5},
      {"int6", ScalarType::Int6},
      {"int7", ScalarType::Int7},
      {"float4_e2m1fn_x2", ScalarType::Float4_e2m1fn_x2},
      {"bit", ScalarType::UInt1},
      {"float", ScalarType::Float},
      {"double", ScalarType::Double},
      {"half", ScalarType::Half},
      {"short", ScalarType::Short},
      {"int", ScalarType::Int},
      {"long", ScalarType::Long},
      {"chalf", ScalarType::ComplexHalf},
      {"cfloat", ScalarType::ComplexFloat},
      {"cdouble", ScalarType::ComplexDouble},
  };
  return kNames;
}

std::string_view name_of(ScalarType type) noexcept {
  for (const auto& row : dtype_names())
    if (row.type == type) return row.name;
  return "undefined";
}

const std::vector<LayoutName>& layout_names() {
  static const std::vector<LayoutName> kNames = {
      {"strided", at::Layout::Strided},      {"sparse_coo", at::Layout::Sparse},
      {"sparse_csr", at::Layout::SparseCsr}, {"sparse_csc", at::Layout::SparseCsc},
      {"sparse_bsr", at::Layout::SparseBsr}, {"sparse_bsc", at::Layout::SparseBsc},
      {"jagged", at::Layout::Jagged},        {"_mkldnn", at::Layout::Mkldnn},
  };
  return kNames;
}

std::string_view name_of(at::Layout layout) noexcept {
  for (const auto& row : layout_names())
    if (row.layout == layout) return row.name;
  return "undefined";
}

const std::vector<MemoryFormatName>& memory_format_names() {
  static const std::vector<MemoryFormatName> kNames = {
      {"contiguous_format", at::MemoryFormat::Contiguous},
      {"preserve_format", at::MemoryFormat::Preserve},
      {"channels_last", at::MemoryFormat::ChannelsLast},
      {"channels_last_3d", at::MemoryFormat::ChannelsLast3d},
      {"legacy_contiguous_format", at::MemoryFormat::Contiguous},
  };
  return kNames;
}

std::string_view name_of(at::MemoryFormat format) noexcept {
  for (const auto& row : memory_format_names())
    if (row.format == format) return row.name;
  return "undefined";
}

at::Device parse_device(const std::string& text) {
  try {
    return at::Device(text);
  } catch (const c10::Error&) {
    throw Error(ErrorKind::device, "\"" + text + "\" is not a device",
                "expected \"cpu\", \"cuda\", \"cuda:0\", \"mps\" or \"meta\"");
  }
}

}  // namespace trainhost::tensor
