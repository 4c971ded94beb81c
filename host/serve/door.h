// A unix socket that the owner of a process alone can open: one client at a time asks in lines, and is never waited
// for.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace trainhost::serve {

// $XDG_RUNTIME_DIR/trainhost, else /tmp/trainhost-UID: made for the owner alone. Error{io} if it is not his alone.
std::string runtime_folder();

// The side of the process. Everything returns at once; it belongs to one thread. Errors of a client end the client.
class Door {
 public:
  // Listens at `path`, where nothing may be; Error{io} else. A second client gets the line `busy` and is sent away.
  Door(std::string path, std::string busy);
  ~Door();  // the path is gone
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  // The next line of the client, if one is there.
  std::optional<std::string> take();
  // A line to the client, kept for `take` to send where the client does not read fast enough; one that leaves more
  // than 4 MiB unread is sent away.
  void answer(std::string_view line);
  // The client's socket, -1 without one; and has it taken back what it asked (kTakeBack, after what it asked)?
  int client() const { return client_; }
  bool taken_back() const { return in_.find(kTakeBack) != std::string::npos; }

  static constexpr char kTakeBack = 3;  // as a line: give up what is being done

 private:
  void admit();
  void receive();
  void send();
  void drop() noexcept;

  std::string path_, busy_, in_, out_;
  int listener_ = -1, client_ = -1;
};

// The side of the client. Waits, but asks `stop` every 50 ms whether to go on.
class Caller {
 public:
  explicit Caller(const std::string& path);  // Error{io} if nobody listens
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  // Sends a line; gives up where the other side does not read and `stop` says so. Error{io} if it has gone away.
  void send(std::string_view line, const std::function<bool()>& stop);
  // The next line; nothing when the other side has closed, or `stop` says so.
  std::optional<std::string> receive(const std::function<bool()>& stop);

 private:
  std::string in_;
  int fd_ = -1;
};

}  // namespace trainhost::serve
