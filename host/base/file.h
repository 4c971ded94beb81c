// Files: whole reads, atomic writes, folders. Every failure is an Error of kind io with the path and the reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainhost::file {

// The whole file.
std::string read(const std::string& path);
// Replaces the file as one step: a reader, or a start after a crash or a power cut, sees the old text or the new,
// never a part (temporary file beside it, fsync, rename, fsync of the folder). Leaves nothing behind on failure.
void write_atomic(const std::string& path, std::string_view text);
// Appends with one write; makes the file if it is absent.
void append(const std::string& path, std::string_view text);

// Makes the folder and those above it; one that exists is fine.
void mkdir(const std::string& path);
// The names in a folder, sorted, without "." and "..".
std::vector<std::string> list(const std::string& path);
bool exists(const std::string& path) noexcept;
bool is_folder(const std::string& path) noexcept;
// May a file be written, or made with the folders above it, at this path? Touches nothing.
bool is_writable(const std::string& path);
// Removes a file, or a folder with all that is in it (links are removed, not followed). False if it was not there.
bool remove(const std::string& path);
void rename(const std::string& from, const std::string& to);
// Copies a file, atomically at its new place.
void copy(const std::string& from, const std::string& to);
uint64_t size(const std::string& path);
// Seconds since 1970 of the last change.
double modified(const std::string& path);
// What differs once a file has been written, replaced or renamed over, and when that was, seconds since 1970: by the
// clock of its file system, within whose grain two changes look like one. None if there is no such file.
struct Stamp {
  std::string text;
  double changed;
};
std::optional<Stamp> stamp(const std::string& path);
// Does a program have it open for writing? False where the file system cannot tell.
bool is_being_written(const std::string& path) noexcept;

std::string cwd();
// Absolute and without "." and ".." parts; the path need not exist and links are kept.
std::string absolute(const std::string& path);
// "a/b/c.txt" -> "a/b"; "." if there is no folder in it.
std::string folder_of(const std::string& path);

}  // namespace trainhost::file
