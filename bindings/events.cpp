// native.events: TensorBoard's event files, for stdlib/torch/utils/tensorboard.
#include <ATen/core/Tensor.h>

#include <cmath>
#include <memory>
#include <string>

#include "bindings/keywords.h"
#include "bindings/owned.h"
#include "bindings/tensor.h"
#include "host/track/event.h"
#include "host/track/event_file.h"
#include "host/track/protobuf.h"
#include "host/track/text.h"

namespace trainhost::bindings {

template <>
struct Type<track::EventFile> {
  using Handle = std::shared_ptr<track::EventFile>;
  static constexpr TypeId id = TypeId::event_file;
  static constexpr const char* name = "EventFile";
  static constexpr int user_values = 0;
};

namespace {

using track::EventFile;
using track::Message;
using track::Moment;

// --- Handles

const char kService = 0;  // its address is the registry key of what owns the files

track::EventFiles& service(lua_State* L) {
  auto* found = owned<std::shared_ptr<track::EventFiles>>(L, &kService);
  if (!found) throw_usage("SummaryWriter: its Host is closed");
  return **found;
}

std::shared_ptr<EventFile>& check_file(lua_State* L) { return check<EventFile>(L, 1); }

int open(lua_State* L) {
  const std::string folder(check_string(L, 1, "SummaryWriter", "log_dir"));
  const std::string suffix(check_string(L, 2, "SummaryWriter", "filename_suffix"));
  push<EventFile>(L, std::make_shared<EventFile>(service(L).shared_from_this(), folder, suffix));
  return 1;
}

// --- Arguments

// Whole numbers as they are; the rest as Python's int() cuts it.
Moment moment_at(lua_State* L, int step, int wall_time, const char* function) {
  Moment moment;
  if (!lua_isnoneornil(L, step)) {
    double number = 0.0;
    const at::Tensor* tensor = test_tensor(L, step);
    if (lua_isinteger(L, step)) moment.step = lua_tointeger(L, step);
    else if (lua_type(L, step) == LUA_TNUMBER) number = lua_tonumber(L, step);
    else if (tensor && tensor->numel() == 1 && !tensor->is_complex()) number = tensor->item().toDouble();
    else throw_argument(L, function, "global_step", "a number", step);
    if (!moment.step) {
      if (!(std::abs(number) < 9.2e18)) throw_argument(L, function, "global_step", "a whole number", step);
      moment.step = static_cast<int64_t>(number);
    }
  }
  if (lua_isnoneornil(L, wall_time)) moment.wall_time = track::now_seconds();
  else moment.wall_time = check_number(L, wall_time, function, "walltime");
  return moment;
}

std::string tag_at(lua_State* L, int index, const char* function) {
  return track::clean_utf8(check_string(L, index, function, "tag"));
}

// The elements of a tensor on any device, or of a list, as T.
template <class T>
at::Tensor elements(lua_State* L, int index, const char* function, const char* name) {
  const auto type = c10::CppTypeToScalarType<T>::value;
  if (const at::Tensor* tensor = test_tensor(L, index)) {
    if (tensor->is_complex()) throw_argument(L, function, name, "real numbers", index);
    return tensor->detach().to(at::kCPU, type).contiguous();
  }
  throw_argument(L, function, name, "a Tensor", index);
}

template <class T>
std::span<const T> span_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<T>(), static_cast<size_t>(tensor.numel())};
}

// --- Events

int add(lua_State* L) {
  auto& file = check_file(L);
  const auto part = static_cast<track::EventPart>(check_integer(L, 2, "SummaryWriter", "part"));
  const std::string_view content = check_string(L, 3, "SummaryWriter", "content");
  file->add(track::event_of(part, content, moment_at(L, 4, 5, "SummaryWriter")));
  return 0;
}

int add_version(lua_State* L) {
  check_file(L)->add(track::version_event(moment_at(L, 2, 3, "SummaryWriter")));
  return 0;
}

int add_scalar(lua_State* L) {
  constexpr const char* kName = "SummaryWriter.add_scalar";
  auto& file = check_file(L);
  double value = 0.0;
  if (lua_type(L, 3) == LUA_TNUMBER) value = lua_tonumber(L, 3);
  else if (lua_isboolean(L, 3)) value = lua_toboolean(L, 3);
  else if (const at::Tensor* tensor = test_tensor(L, 3); !tensor || tensor->is_complex())
    throw_argument(L, kName, "scalar_value", "a number or a Tensor of one element", 3);
  else if (tensor->numel() != 1)
    throw Error(ErrorKind::shape,
                "Tensor should contain one element (0 dimensions). Was given size: " + std::to_string(tensor->numel()) +
                    " and " + std::to_string(tensor->dim()) + " dimensions.");
  else value = tensor->item().toDouble();
  const Moment moment = moment_at(L, 4, 5, kName);
  file->add(track::scalar_event(tag_at(L, 2, kName), static_cast<float>(value), moment));
  return 0;
}

