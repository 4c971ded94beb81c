// native.data: IDX files, datasets, loaders and their passes. The classes that scripts see are stdlib/torch/utils/data.
#include <string>
#include <utility>

#include "bindings/generator.h"
#include "bindings/keywords.h"
#include "bindings/list.h"
#include "bindings/object.h"
#include "bindings/tensor.h"
#include "host/data/dataset.h"
#include "host/data/idx.h"
#include "host/data/loader.h"
#include "host/data/sampler.h"

namespace trainhost::bindings {

template <>
struct Type<data::Dataset> {
  using Handle = std::shared_ptr<const data::Dataset>;
  static constexpr TypeId id = TypeId::dataset;
  static constexpr const char* name = "native dataset";
  static constexpr int user_values = 0;
};

template <>
struct Type<data::Loader> {
  using Handle = std::shared_ptr<data::Loader>;
  static constexpr TypeId id = TypeId::loader;
  static constexpr const char* name = "native loader";
  static constexpr int user_values = 0;
};

template <>
struct Type<data::LoaderIterator> {
  using Handle = std::shared_ptr<data::LoaderIterator>;
  static constexpr TypeId id = TypeId::loader_iterator;
  static constexpr const char* name = "loader iterator";
  static constexpr int user_values = 0;
};

namespace {

void push_fields(lua_State* L, std::vector<at::Tensor>& fields) {
  lua_createtable(L, static_cast<int>(fields.size()), 0);
  for (size_t i = 0; i < fields.size(); ++i) {
    push_tensor(L, std::move(fields[i]));
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

// --- Datasets

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

// The generator at `index`; null, the default one, for nil.
const at::Generator* check_generator(lua_State* L, int index, const char* function) {
  if (lua_isnoneornil(L, index)) return nullptr;
  const auto* generator = test<at::Generator>(L, index);
  if (!generator || !*generator) throw_argument(L, function, "generator", "a Generator", index);
  return generator->get();
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

// --- Loaders

// The batches of `batch_sampler` at `index`, one after the other, and their sizes.
std::pair<std::vector<int64_t>, std::vector<int64_t>> check_batches(lua_State* L, int index) {
  std::pair<std::vector<int64_t>, std::vector<int64_t>> result;
  if (!lua_istable(L, index)) throw_argument(L, "DataLoader", "batch_sampler", "a list of lists of indices", index);
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, index)); i <= n; ++i) {
    lua_rawgeti(L, index, i);
    const auto batch = check_indices(L, lua_gettop(L), "DataLoader", "batch_sampler");
    lua_pop(L, 1);
    result.first.insert(result.first.end(), batch.begin(), batch.end());
    result.second.push_back(static_cast<int64_t>(batch.size()));
  }
  return result;
}

void check_order(const std::vector<int64_t>& order, int64_t size, const char* name) {
  for (const int64_t index : order)
    if (index < 0 || index >= size)
      throw_usage("DataLoader: '" + std::string(name) + "' has the index " + std::to_string(index) +
                  ", expected 0 to " + std::to_string(size - 1));
}

constexpr int64_t kMostSamples = int64_t{1} << 40;  // an epoch's order is a list of all its indices

// loader(dataset or size, {batch_size, drop_last, shuffle, seed, workers, prefetch, pin_memory, sampler,
// batch_sampler})
int loader(lua_State* L) {
  constexpr const char* kName = "DataLoader";
  std::shared_ptr<const data::Dataset> dataset;
  if (const auto* handle = test<data::Dataset>(L, 1)) dataset = *handle;
  const int64_t size = dataset ? dataset->size() : check_integer(L, 1, kName, "dataset");
  if (size > kMostSamples)
    throw_usage("DataLoader: 'dataset' must have at most " + std::to_string(kMostSamples) + " samples, got " +
                std::to_string(size));
  Keywords keywords(
      L, kName, 2,
      {"batch_size", "drop_last", "shuffle", "seed", "workers", "prefetch", "pin_memory", "sampler", "batch_sampler"});
  const auto integer = [&](const char* name, lua_Integer otherwise) {
    const int i = keywords.find(name);
    return i ? check_integer(L, i, kName, name) : otherwise;
  };
  const auto boolean = [&](const char* name) {
    const int i = keywords.find(name);
    return i && check_boolean(L, i, kName, name);
  };
  data::LoaderOptions options;
  options.batch_size = integer("batch_size", 1);
  options.drop_last = boolean("drop_last");
  options.pin_memory = boolean("pin_memory");
  const lua_Integer workers = integer("workers", 0), prefetch = integer("prefetch", 2);
  if (workers > 1024) throw_usage("DataLoader: 'workers' must be at most 1024, got " + std::to_string(workers));
  if (prefetch > 100000) throw_usage("DataLoader: 'prefetch' must be at most 100000, got " + std::to_string(prefetch));
  options.workers = static_cast<int>(std::max<lua_Integer>(workers, -1));
  options.prefetch = static_cast<int>(std::max<lua_Integer>(prefetch, 0));

  std::shared_ptr<data::Loader> made;
  if (int i = keywords.find("batch_sampler")) {
    auto [order, sizes] = check_batches(L, i);
    check_order(order, size, "batch_sampler");
    made = std::make_shared<data::Loader>(dataset, data::index_sampler(std::move(order)), std::move(sizes), options);
  } else {
    std::shared_ptr<const data::Sampler> sampler;
    if (int s = keywords.find("sampler")) {
      auto order = check_indices(L, s, kName, "sampler");
      check_order(order, size, "sampler");
      sampler = data::index_sampler(std::move(order));
    } else {
      sampler = boolean("shuffle") ? data::random_sampler(size, static_cast<uint64_t>(integer("seed", 0)))
                                   : data::sequential_sampler(size);
    }
    made = std::make_shared<data::Loader>(dataset, std::move(sampler), options);
  }
  push<data::Loader>(L, std::move(made));
  return 1;
}

int loader_len(lua_State* L) {
  lua_pushinteger(L, check<data::Loader>(L, 1)->batches());
  return 1;
}

int loader_position(lua_State* L) {
  const data::Position at = check<data::Loader>(L, 1)->position();
  lua_pushinteger(L, static_cast<lua_Integer>(at.epoch));
  lua_pushinteger(L, at.batch);
  return 2;
}

int loader_seek(lua_State* L) {
  const lua_Integer epoch = check_integer(L, 2, "DataLoader.load_state_dict", "epoch");
  if (epoch < 0) throw_usage("DataLoader: 'epoch' must be at least 0, got " + std::to_string(epoch));
  check<data::Loader>(L, 1)->seek(
      {static_cast<uint64_t>(epoch), check_integer(L, 3, "DataLoader.load_state_dict", "batch")});
  return 0;
}

// --- Passes: the four values of a generic `for`. The pass itself is the state and what the loop closes.

int next_fields(lua_State* L) {
  auto batch = check<data::LoaderIterator>(L, 1)->next();
  if (!batch) return 0;
  luaL_checkstack(L, static_cast<int>(batch->size()), "a batch of so many fields");
  for (at::Tensor& field : *batch) push_tensor(L, std::move(field));
  return static_cast<int>(batch->size());
}

int next_batch(lua_State* L) {
  auto& pass = check<data::LoaderIterator>(L, 1);
  const int64_t number = pass->position().batch;
  auto batch = pass->next();
  if (!batch) return 0;
  lua_pushinteger(L, number);
  push_fields(L, *batch);
  return 2;
}

int next_indices(lua_State* L) {
  auto& pass = check<data::LoaderIterator>(L, 1);
  const int64_t number = pass->position().batch;
  const auto indices = pass->next_indices();
  if (!indices) return 0;
  lua_pushinteger(L, number);
  push_integers(L, *indices);
  return 2;
}

template <lua_CFunction next>
int start(lua_State* L) {
  auto& loader = check<data::Loader>(L, 1);
  lua_pushcfunction(L, guarded<next>);
  push<data::LoaderIterator>(L, loader->start());
  lua_pushnil(L);
  lua_pushvalue(L, -2);
  return 4;
}

int pass_advance(lua_State* L) {
  check<data::LoaderIterator>(L, 1)->advance();
  return 0;
}

// __close(pass, error): the error is nil after a break or the end.
int pass_close(lua_State* L) {
  check<data::LoaderIterator>(L, 1)->close(!lua_isnoneornil(L, 2));
  return 0;
}

}  // namespace

int open_data(lua_State* L) {
  static constexpr Row kDataset[] = {
      {"get", guarded<dataset_get>, "The fields of one sample.\n@param index integer 0-based\n@return Tensor[]"},
      {nullptr, nullptr, nullptr}};
  static constexpr Row kDatasetMeta[] = {{"__len", guarded<dataset_len>, "How many samples."},
                                         {nullptr, nullptr, nullptr}};
  static constexpr Row kLoader[] = {
      {"iter", guarded<start<next_fields>>, "for x, y in loader:iter(): a pass over the next epoch."},
      {"enumerate", guarded<start<next_batch>>, "for i, batch in loader:enumerate(): i is 0-based."},
      {"indices", guarded<start<next_indices>>, "for i, indices in loader:indices(): the samples of each batch."},
      {"position", guarded<loader_position>, "@return integer epoch\n@return integer batch how many were handed out"},
      {"seek", guarded<loader_seek>, "Goes on there.\n@param epoch integer\n@param batch integer"},
      {nullptr, nullptr, nullptr}};
  static constexpr Row kLoaderMeta[] = {{"__len", guarded<loader_len>, "How many batches an epoch has."},
                                        {nullptr, nullptr, nullptr}};
  static constexpr Row kPass[] = {
      {"close", guarded<pass_close>, "Stops the workers of this pass."},
      {"advance", guarded<pass_advance>, "The batch of the indices given last is handed out."},
      {nullptr, nullptr, nullptr}};
  static constexpr Row kPassMeta[] = {{"__close", guarded<pass_close>, "Stops the workers at the end of the loop."},
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
      {"loader", guarded<loader>, "@param dataset userdata|integer or the number of samples\n@param options? table"},
      {nullptr, nullptr, nullptr}};
  define<data::Dataset>(L, kDataset, kDatasetMeta);
  define<data::Loader>(L, kLoader, kLoaderMeta);
  define<data::LoaderIterator>(L, kPass, kPassMeta);
  lua_newtable(L);
  set_functions(L, kFunctions);
  return 1;
}

}  // namespace trainhost::bindings
