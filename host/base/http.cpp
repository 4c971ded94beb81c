// One request at a time through a multi handle, whose wait can be cut short.
#include "host/base/http.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <set>

#include "host/base/curl.h"
#include "host/base/publish.h"

namespace trainhost::http {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostBody = size_t{256} << 20;  // of an answer in memory

// OpenSSL writes with write(): a connection that is gone must not end the process.
class NoBrokenPipe {
 public:
  NoBrokenPipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t waiting;
    sigpending(&waiting);
    was_waiting_ = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoBrokenPipe() {
    constexpr timespec kNow{0, 0};
    if (!was_waiting_) sigtimedwait(&pipe_, nullptr, &kNow);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_waiting_;
};

// Children that a script starts (os.execute, io.popen) do not get our connections.
curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::set<int> open_files() {
  std::set<int> files;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), &::closedir);
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr)
    if (const int file = std::atoi(entry->d_name); file != ::dirfd(folder.get())) files.insert(file);
  return files;
}

// A multi handle has files of its own, which libcurl opens to be inherited. What other threads open meanwhile, and is
// marked too, is not meant for children either: those get theirs by dup2.
CURLM* make_multi() {
  const std::set<int> before = open_files();
  CURLM* multi = curl().multi_init();
  for (const int file : open_files())
    if (!before.contains(file)) ::fcntl(file, F_SETFD, FD_CLOEXEC);
  return multi;
}

struct HeaderList {
  ~HeaderList() {
    if (list) curl().slist_free_all(list);
  }
  void add(const std::string& line) {
    if (curl_slist* longer = curl().slist_append(list, line.c_str())) list = longer;
    else throw std::bad_alloc();
  }
  curl_slist* list = nullptr;
};

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

Failure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Failure::resolve;
    case CURLE_COULDNT_CONNECT:
      return Failure::connect;
    case CURLE_OPERATION_TIMEDOUT:
      return Failure::timeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_USE_SSL_FAILED:
      return Failure::tls;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_READ_ERROR:
    case CURLE_WRITE_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_FILE_COULDNT_READ_FILE:
      return Failure::local;
    default:
      return Failure::broken;
  }
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

bool same_name(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         std::equal(name.begin(), name.end(), line.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

std::string value_of(std::string_view line) {
  line.remove_prefix(line.find(':') + 1);
  const size_t from = line.find_first_not_of(" \t\r\n"), to = line.find_last_not_of(" \t\r\n");
  return from == std::string_view::npos ? "" : std::string(line.substr(from, to - from + 1));
}

}  // namespace

struct Client::Handles {
  const Curl& api = curl();
  CURLM* multi = make_multi();
  CURL* easy = api.easy_init();
  Handles() {
    if (multi && easy) return;
    free();
    throw RequestError(Failure::local, "libcurl cannot start");
  }
  ~Handles() { free(); }
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  void free() {
    if (easy) api.easy_cleanup(easy);
    if (multi) api.multi_cleanup(multi);
  }
};

// One request on its way.
struct Client::Transfer {
  Transfer(Handles& with, const Request& given) : handles(with), request(given) {
    prepare();
    if (handles.api.multi_add_handle(handles.multi, handles.easy) != CURLM_OK)
      throw RequestError(Failure::local, where() + "libcurl does not take the request");
  }
  ~Transfer() { handles.api.multi_remove_handle(handles.multi, handles.easy); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  std::string where() const { return request.method + " " + shown_url(request.url) + ": "; }

  template <class Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode code = handles.api.easy_setopt(handles.easy, option, value); code != CURLE_OK)
      throw RequestError(Failure::local, where() + handles.api.easy_strerror(code));
  }

  void prepare();
  void prepare_body();
  void prepare_tls();
  uint64_t sent() const;
  CURLcode perform(const Client& client, const std::function<bool()>& stop);
  Answer finish(CURLcode code);

  static size_t take_header(char* line, size_t, size_t size, void* self);
  static size_t take_body(char* bytes, size_t, size_t count, void* self);

  Handles& handles;
  const Request& request;
  HeaderList headers;
  File upload;
  std::unique_ptr<file::NewFile> download;
  std::string problem;  // of ours, while the answer was taken
  Answer answer;
  char text[CURL_ERROR_SIZE] = {};
};

