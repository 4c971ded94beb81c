// Datasets, loaders and passes as Lua values.
#pragma once

#include <memory>
#include <vector>

#include "bindings/object.h"
#include "host/data/loader.h"

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

// The fields of a sample or a batch as a list; they are moved out.
void push_fields(lua_State* L, std::vector<at::Tensor>& fields);

// The generator at `index`; null, the default one, for nil.
const at::Generator* check_generator(lua_State* L, int index, const char* function);

// Defines loaders and their passes, and puts the function that makes a loader into the table on top of the stack.
void set_loader_functions(lua_State* L);

}  // namespace trainhost::bindings
