// native.metric: what MeanAveragePrecision counts.
#include <ATen/ops/empty.h>

#include <cmath>
#include <string>

#include "bindings/keywords.h"
#include "bindings/list.h"
#include "bindings/tensor.h"
#include "host/base/error.h"
#include "host/metric/detection.h"

namespace trainhost::bindings {
namespace {

constexpr const char* kDetections = "MeanAveragePrecision";

// The numbers of a tensor on any device, read as Number.
template <class Number>
class Numbers {
 public:
  explicit Numbers(const at::Tensor& tensor)
      : tensor_(tensor.detach().to(at::kCPU, c10::CppTypeToScalarType<Number>::value).contiguous()),
        data_(tensor_.const_data_ptr<Number>()) {}
  Number operator[](int64_t i) const { return data_[i]; }

 private:
  at::Tensor tensor_;
  const Number* data_;
};

std::string shape_of(const at::Tensor& tensor) {
  std::string text = "[";
  for (const int64_t size : tensor.sizes()) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

// One image: the table at the stack index `table`, which `name` names: predictions[3].
class Image {
 public:
  Image(lua_State* L, int table, std::string name) : L_(L), table_(table), name_(std::move(name)) {
    if (!lua_istable(L, table))
      throw_usage(name_of("") + "must be a table {boxes =, labels =}, got " + describe(L, table));
    const at::Tensor boxes = tensor("boxes", true);
    size_ = boxes.numel() == 0 ? 0 : boxes.size(0);
    if (size_ > 0 && (boxes.dim() != 2 || boxes.size(1) != 4)) wrong_shape("boxes", "[n, 4]", boxes);
    boxes_ = boxes;
  }

  int64_t size() const { return size_; }

  std::vector<metric::Box> boxes(metric::BoxFormat format, bool inclusive) const {
    std::vector<metric::Box> result;
    result.reserve(static_cast<size_t>(size_));
    const Numbers<double> numbers(boxes_);
    for (int64_t i = 0; i < size_; ++i) {
      const std::array<double, 4> box{numbers[4 * i], numbers[4 * i + 1], numbers[4 * i + 2], numbers[4 * i + 3]};
      for (const double number : box)
        if (!std::isfinite(number)) throw_usage(name_of("boxes") + "holds NaN or infinity in box " + std::to_string(i));
      result.push_back(metric::box_of(box, format, inclusive));
    }
    return result;
  }

  std::vector<double> numbers(const char* field, bool required) const {
    const at::Tensor tensor = column(field, required);
    if (!tensor.defined()) return {};
    const Numbers<double> values(tensor);
    std::vector<double> result(static_cast<size_t>(size_));
    for (int64_t i = 0; i < size_; ++i) {
      result[static_cast<size_t>(i)] = values[i];
      if (std::isnan(values[i])) throw_usage(name_of(field) + "holds NaN at " + std::to_string(i));
    }
    return result;
  }

  std::vector<int64_t> labels() const {
    const at::Tensor tensor = column("labels", true);
    if (size_ > 0 && !at::isIntegralType(tensor.scalar_type(), /*includeBool=*/false))
      throw Error(ErrorKind::dtype, name_of("labels") + "must be integers, got " + dtype_name(tensor.scalar_type()));
    const Numbers<int64_t> values(tensor);
    std::vector<int64_t> result(static_cast<size_t>(size_));
    for (int64_t i = 0; i < size_; ++i) result[static_cast<size_t>(i)] = values[i];
    return result;
  }

 private:
  std::string name_of(const char* field) const {
    return std::string(kDetections) + ": " + name_ + (*field ? "." : " ") + field + (*field ? " " : "");
  }
  [[noreturn]] void wrong_shape(const char* field, const std::string& expected, const at::Tensor& got) const {
    throw Error(ErrorKind::shape, name_of(field) + "must have the shape " + expected + ", got " + shape_of(got));
  }

  at::Tensor tensor(const char* field, bool required) const {
    lua_getfield(L_, table_, field);
    const at::Tensor* found = test_tensor(L_, -1);
    if (!found && (required || !lua_isnil(L_, -1)))
      throw_usage(name_of(field) + "must be a Tensor, got " + describe(L_, lua_gettop(L_)));
    const at::Tensor result = found ? *found : at::Tensor();
    lua_pop(L_, 1);
    return result;
  }

  // A number for each box.
  at::Tensor column(const char* field, bool required) const {
    at::Tensor result = tensor(field, required);
    if (result.defined() && (result.numel() != size_ || (size_ > 0 && result.dim() != 1)))
      wrong_shape(field, "[" + std::to_string(size_) + "], one for each box", result);
    return result;
  }

  lua_State* L_;
  int table_;
  std::string name_;
  int64_t size_ = 0;
  at::Tensor boxes_;
};

std::vector<double> check_numbers(lua_State* L, int index, const char* name) {
  if (!lua_istable(L, index)) throw_argument(L, kDetections, name, "a list of numbers", index);
  std::vector<double> numbers;
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, index)); i <= n; ++i) {
    lua_rawgeti(L, index, i);
    numbers.push_back(check_number(L, lua_gettop(L), kDetections, name));
    lua_pop(L, 1);
  }
  return numbers;
}

