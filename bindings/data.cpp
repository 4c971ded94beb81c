// native.data: IDX files, datasets, permutations. The classes that scripts see are stdlib/torch/utils/data.
#include "bindings/data.h"

#include <string>
#include <utility>

#include "bindings/generator.h"
#include "bindings/keywords.h"
#include "bindings/list.h"
#include "bindings/tensor.h"
#include "host/data/dataset.h"
#include "host/data/idx.h"
#include "host/data/sampler.h"

namespace trainhost::bindings {

namespace {

int read_idx(lua_State* L) {
  push_tensor(L, data::read_idx(std::string(check_string(L, 1, "read_idx", "path"))));
  return 1;
}

std::vector<double> check_numbers(lua_State* L, int table, const char* field) {
  std::vector<double> numbers;
  const int type = lua_getfield(L, table, field);
  if (type == LUA_TNUMBER) {
    numbers.push_back(lua_tonumber(L, -1));
  } else if (type == LUA_TTABLE) {
    for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, -1)); i <= n; ++i) {
      lua_rawgeti(L, -1, i);
      numbers.push_back(check_number(L, lua_gettop(L), "transform", field));
      lua_pop(L, 1);
    }
  } else if (type != LUA_TNIL) {
    throw_argument(L, "transform", field, "a number or a list of numbers", lua_gettop(L));
  }
  lua_pop(L, 1);
  return numbers;
}

// tensor_dataset({x, y}, {[1] = {divisor = 255, mean = ..., std = ...}})
int tensor_dataset(lua_State* L) {
  if (!lua_istable(L, 1)) throw_argument(L, "TensorDataset", "tensors", "a list of Tensors", 1);
  lua_settop(L, 2);
  std::vector<data::Column> columns;
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, 1)); i <= n; ++i) {
    lua_rawgeti(L, 1, i);
    const at::Tensor* tensor = test_tensor(L, -1);
    if (!tensor)
      throw_argument(L, "TensorDataset", ("argument " + std::to_string(i)).c_str(), "a Tensor", lua_gettop(L));
    data::Column column{*tensor};
    lua_pop(L, 1);
    if (lua_istable(L, 2) && lua_rawgeti(L, 2, i) == LUA_TTABLE) {
      const int transform = lua_gettop(L);
      const auto divisor = check_numbers(L, transform, "divisor");
      column.transform = {divisor.empty() ? 1.0 : divisor[0], check_numbers(L, transform, "mean"),
                          check_numbers(L, transform, "std")};
    }
    lua_settop(L, 2);
    columns.push_back(std::move(column));
  }
  push<data::Dataset>(L, std::make_shared<data::TensorDataset>(std::move(columns)));
  return 1;
}

int subset(lua_State* L) {
  auto whole = check<data::Dataset>(L, 1);
  push<data::Dataset>(L, std::make_shared<data::Subset>(std::move(whole), check_indices(L, 2, "Subset", "indices")));
  return 1;
}

int concat(lua_State* L) {
  if (!lua_istable(L, 1)) throw_argument(L, "ConcatDataset", "datasets", "a list of datasets", 1);
  std::vector<std::shared_ptr<const data::Dataset>> parts;
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, 1)); i <= n; ++i) {
    lua_rawgeti(L, 1, i);
    parts.push_back(check<data::Dataset>(L, -1));
    lua_pop(L, 1);
  }
  push<data::Dataset>(L, std::make_shared<data::ConcatDataset>(std::move(parts)));
  return 1;
}

int dataset_get(lua_State* L) {
  auto sample = check<data::Dataset>(L, 1)->get(check_integer(L, 2, "dataset", "index"));
  push_fields(L, sample);
  return 1;
}

int dataset_len(lua_State* L) {
  lua_pushinteger(L, check<data::Dataset>(L, 1)->size());
  return 1;
}

int permutation(lua_State* L) {
  const lua_Integer size = check_integer(L, 1, "permutation", "size");
  if (!lua_isnoneornil(L, 2))
    push_integers(L, data::permutation(size, static_cast<uint64_t>(check_integer(L, 2, "permutation", "seed"))));
  else push_integers(L, data::permutation(size, check_generator(L, 3, "random_split")));
  return 1;
}

int draw_seed(lua_State* L) {
  lua_pushinteger(L, data::draw_seed(check_generator(L, 1, "DataLoader")));
  return 1;
}

}  // namespace

void push_fields(lua_State* L, std::vector<at::Tensor>& fields) {
  lua_createtable(L, static_cast<int>(fields.size()), 0);
  for (size_t i = 0; i < fields.size(); ++i) {
    push_tensor(L, std::move(fields[i]));
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

const at::Generator* check_generator(lua_State* L, int index, const char* function) {
  if (lua_isnoneornil(L, index)) return nullptr;
  const auto* generator = test<at::Generator>(L, index);
  if (!generator || !*generator) throw_argument(L, function, "generator", "a Generator", index);
  return generator->get();
}

int open_data(lua_State* L) {
  static constexpr Row kDataset[] = {
      {"get", guarded<dataset_get>, "The fields of one sample.\n@param index integer 0-based\n@return Tensor[]"},
      {nullptr, nullptr, nullptr}};
  static constexpr Row kDatasetMeta[] = {{"__len", guarded<dataset_len>, "How many samples."},
                                         {nullptr, nullptr, nullptr}};
  static constexpr Row kFunctions[] = {
      {"read_idx", guarded<read_idx>,
       "The tensor in an IDX file, plain or gzip.\n@param path string\n@return Tensor of the file's shape and dtype"},
      {"tensor_dataset", guarded<tensor_dataset>,
       "A dataset of the rows of tensors.\n@param tensors Tensor[]\n@param transforms? table position -> {divisor, "
       "mean, std}"},
      {"subset", guarded<subset>, "@param dataset userdata\n@param indices integer[]|Tensor"},
      {"concat", guarded<concat>, "@param datasets userdata[]"},
      {"permutation", guarded<permutation>,
       "torch.randperm as a list.\n@param size integer\n@param seed? integer of a generator of its own\n@param "
       "generator? Generator the default one\n@return integer[]"},
      {"draw_seed", guarded<draw_seed>, "A number from a generator.\n@param generator? Generator\n@return integer"},
      {nullptr, nullptr, nullptr}};
  define<data::Dataset>(L, kDataset, kDatasetMeta);
  lua_newtable(L);
  set_functions(L, kFunctions);
  set_loader_functions(L);
  return 1;
}

}  // namespace trainhost::bindings
