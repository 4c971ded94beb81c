// native.data: loaders, and their passes, which are the four values of a generic `for`.
#include <string>
#include <utility>

#include "bindings/data.h"
#include "bindings/generator.h"
#include "bindings/keywords.h"
#include "bindings/list.h"
#include "bindings/tensor.h"
#include "host/data/sampler.h"

namespace trainhost::bindings {
namespace {

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

void set_loader_functions(lua_State* L) {
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
      {"loader", guarded<loader>, "@param dataset userdata|integer or the number of samples\n@param options? table"},
      {nullptr, nullptr, nullptr}};
  define<data::Loader>(L, kLoader, kLoaderMeta);
  define<data::LoaderIterator>(L, kPass, kPassMeta);
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