template <class Number>
std::optional<track::Histogram> histogram_of(lua_State* L, const at::Tensor& values, size_t max_bins) {
  constexpr const char* kName = "SummaryWriter.add_histogram";
  const auto numbers = span_of<Number>(values);
  if (lua_isnoneornil(L, 4)) return track::count_by_default(numbers, max_bins);
  if (const at::Tensor* edges = test_tensor(L, 4)) {
    const at::Tensor kept = elements<double>(L, 4, kName, "bins");
    if (edges->dim() != 1) throw_usage("`bins` must be 1d, when an array");
    const auto given = span_of<double>(kept);
    for (size_t i = 1; i < given.size(); ++i)
      if (given[i - 1] > given[i]) throw_usage("`bins` must increase monotonically, when an array");
    if (given.size() < 2) return std::nullopt;
    return track::count_between(numbers, given, max_bins);
  }
  const at::Tensor wide = values.to(at::kDouble);
  const auto all = span_of<double>(wide);
  size_t count = 0;
  if (lua_type(L, 4) == LUA_TSTRING) {
    const std::string_view name = check_string(L, 4, kName, "bins");
    const auto rule = track::bin_rule(name);
    if (!rule)
      throw_usage("'" + std::string(name) + "' is not a valid estimator for `bins`",
                  "tensorflow, auto, fd, doane, scott, stone, rice, sturges and sqrt are");
    count = track::bin_count(all, *rule);
  } else {
    const lua_Integer given = check_integer(L, 4, kName, "bins");
    if (given < 1) throw_usage("`bins` must be positive, when an integer");
    if (given > 1 << 27) throw_argument(L, kName, "bins", "at most 134217728", 4);
    count = static_cast<size_t>(given);
  }
  return track::count_equal(all, count, max_bins);
}

int add_histogram(lua_State* L) {
  constexpr const char* kName = "SummaryWriter.add_histogram";
  auto& file = check_file(L);
  const at::Tensor& given = check_tensor(L, 3);
  if (given.numel() == 0) throw_usage("The input has no element.");
  const lua_Integer max_bins = lua_isnoneornil(L, 5) ? 0 : check_integer(L, 5, kName, "max_bins");
  if (max_bins < 0) throw_argument(L, kName, "max_bins", "1 or more", 5);
  const auto most = static_cast<size_t>(max_bins);
  const auto histogram = given.scalar_type() == at::kFloat
                             ? histogram_of<float>(L, elements<float>(L, 3, kName, "values"), most)
                             : histogram_of<double>(L, elements<double>(L, 3, kName, "values"), most);
  if (histogram) file->add(track::histogram_event(tag_at(L, 2, kName), *histogram, moment_at(L, 6, 7, kName)));
  lua_pushboolean(L, histogram.has_value());
  return 1;
}

// --- Messages

// Adds the field {number, kind, value} at `index`, which is the top.
void add_field(lua_State* L, Message& message, int index) {
  constexpr const char* kName = "protobuf";
  if (!lua_istable(L, index)) throw_usage("protobuf: a field must be {number, kind, value}, got " + describe(L, index));
  for (lua_Integer i = 1; i <= 3; ++i) lua_rawgeti(L, index, i);
  const int value = index + 3;
  const auto field = static_cast<int>(check_integer(L, index + 1, kName, "number"));
  const std::string_view kind = check_string(L, index + 2, kName, "kind");
  if (kind == "integer")
    message.integer(field, lua_isboolean(L, value) ? lua_toboolean(L, value) : check_integer(L, value, kName, "value"));
  else if (kind == "real") message.real(field, check_number(L, value, kName, "value"));
  else if (kind == "single") message.single(field, static_cast<float>(check_number(L, value, kName, "value")));
  else if (kind == "bytes") message.bytes(field, check_string(L, value, kName, "value"));
  else if (kind == "text") message.bytes(field, track::clean_utf8(std::string(check_string(L, value, kName, "value"))));
  else if (kind == "reals") message.reals(field, span_of<double>(elements<double>(L, value, kName, "value")));
  else if (kind == "singles") message.singles(field, span_of<float>(elements<float>(L, value, kName, "value")));
  else if (kind == "integers") message.integers(field, span_of<int64_t>(elements<int64_t>(L, value, kName, "value")));
  else if (kind == "elements") {  // bytes: what the tensor's memory holds
    const at::Tensor bytes = check_tensor(L, value).detach().cpu().contiguous();
    message.bytes(field, {static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
  } else throw_argument(L, kName, "kind", "a kind of field", index + 2);
  lua_settop(L, index);
}

int message(lua_State* L) {
  if (!lua_istable(L, 1)) throw_argument(L, "protobuf", "fields", "a list", 1);
  Message message;
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, 1)); i <= n; ++i) {
    lua_rawgeti(L, 1, i);
    add_field(L, message, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pushlstring(L, message.text().data(), message.text().size());
  return 1;
}

// --- Files

// Waits in pieces, between which Ctrl-C ends it.
template <class Flush>
int wait_for(lua_State* L, double seconds, const Flush& flush) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  auto& interrupts = vm::State::of(L).interrupts();
  EventFile::Flushed done;
  do done = flush(std::chrono::milliseconds(20));
  while (done == EventFile::Flushed::not_yet && Clock::now() < deadline && !interrupts.requested());
  lua_pushboolean(L, done == EventFile::Flushed::yes);
  return 1;
}