void Client::Transfer::prepare() {
  handles.api.easy_reset(handles.easy);
  set(CURLOPT_ERRORBUFFER, text);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_URL, request.url.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  handles.api.easy_setopt(handles.easy, CURLOPT_PROTOCOLS_STR, "http,https");
  handles.api.easy_setopt(handles.easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  set(CURLOPT_REDIR_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  handles.api.easy_setopt(handles.easy, CURLOPT_QUICK_EXIT, 1L);  // a name that is still looked up is not waited for
#endif
  set(CURLOPT_USERAGENT, "trainhost");
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
  set(CURLOPT_ACCEPT_ENCODING, "");
  set(CURLOPT_FOLLOWLOCATION, request.follow ? 1L : 0L);
  set(CURLOPT_MAXREDIRS, 30L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  if (request.stall.count()) {
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall.count()));
  }
  set(CURLOPT_HEADERFUNCTION, &take_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &take_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  headers.add("Expect:");  // waiting for "100 Continue" costs a second where a server does not know it
  for (const auto& [name, value] : request.headers) headers.add(name + (value.empty() ? ";" : ": " + value));
  prepare_body();
  set(CURLOPT_HTTPHEADER, headers.list);
  prepare_tls();
}

void Client::Transfer::prepare_body() {
  if (!request.upload.empty()) {
    upload.reset(std::fopen(request.upload.c_str(), "rbe"));
    if (!upload) throw RequestError(Failure::local, "cannot read '" + request.upload + "': " + std::strerror(errno));
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_READDATA, static_cast<void*>(upload.get()));
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(std::filesystem::file_size(request.upload)));
  } else if (request.method == "GET") {
    set(CURLOPT_HTTPGET, 1L);
    return;
  } else if (!request.body.empty() || request.method != "DELETE") {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.data());
  }
  if (request.method != "POST") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void Client::Transfer::prepare_tls() {
  if (!request.verify) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!request.ca.empty()) set(is_folder(request.ca) ? CURLOPT_CAPATH : CURLOPT_CAINFO, request.ca.c_str());
  if (!request.certificate.empty()) set(CURLOPT_SSLCERT, request.certificate.c_str());
}

size_t Client::Transfer::take_header(char* line, size_t, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::string_view text(line, size);
  if (text.starts_with("HTTP/")) transfer.answer = {};  // of a redirect: what counts is the last
  else if (same_name(text, "content-type")) transfer.answer.content_type = value_of(text);
  else if (same_name(text, "retry-after")) transfer.answer.retry_after = value_of(text);
  return size;
}

size_t Client::Transfer::take_body(char* bytes, size_t, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::string& path = transfer.request.download;
  try {
    long status = 0;
    transfer.handles.api.easy_getinfo(transfer.handles.easy, CURLINFO_RESPONSE_CODE, &status);
    if (!path.empty() && status / 100 == 2) {
      if (!transfer.download) transfer.download = std::make_unique<file::NewFile>(path);
      transfer.download->write(bytes, count);
    } else if (transfer.answer.body.size() + count > kMostBody) {
      transfer.problem = "the answer is longer than 256 MiB";
      return 0;
    } else {
      transfer.answer.body.append(bytes, count);
    }
    return count;
  } catch (const std::exception& e) {
    transfer.problem = e.what();
    return 0;
  }
}

