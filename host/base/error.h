// The one error type that leaves libtrainhost, and the words for what went wrong.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

// Marks what programs that link libtrainhost see: all else is hidden in it.
#define TRAINHOST_API __attribute__((visibility("default")))

namespace trainhost {

enum class ErrorKind { usage, shape, dtype, device, memory, io, tracking, interrupted, internal };

// "usage", "shape", ... : what `err.kind` holds in Lua.
TRAINHOST_API std::string_view name_of(ErrorKind kind) noexcept;
// The kind with that name; `internal` for an unknown one.
ErrorKind error_kind(std::string_view name) noexcept;

// message: one line, "where, what was wrong, expected, got". hint: what to do about it, may be empty.
// type: the name of the class that Python raises, "LinAlgError"; may be empty.
// op: the operator or function that raised it, where: "train.lua:12", trace: the Lua traceback; all three
// are empty until the error has passed through Lua.
class TRAINHOST_API Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string message, std::string hint = {}, std::string type = {});

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& hint() const noexcept { return hint_; }
  const std::string& type() const noexcept { return type_; }
  const std::string& op() const noexcept { return op_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& trace() const noexcept { return trace_; }

  void set_context(std::string op, std::string where, std::string trace);
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  ErrorKind kind_;
  std::string message_, hint_, type_, op_, where_, trace_, what_;
};

[[noreturn]] void throw_usage(std::string message, std::string hint = {});
[[noreturn]] void throw_io(std::string message, std::string hint = {});

// The names nearest to `wanted` by edit distance, best first, at most `most`: for "did you mean".
// Reads `names` as a range of things convertible to string_view.
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace trainhost