int flush(lua_State* L) {
  auto& file = check_file(L);
  return wait_for(L, check_number(L, 2, "SummaryWriter", "seconds"), [&](auto limit) { return file->flush(limit); });
}

int write(lua_State* L) {
  service(L).write_file(std::string(check_string(L, 1, "SummaryWriter", "path")),
                        std::string(check_string(L, 2, "SummaryWriter", "bytes")));
  return 0;
}

int flush_written(lua_State* L) {
  auto& files = service(L);
  return wait_for(L, check_number(L, 1, "SummaryWriter", "seconds"),
                  [&](auto limit) { return files.flush_files(limit); });
}

int path(lua_State* L) {
  const std::string& path = check_file(L)->path();
  lua_pushlstring(L, path.data(), path.size());
  return 1;
}

int is_open(lua_State* L) {
  lua_pushboolean(L, service(L).is_open(std::string(check_string(L, 1, "SummaryWriter", "name"))));
  return 1;
}

int host_name(lua_State* L) {
  const std::string name = track::host_name();
  lua_pushlstring(L, name.data(), name.size());
  return 1;
}

int default_bins(lua_State* L) {
  const auto& edges = track::default_edges();
  lua_createtable(L, static_cast<int>(edges.size()), 0);
  for (size_t i = 0; i < edges.size(); ++i) {
    lua_pushnumber(L, edges[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

}  // namespace

int open_events(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"open", guarded<open>,
       "Makes an event file, its folder too.\n@param folder string\n@param suffix string of its name\n@return "
       "userdata"},
      {"path", guarded<path>, "The name of the file.\n@param file userdata\n@return string"},
      {"add", guarded<add>,
       "Adds an event.\n@param file userdata\n@param part integer the field of Event\n@param content string the "
       "encoded "
       "message\n@param global_step? integer\n@param walltime? number seconds since 1970"},
      {"add_version", guarded<add_version>,
       "Adds a version event: from its step on older events are void.\n@param file userdata\n@param global_step "
       "integer\n@param walltime? number"},
      {"add_scalar", guarded<add_scalar>,
       "Adds a number.\n@param file userdata\n@param tag string\n@param scalar_value number|boolean|Tensor\n@param "
       "global_step? integer\n@param walltime? number"},
      {"add_histogram", guarded<add_histogram>,
       "Adds the histogram of values.\n@param file userdata\n@param tag string\n@param values Tensor\n@param bins? "
       "Tensor|integer|string edges, how many, or numpy's rule; TensorBoard's edges by default\n@param max_bins? "
       "integer\n@param global_step? integer\n@param walltime? number\n@return boolean added false: no value lies "
       "between the edges"},
      {"message", guarded<message>,
       "Encodes a message of Protocol Buffers.\n@param fields table[] {number, kind, value}: integer, real, single, "
       "bytes, text; reals, singles, integers of a Tensor, packed; elements, a Tensor's memory\n@return string"},
      {"flush", guarded<flush>,
       "Waits until what was added is on the disk.\n@param file userdata\n@param seconds number at most\n@return "
       "boolean done"},
      {"close", guarded<close<EventFile>>, "Lets the file go; what was added is written.\n@param file userdata"},
      {"is_open", guarded<is_open>,
       "Has a writer of this process such a file open?\n@param name string without its folder\n@return boolean"},
      {"write", guarded<write>,
       "Hands over a whole file, in a folder that is there.\n@param path string\n@param bytes string"},
      {"flush_written", guarded<flush_written>,
       "Waits until such files are on the disk.\n@param seconds number at most\n@return boolean done"},
      {"host_name", guarded<host_name>, "The name of this machine.\n@return string"},
      {"default_bins", guarded<default_bins>, "TensorBoard's edges.\n@return number[]"},
      {nullptr, nullptr, nullptr}};
  new (lua_newuserdatauv(L, sizeof(std::shared_ptr<track::EventFiles>), 0))
      std::shared_ptr<track::EventFiles>(track::EventFiles::shared());
  set_collected<std::shared_ptr<track::EventFiles>>(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kService);
  static constexpr Row kNone[] = {{nullptr, nullptr, nullptr}};
  define<EventFile>(L, nullptr, kNone);
  lua_newtable(L);
  set_functions(L, kFunctions);
  return 1;
}

}  // namespace trainhost::bindings
