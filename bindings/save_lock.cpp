// native.save: locks on the folders that one training alone writes into.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <string>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/owned.h"
#include "bindings/save.h"
#include "host/base/error.h"
#include "host/base/file.h"
#include "host/base/file_lock.h"

namespace trainhost::bindings {
namespace {

constexpr const char* kLock = "checkpoint";
constexpr char kLocks = 0;  // its address is the key of the state's locks in the registry

using Locks = std::map<std::string, file::FileLock>;  // by the path of the folder, absolute

Locks& locks_of(lua_State* L) {
  if (auto* there = owned<Locks>(L, &kLocks)) return *there;
  new (lua_newuserdatauv(L, sizeof(Locks), 0)) Locks();
  set_collected<Locks>(L);
  auto* made = static_cast<Locks*>(lua_touserdata(L, -1));
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kLocks);
  return *made;
}

std::string lock_in(const std::string& folder) { return folder + "/.lock"; }

int lock_folder(lua_State* L) {
  const std::string folder = file::absolute(std::string(check_string(L, 1, kLock, "folder")));
  const std::string note(check_string(L, 2, kLock, "note"));
  auto& locks = locks_of(L);
  auto& lock = locks[folder];
  if (lock.is_held()) return lua_pushboolean(L, false), 1;
  int code;
  do {  // who lets it go removes the file, and the folder with it
    file::mkdir(folder);
    code = lock.take(lock_in(folder), true, note);
  } while (code == ESTALE || code == ENOENT);
  const std::string holder = lock.holder();
  if (code) locks.erase(folder);
  if (code && code != EBUSY) throw_io("cannot lock '" + lock_in(folder) + "': " + std::strerror(code));
  lua_pushboolean(L, code == 0);
  if (holder.empty()) return 1;
  lua_pushlstring(L, holder.data(), holder.size());
  return 2;
}

int unlock_folder(lua_State* L) {
  const std::string folder = file::absolute(std::string(check_string(L, 1, kLock, "folder")));
  auto& locks = locks_of(L);
  const auto found = locks.find(folder);
  if (found != locks.end()) {
    ::unlink(lock_in(folder).c_str());  // while it is held: who waits for it finds that it is gone
    locks.erase(found);
  }
  if (lua_toboolean(L, 2)) ::rmdir(folder.c_str());
  return 0;
}

}  // namespace

void set_locks(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"lock_folder", guarded<lock_folder>,
       "Makes a folder and keeps it for this state, until it is unlocked or the process ends.\n@param folder "
       "string\n@param note string what others find\n@return boolean locked false: another one has it\n@return "
       "string? note of that one, if it is another process"},
      {"unlock_folder", guarded<unlock_folder>,
       "Lets a folder go that this state has locked.\n@param folder string\n@param remove? boolean the folder too, if "
       "there is nothing in it"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