metric::BoxFormat check_box_format(std::string_view name) {
  if (name == "xyxy") return metric::BoxFormat::xyxy;
  if (name == "xywh") return metric::BoxFormat::xywh;
  if (name == "cxcywh") return metric::BoxFormat::cxcywh;
  throw_usage(std::string(kDetections) + ": box_format must be \"xyxy\", \"xywh\" or \"cxcywh\", got \"" +
              std::string(name) + "\"");
}

at::Tensor empty(at::IntArrayRef sizes, at::ScalarType type) {
  return at::empty(sizes, at::TensorOptions(type).device(at::kCPU));
}

template <class Number>
void push_numbers(lua_State* L, const std::vector<Number>& numbers, std::vector<int64_t> sizes) {
  at::Tensor tensor = empty(sizes, c10::CppTypeToScalarType<Number>::value);
  std::copy(numbers.begin(), numbers.end(), tensor.template mutable_data_ptr<Number>());
  push_tensor(L, std::move(tensor));
}

int64_t length(const std::vector<int64_t>& list) { return static_cast<int64_t>(list.size()); }

// match(predictions, targets, rules): see the docstring.
int match(lua_State* L) {
  for (const int list : {1, 2})
    if (!lua_istable(L, list))
      throw_argument(L, kDetections, list == 1 ? "predictions" : "targets", "a list of tables, one an image", list);
  const auto images = static_cast<lua_Integer>(lua_rawlen(L, 1));
  if (images != static_cast<lua_Integer>(lua_rawlen(L, 2)))
    throw_usage(std::string(kDetections) + ": predictions are of " + std::to_string(images) + " images, targets of " +
                std::to_string(lua_rawlen(L, 2)));
  Keywords keywords(L, kDetections, 3, {"voc", "inclusive", "pooled", "box_format", "thresholds", "areas", "most"});
  const auto flag = [&](const char* name) { return check_boolean(L, keywords.find(name), kDetections, name); };
  metric::Rules rules;
  rules.voc = flag("voc");
  rules.pooled = flag("pooled");
  const bool inclusive = flag("inclusive");
  const auto format = check_box_format(check_string(L, keywords.find("box_format"), kDetections, "box_format"));
  rules.thresholds = check_numbers(L, keywords.find("thresholds"), "iou_thresholds");
  if (rules.thresholds.size() > metric::kMostThresholds)
    throw_usage(std::string(kDetections) + ": at most 32 iou_thresholds, got " +
                std::to_string(rules.thresholds.size()));
  const auto bounds = check_numbers(L, keywords.find("areas"), "areas");
  for (size_t i = 0; i + 1 < bounds.size(); i += 2) rules.areas.push_back({bounds[i], bounds[i + 1]});
  rules.most = check_integer(L, keywords.find("most"), kDetections, "most");

  metric::Matches matches;
  for (lua_Integer i = 1; i <= images; ++i) {
    const std::string number = "[" + std::to_string(i) + "]";
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 2, i);
    const Image predicted(L, lua_gettop(L) - 1, "predictions" + number), there(L, lua_gettop(L), "targets" + number);
    metric::Detections detections{predicted.boxes(format, inclusive), predicted.numbers("scores", true),
                                  predicted.labels()};
    metric::Objects objects{there.boxes(format, inclusive), there.labels(), {}, {}};
    if (!rules.voc) objects.areas = there.numbers("area", false);
    if (objects.areas.empty())
      for (const metric::Box& box : objects.boxes) objects.areas.push_back(box.w * box.h);
    for (const double ignored : there.numbers(rules.voc ? "difficult" : "iscrowd", false))
      objects.ignored.push_back(ignored != 0);
    objects.ignored.resize(objects.boxes.size(), 0);
    metric::match(detections, objects, rules, matches);
    lua_pop(L, 2);
  }
  const auto areas = static_cast<int64_t>(rules.areas.size()), n = length(matches.labels);
  push_numbers(L, matches.labels, {n});
  push_numbers(L, matches.scores, {n});
  push_numbers(L, matches.ranks, {n});
  push_numbers(L, matches.matched, {n, areas});
  push_numbers(L, matches.ignored, {n, areas});
  push_numbers(L, matches.classes, {length(matches.classes)});
  push_numbers(L, matches.counts, {length(matches.classes), areas});
  return 7;
}

