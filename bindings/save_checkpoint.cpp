// native.save: checkpoint folders, written at once or by a thread.
#include <string>
#include <utility>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/owned.h"
#include "bindings/save.h"
#include "host/base/checksum.h"
#include "host/base/error.h"
#include "host/save/checkpoint.h"
#include "host/save/checkpoint_writer.h"
#include "host/tensor/fresh.h"
#include "host/track/event_file.h"
#include "host/vm/state.h"

namespace trainhost::bindings {
namespace {

using save::CheckpointWriter;

constexpr const char* kSave = "host.checkpoint.save";
constexpr char kWriter = 0;  // its address is the key of the state's writer in the registry

// The arguments {{name, {{name, tensor}, ...}}, ...} and {{name, text}, ...} at 2 and 3.
save::Checkpoint check_contents(lua_State* L) {
  save::Checkpoint checkpoint;
  if (!lua_istable(L, 2)) throw_argument(L, kSave, "tensors", "a list of {name, tensors}", 2);
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, 2)); i <= n; ++i) {
    if (lua_rawgeti(L, 2, i) != LUA_TTABLE) throw_argument(L, kSave, "tensors", "a list of {name, tensors}", 2);
    lua_rawgeti(L, -1, 1);
    std::string name(check_string(L, lua_gettop(L), kSave, "name"));
    lua_rawgeti(L, -2, 2);
    checkpoint.tensors.emplace_back(std::move(name), check_named(L, lua_gettop(L), kSave));
    lua_pop(L, 3);
  }
  checkpoint.texts = check_texts(L, 3, kSave);
  return checkpoint;
}

int write_checkpoint(lua_State* L) {
  const std::string folder(check_string(L, 1, kSave, "folder"));
  save::write_checkpoint(folder, check_contents(L));
  return 0;
}

CheckpointWriter& writer_of(lua_State* L) {
  if (auto* there = owned<CheckpointWriter>(L, &kWriter)) return *there;
  new (lua_newuserdatauv(L, sizeof(CheckpointWriter), 0)) CheckpointWriter();
  set_collected<CheckpointWriter>(L);
  auto* made = static_cast<CheckpointWriter*>(lua_touserdata(L, -1));
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kWriter);
  return *made;
}

// A disk that does not answer is waited for no longer than the script is.
CheckpointWriter::Stop stop_of(lua_State* L) {
  return [&interrupts = vm::State::of(L).interrupts()] { return interrupts.requested(); };
}

// The path at 1, a checkpoint's contents or those of one file at 2 and 3.
int submit(lua_State* L, save::Checkpoint checkpoint, CheckpointWriter::Target target) {
  target.replaceable = lua_toboolean(L, 5);
  target.before = &track::EventFiles::settle;  // who goes on from it does not write the events of before once more
  auto& writer = writer_of(L);
  const uint64_t ticket =
      tensor::below_transforms([&] { return writer.submit(std::move(target), std::move(checkpoint), stop_of(L)); });
  lua_pushinteger(L, static_cast<lua_Integer>(ticket));
  return 1;
}

int submit_checkpoint(lua_State* L) {
  CheckpointWriter::Target target{std::string(check_string(L, 1, kSave, "folder"))};
  if (!lua_isnoneornil(L, 4)) target.link = check_string(L, 4, kSave, "link");
  return submit(L, check_contents(L), std::move(target));
}

int submit_safetensors(lua_State* L) {
  CheckpointWriter::Target target{std::string(check_string(L, 1, kSave, "path"))};
  target.is_file = true;
  save::Checkpoint contents;
  contents.tensors.emplace_back(std::string(), check_named(L, 2, kSave));
  contents.texts = check_texts(L, 3, kSave);
  return submit(L, std::move(contents), std::move(target));
}

int has_room(lua_State* L) { return lua_pushboolean(L, writer_of(L).has_room()), 1; }

int poll_checkpoint(lua_State* L) {
  const auto ticket = static_cast<uint64_t>(check_integer(L, 1, kSave, "ticket"));
  auto& writer = writer_of(L);
  auto ending = lua_toboolean(L, 2) ? writer.wait(ticket, stop_of(L)) : writer.poll(ticket);
  if (ending && ending->error) std::rethrow_exception(ending->error);
  lua_pushboolean(L, ending.has_value());
  lua_pushboolean(L, ending && ending->is_written);
  return 2;
}