// Bytes of the body of a PUT.
uint64_t Client::Transfer::sent() const {
  curl_off_t count = 0;
  if (request.method != "PUT") return 0;
  handles.api.easy_getinfo(handles.easy, CURLINFO_SIZE_UPLOAD_T, &count);
  // What waits in the system's buffers has not moved.
  curl_socket_t socket = CURL_SOCKET_BAD;
  int waiting = 0;
  if (handles.api.easy_getinfo(handles.easy, CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK && socket != CURL_SOCKET_BAD &&
      ::ioctl(socket, SIOCOUTQ, &waiting) == 0)
    count -= std::min<curl_off_t>(count, waiting);
  return static_cast<uint64_t>(count);
}

CURLcode Client::Transfer::perform(const Client& client, const std::function<bool()>& stop) {
  const Curl& api = handles.api;
  for (;;) {
    int running = 0;
    if (const CURLMcode code = api.multi_perform(handles.multi, &running); code != CURLM_OK)
      throw RequestError(Failure::local, where() + "libcurl fails with its code " + std::to_string(code));
    int left = 0;
    while (const CURLMsg* message = api.multi_info_read(handles.multi, &left))
      if (message->msg == CURLMSG_DONE) return message->data.result;
    const auto until = client.bound_ ? client.bound_(request.url, sent()) : Clock::time_point::max();
    const auto now = Clock::now();
    if (now >= until) throw RequestError(Failure::timeout, where() + "no answer in time");
    if (stop && stop()) throw RequestError(Failure::stopped, where() + "stopped");
    const auto wait = std::min<Clock::duration>(std::chrono::milliseconds(stop ? 50 : 1000), until - now);
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(wait);
    api.multi_poll(handles.multi, nullptr, 0, static_cast<int>(rounded.count()), nullptr);
  }
}

Answer Client::Transfer::finish(CURLcode code) {
  if (!problem.empty()) throw RequestError(Failure::local, where() + problem);
  if (code != CURLE_OK)
    throw RequestError(failure_of(code), where() + (text[0] ? text : handles.api.easy_strerror(code)));
  long status = 0;
  handles.api.easy_getinfo(handles.easy, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  if (!request.download.empty() && status / 100 == 2) {
    if (!download) download = std::make_unique<file::NewFile>(request.download);  // an empty one
    download->publish();
  }
  return std::move(answer);
}

Client::Client() : handles_(std::make_unique<Handles>()) {}
Client::~Client() = default;

Answer Client::send(const Request& request, const std::function<bool()>& stop) {
  const NoBrokenPipe quiet;
  Transfer transfer(*handles_, request);
  return transfer.finish(transfer.perform(*this, stop));
}

void Client::hurry() noexcept { handles_->api.multi_wakeup(handles_->multi); }

std::string url_encoded(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos;
    if (plain) {
      result += c;
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    result += code;
  }
  return result;
}

std::string shown_url(std::string_view url) {
  std::string shown(url.substr(0, url.find_first_of("?#")));
  const size_t scheme = shown.find("://");
  const size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  const size_t end = std::min(shown.find('/', host), shown.size());
  const size_t at = shown.substr(0, end).rfind('@');
  if (at != std::string::npos && at >= host) {
    shown.erase(host, at + 1 - host);
  } else if (url.find('@', end) != std::string_view::npos) {
    // A password that holds one of /?# ends too early here: "user:pa" is no server and port.
    const size_t colon = shown.substr(0, end).rfind(':');
    if (colon != std::string::npos && colon >= host &&
        shown.substr(colon + 1, end - colon - 1).find_first_not_of("0123456789") != std::string::npos)
      shown.resize(host);
  }
  return shown;
}

std::string basic_authorization(std::string_view user, std::string_view password) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string text = std::string(user) + ":" + std::string(password);
  std::string result = "Basic ";
  for (size_t i = 0; i < text.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) result += i + k > text.size() ? '=' : kDigits[bits >> (18 - 6 * k) & 63];
  }
  return result;
}

}  // namespace trainhost::http
