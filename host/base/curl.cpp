// libcurl.so.4 by dlopen. Its interface has been stable since 2006; all that is used here is of 7.68 (2020).
#include "host/base/curl.h"

#include <dlfcn.h>

#include <string>

#include "host/base/error.h"

namespace trainhost::http {
namespace {

// curl.h has macros of these names that check types, and hide the functions.
#undef curl_easy_setopt
#undef curl_easy_getinfo

[[noreturn]] void fail(const std::string& why) {
  throw_io("HTTP requests need libcurl, which cannot be opened: " + why,
           "install it: apt-get install libcurl4 (libcurl4t64 in newer releases)");
}

void* open_library() {
  std::string why;
  for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4"}) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    const char* reason = dlerror();
    if (why.empty()) why = reason ? reason : name;
  }
  fail(why);
}

template <class Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) fail(std::string("it has no ") + name + ", it is older than 7.68");
}

}  // namespace

const Curl& curl() {
  static const Curl curl = [] {
    void* library = open_library();
    Curl found{};
    find(library, "curl_global_init", found.global_init);
    find(library, "curl_easy_init", found.easy_init);
    find(library, "curl_easy_setopt", found.easy_setopt);
    find(library, "curl_easy_getinfo", found.easy_getinfo);
    find(library, "curl_easy_reset", found.easy_reset);
    find(library, "curl_easy_cleanup", found.easy_cleanup);
    find(library, "curl_easy_strerror", found.easy_strerror);
    find(library, "curl_multi_init", found.multi_init);
    find(library, "curl_multi_add_handle", found.multi_add_handle);
    find(library, "curl_multi_remove_handle", found.multi_remove_handle);
    find(library, "curl_multi_perform", found.multi_perform);
    find(library, "curl_multi_poll", found.multi_poll);
    find(library, "curl_multi_wakeup", found.multi_wakeup);
    find(library, "curl_multi_info_read", found.multi_info_read);
    find(library, "curl_multi_cleanup", found.multi_cleanup);
    find(library, "curl_slist_append", found.slist_append);
    find(library, "curl_slist_free_all", found.slist_free_all);
    if (const CURLcode code = found.global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK) fail(found.easy_strerror(code));
    return found;
  }();
  return curl;
}

}  // namespace trainhost::http