int read_checkpoint(lua_State* L) {
  const std::string folder(check_string(L, 1, "host.checkpoint.load", "folder"));
  auto checkpoint = tensor::below_transforms([&] { return save::read_checkpoint(folder); });
  lua_createtable(L, 0, static_cast<int>(checkpoint.tensors.size()));
  for (auto& [name, tensors] : checkpoint.tensors) {
    push_named(L, tensors);
    lua_setfield(L, -2, name.c_str());
  }
  lua_createtable(L, 0, static_cast<int>(checkpoint.texts.size()));
  for (const auto& [name, text] : checkpoint.texts) {
    lua_pushlstring(L, text.data(), text.size());
    lua_setfield(L, -2, name.c_str());
  }
  return 2;
}

void set_text(lua_State* L, const char* key, const std::string& text) {
  lua_pushlstring(L, text.data(), text.size());
  lua_setfield(L, -2, key);
}

// {{name, sum}, ...}
void push_sums(lua_State* L, const std::vector<std::pair<std::string, std::string>>& tensors) {
  lua_createtable(L, static_cast<int>(tensors.size()), 0);
  for (size_t k = 0; k < tensors.size(); ++k) {
    lua_createtable(L, 2, 0);
    lua_pushlstring(L, tensors[k].first.data(), tensors[k].first.size());
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, tensors[k].second.data(), tensors[k].second.size());
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, static_cast<lua_Integer>(k + 1));
  }
}

int check_checkpoint(lua_State* L) {
  const auto rows = save::check_checkpoint(std::string(check_string(L, 1, "host.checkpoint.check", "folder")));
  lua_createtable(L, static_cast<int>(rows.size()), 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    lua_createtable(L, 0, 4);
    set_text(L, "name", rows[i].name);
    set_text(L, "sum", rows[i].sum);
    lua_pushinteger(L, static_cast<lua_Integer>(rows[i].bytes));
    lua_setfield(L, -2, "bytes");
    push_sums(L, rows[i].tensors);
    lua_setfield(L, -2, "tensors");
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int checksum(lua_State* L) {
  const std::string text = checksum_of(check_string(L, 1, "checksum", "text"));
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

}  // namespace

void set_checkpoints(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"write_checkpoint", guarded<write_checkpoint>,
       "Replaces the folder in one step.\n@param folder string\n@param tensors table {{name, {{name, Tensor}, ...}}, "
       "...}\n@param texts? table {{file, text}, ...}"},
      {"submit_checkpoint", guarded<submit_checkpoint>,
       "The same by a thread, of copies. One is written while one waits; with both there it waits for room, a "
       "replaceable "
       "one gives way to the next.\n@param folder string\n@param tensors table\n@param texts? table\n@param link? "
       "string that leads to the folder then\n@param replaceable? boolean\n@return integer ticket 0: not taken"},
      {"submit_safetensors", guarded<submit_safetensors>,
       "Such a write of one .safetensors file.\n@param path string\n@param tensors table {{name, Tensor}, ...}\n@param "
       "metadata? table {{key, text}, ...}\n@param link? nil\n@param replaceable? boolean\n@return integer ticket"},
      {"has_room", guarded<has_room>, "Would a submission be taken now, without waiting?\n@return boolean"},
      {"poll_checkpoint", guarded<poll_checkpoint>,
       "Whether a submission has ended; raises its error, once.\n@param ticket integer\n@param wait? boolean until it "
       "has, "
       "or the script is to stop\n@return boolean ended\n@return boolean written false: another one took its place"},
      {"read_checkpoint", guarded_repeatable<read_checkpoint>,
       "@param folder string\n@return table name -> {{name, Tensor}, ...}\n@return table file -> text"},
      {"check_checkpoint", guarded_repeatable<check_checkpoint>,
       "Its files, once each has the bytes that were written.\n@param folder string\n@return table {{name =, bytes =, "
       "sum =, tensors = {{name, sum}, ...}}, ...}"},
      {"checksum", guarded<checksum>, "XXH3-128.\n@param text string\n@return string 32 hexadecimal digits"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
