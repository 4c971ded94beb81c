// Detections against what is there: which of them hit, by the rules of COCO and of PASCAL VOC, and their average
// precision.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace trainhost::metric {

// The place of its corner nearest to the origin, width and height.
struct Box {
  double x, y, w, h;
};

enum class BoxFormat { xyxy, xywh, cxcywh };
// The box of four numbers. inclusive: the corners of xyxy are pixels of the box, as in VOC's annotations.
Box box_of(const std::array<double, 4>& numbers, BoxFormat format, bool inclusive) noexcept;

struct Detections {
  std::vector<Box> boxes;
  std::vector<double> scores;
  std::vector<int64_t> labels;
};

// What is there. Hits of what is ignored (crowds of COCO, difficult objects of VOC) count neither for nor against.
struct Objects {
  std::vector<Box> boxes;
  std::vector<int64_t> labels;
  std::vector<double> areas;
  std::vector<uint8_t> ignored;
};

struct Range {
  double least, most;
};

constexpr size_t kMostThresholds = 32;

struct Rules {
  bool voc = false;     // a detection goes to the object that it overlaps most, taken or not; crowds are no crowds
  bool pooled = false;  // all labels are one class
  std::vector<double> thresholds;  // of the overlap, at most kMostThresholds
  std::vector<Range> areas;        // of an object; others are ignored
  int64_t most = 100;              // so many detections of a class in an image, the best ones
};

// One entry a detection that was kept. Bit t of matched and ignored is about threshold t; both have an entry an area
// range, those of a detection side by side. classes and counts are about objects: counts has how many are not ignored,
// an entry an area range. What several images gave is put one after the other.
struct Matches {
  std::vector<int64_t> labels;
  std::vector<double> scores;
  std::vector<int32_t> ranks;  // 0: the best of its class in its image
  std::vector<int32_t> matched, ignored;
  std::vector<int64_t> classes, counts;
};

// Adds an image's matches.
void match(const Detections& detections, const Objects& objects, const Rules& rules, Matches& matches);

enum class Points { coco, voc2007, voc2010 };

struct Sums {
  Points points = Points::coco;
  std::vector<double> recalls;  // where the curve is read, in rising order
  std::vector<int64_t> most;    // detections of a class in an image
  size_t thresholds = 0, areas = 0;
  bool curves = false;  // whether to keep the curves
};

// -1 where a class has no objects. T thresholds, K classes, A area ranges, M numbers of detections, R recalls.
struct Scores {
  std::vector<int64_t> classes;   // in rising order
  std::vector<double> precision;  // [T, K, A, M], averaged over the recalls
  std::vector<double> recall;     // [T, K, A, M], the greatest one
  std::vector<double> curves;     // [T, R, K, A, M]
};

// Read only: what `match` gave, not copied.
struct MatchesView {
  size_t detections, rows;
  const int64_t* labels;
  const double* scores;
  const int32_t *ranks, *matched, *ignored;
  const int64_t *classes, *counts;
};

Scores average_precision(const MatchesView& matches, const Sums& sums);

}  // namespace trainhost::metric
