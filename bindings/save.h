// The parts of native.save.
#pragma once

#include <cstdint>
#include <lua.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/save/safetensors.h"

namespace trainhost::bindings {

// {{name, tensor}, ...}, from Lua and back.
std::vector<save::NamedTensor> check_named(lua_State* L, int index, const char* function);
void push_named(lua_State* L, std::vector<save::NamedTensor>& tensors);
// {{key, text}, ...}; none for nil.
std::vector<std::pair<std::string, std::string>> check_texts(lua_State* L, int index, const char* function);
// torch.load's `memory_limit`, in bytes.
std::optional<uint64_t> check_limit(lua_State* L, int index);

// Each sets its functions in the module table on top of the stack.
void set_checkpoints(lua_State* L);  // save_checkpoint.cpp: checkpoint folders
void set_locks(lua_State* L);        // save_lock.cpp: folders that one training writes into
void set_torch_files(lua_State* L);  // save_torch.cpp: .pt
void set_numpy_files(lua_State* L);  // save_numpy.cpp: .npy, .npz

}  // namespace trainhost::bindings