// average_precision(matches, sums): see the docstring.
int average_precision(lua_State* L) {
  std::array<at::Tensor, 7> kept;
  constexpr std::array types{at::kLong, at::kDouble, at::kInt, at::kInt, at::kInt, at::kLong, at::kLong};
  if (!lua_istable(L, 1)) throw_argument(L, kDetections, "matches", "the seven tensors of match", 1);
  for (size_t i = 0; i < kept.size(); ++i) {
    lua_rawgeti(L, 1, static_cast<lua_Integer>(i + 1));
    kept[i] = check_tensor(L, lua_gettop(L)).to(at::kCPU, types[i]).contiguous();
    lua_pop(L, 1);
  }
  Keywords keywords(L, kDetections, 2, {"points", "recalls", "most", "thresholds", "areas", "curves"});
  const std::string_view points = check_string(L, keywords.find("points"), kDetections, "points");
  metric::Sums sums;
  sums.points = points == "voc2007"   ? metric::Points::voc2007
                : points == "voc2010" ? metric::Points::voc2010
                                      : metric::Points::coco;
  sums.recalls = check_numbers(L, keywords.find("recalls"), "rec_thresholds");
  sums.most = check_indices(L, keywords.find("most"), kDetections, "max_detection_thresholds");
  sums.thresholds = static_cast<size_t>(check_integer(L, keywords.find("thresholds"), kDetections, "thresholds"));
  sums.areas = static_cast<size_t>(check_integer(L, keywords.find("areas"), kDetections, "areas"));
  sums.curves = check_boolean(L, keywords.find("curves"), kDetections, "curves");
  const auto areas = static_cast<int64_t>(sums.areas), n = kept[0].numel();
  for (const size_t i : {1, 2, 3, 4})
    if (kept[i].numel() != n * (i < 3 ? 1 : areas)) throw_usage(std::string(kDetections) + ": the state is broken");
  if (kept[6].numel() != kept[5].numel() * areas) throw_usage(std::string(kDetections) + ": the state is broken");

  const metric::MatchesView view{static_cast<size_t>(n),
                                 static_cast<size_t>(kept[5].numel()),
                                 kept[0].const_data_ptr<int64_t>(),
                                 kept[1].const_data_ptr<double>(),
                                 kept[2].const_data_ptr<int32_t>(),
                                 kept[3].const_data_ptr<int32_t>(),
                                 kept[4].const_data_ptr<int32_t>(),
                                 kept[5].const_data_ptr<int64_t>(),
                                 kept[6].const_data_ptr<int64_t>()};
  const metric::Scores scores = metric::average_precision(view, sums);
  const int64_t t = static_cast<int64_t>(sums.thresholds), k = length(scores.classes), m = length(sums.most);
  push_numbers(L, scores.classes, {k});
  push_numbers(L, scores.precision, {t, k, areas, m});
  push_numbers(L, scores.recall, {t, k, areas, m});
  if (!sums.curves) return 3;
  push_numbers(L, scores.curves, {t, static_cast<int64_t>(sums.recalls.size()), k, areas, m});
  return 4;
}

}  // namespace

int open_metric(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"match", guarded<match>,
       "Which detections of each image hit.\n@param predictions table[] {boxes =, scores =, labels =}, Tensors\n@param "
       "targets table[] {boxes =, labels =, iscrowd or difficult =, area =}, Tensors\n@param rules table voc, "
       "inclusive, "
       "pooled, box_format, thresholds, areas (least, most, least, most ...), most\n@return Tensor labels int64 [n]\n"
       "@return Tensor scores float64 [n]\n@return Tensor ranks int32 [n]\n@return Tensor matched int32 [n, areas], "
       "bit "
       "t is about threshold t\n@return Tensor ignored int32 [n, areas]\n@return Tensor classes int64 [k] that have "
       "objects in an image\n@return Tensor counts int64 [k, areas] of objects"},
      {"average_precision", guarded<average_precision>,
       "Average precision and greatest recall; -1 for a class without objects.\n@param matches Tensor[] what match "
       "returned\n@param sums table points, recalls, most, thresholds, areas (how many), curves\n@return Tensor "
       "classes "
       "int64 [K]\n@return Tensor precision float64 [T, K, A, M]\n@return Tensor recall float64 [T, K, A, M]\n@return "
       "Tensor? curves float64 [T, R, K, A, M]"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  set_functions(L, kFunctions);
  return 1;
}

}  // namespace trainhost::bindings
