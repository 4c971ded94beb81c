// Which detections of an image hit: the greedy assignment of COCO's and of VOC's evaluation.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/metric/detection.h"

namespace trainhost::metric {
namespace {

// COCO's own arithmetic, in its order: its figures are met to the last bit.
double overlap(const Box& detection, const Box& object, bool crowd) noexcept {
  const double w = std::fmin(detection.w + detection.x, object.w + object.x) - std::fmax(detection.x, object.x);
  if (w <= 0) return 0;
  const double h = std::fmin(detection.h + detection.y, object.h + object.y) - std::fmax(detection.y, object.y);
  if (h <= 0) return 0;
  const double both = w * h, own = detection.w * detection.h;
  return both / (crowd ? own : own + object.w * object.h - both);
}

bool outside(double area, const Range& range) noexcept { return area < range.least || area > range.most; }

// One class of one image: the detections from best to worst, the objects as they came.
class Assignment {
 public:
  Assignment(const Detections& detections, const Objects& objects, const Rules& rules)
      : detections_(detections), objects_(objects), rules_(rules) {}

  void run(const std::vector<uint32_t>& found, const std::vector<uint32_t>& there, Matches& matches) {
    found_ = &found;
    there_ = &there;
    measure();
    const size_t areas = rules_.areas.size(), first = matches.matched.size();
    matches.matched.resize(first + found.size() * areas, 0);
    matches.ignored.resize(first + found.size() * areas, 0);
    for (size_t a = 0; a < areas; ++a) {
      sort_objects(rules_.areas[a]);
      int32_t* matched = matches.matched.data() + first + a;
      int32_t* ignored = matches.ignored.data() + first + a;
      for (size_t t = 0; t < rules_.thresholds.size() && !there.empty(); ++t) {
        if (greatest_ < threshold(t)) continue;
        if (rules_.voc) assign_voc(t, matched, ignored, areas);
        else assign_coco(t, matched, ignored, areas);
      }
      if (!rules_.voc) ignore_outside(rules_.areas[a], matched, ignored, areas);
      if (!there.empty()) matches.counts.push_back(regular_);
    }
  }

 private:
  void measure() {
    overlaps_.resize(found_->size() * there_->size());
    best_.assign(found_->size(), 0);
    greatest_ = 0;
    double* out = overlaps_.data();
    for (size_t d = 0; d < found_->size(); ++d)
      for (const uint32_t g : *there_) {
        *out = overlap(detections_.boxes[(*found_)[d]], objects_.boxes[g], !rules_.voc && objects_.ignored[g]);
        best_[d] = std::max(best_[d], *out++);
        greatest_ = std::max(greatest_, best_[d]);
      }
  }

  // Boxes that are equal overlap by 1 but for what rounding takes away.
  double threshold(size_t t) const { return std::min(rules_.thresholds[t], rules_.voc ? 1 : 1 - 1e-10); }

  // Those that count first, each part in the order in which they came.
  void sort_objects(const Range& range) {
    order_.clear();
    const auto counts = [&](uint32_t g) { return !objects_.ignored[g] && !outside(objects_.areas[g], range); };
    for (uint32_t i = 0; i < there_->size(); ++i)
      if (counts((*there_)[i])) order_.push_back(i);
    regular_ = static_cast<int64_t>(order_.size());
    for (uint32_t i = 0; i < there_->size(); ++i)
      if (!counts((*there_)[i])) order_.push_back(i);
  }

  // Each detection takes the free object that it overlaps most, one that counts before one that is ignored; a crowd is
  // never taken. Of equals the last.
  void assign_coco(size_t t, int32_t* matched, int32_t* ignored, size_t stride) {
    const auto bit = static_cast<int32_t>(uint32_t{1} << t);
    const double least = threshold(t);
    const auto regular = static_cast<size_t>(regular_);
    taken_.assign(order_.size(), 0);
    for (size_t d = 0; d < found_->size(); ++d) {
      if (best_[d] < least) continue;
      const double* row = overlaps_.data() + d * there_->size();
      double most = least;
      size_t hit = order_.size();
      for (size_t g = 0; g < order_.size(); ++g) {
        if (g == regular && hit < regular) break;
        if (taken_[g] && !objects_.ignored[(*there_)[order_[g]]]) continue;
        if (row[order_[g]] < most) continue;
        most = row[order_[g]];
        hit = g;
      }
      if (hit == order_.size()) continue;
      taken_[hit] = 1;
      matched[d * stride] |= bit;
      if (hit >= regular) ignored[d * stride] |= bit;
    }
  }

  // Each detection goes to the object that it overlaps most: a hit, unless that is taken. Of equals the first.
  void assign_voc(size_t t, int32_t* matched, int32_t* ignored, size_t stride) {
    const auto bit = static_cast<int32_t>(uint32_t{1} << t);
    taken_.assign(there_->size(), 0);
    for (size_t d = 0; d < found_->size(); ++d) {
      if (best_[d] < rules_.thresholds[t]) continue;
      const double* row = overlaps_.data() + d * there_->size();
      const auto hit = static_cast<size_t>(std::max_element(row, row + there_->size()) - row);
      if (objects_.ignored[(*there_)[hit]]) {
        matched[d * stride] |= bit;
        ignored[d * stride] |= bit;
      } else if (!taken_[hit]) {
        matched[d * stride] |= bit;
        taken_[hit] = 1;
      }
    }
  }

  // A detection of another size that hit nothing is not counted against.
  void ignore_outside(const Range& range, const int32_t* matched, int32_t* ignored, size_t stride) {
    const auto all = static_cast<int32_t>((uint64_t{1} << rules_.thresholds.size()) - 1);
    for (size_t d = 0; d < found_->size(); ++d) {
      const Box& box = detections_.boxes[(*found_)[d]];
      if (outside(box.w * box.h, range)) ignored[d * stride] |= all & ~matched[d * stride];
    }
  }

  const Detections& detections_;
  const Objects& objects_;
  const Rules& rules_;
  const std::vector<uint32_t>*found_ = nullptr, *there_ = nullptr;
  std::vector<double> overlaps_, best_;  // [detections, objects]; of each detection the greatest
  double greatest_ = 0;
  std::vector<uint32_t> order_;  // positions in there_
  std::vector<uint8_t> taken_;
  int64_t regular_ = 0;  // so many at the beginning of order_ count
};

}  // namespace

Box box_of(const std::array<double, 4>& n, BoxFormat format, bool inclusive) noexcept {
  const double more = inclusive ? 1 : 0;
  switch (format) {
    case BoxFormat::xyxy:
      return {n[0], n[1], n[2] - n[0] + more, n[3] - n[1] + more};
    case BoxFormat::cxcywh:
      return {n[0] - n[2] / 2, n[1] - n[3] / 2, n[2], n[3]};
    default:
      return {n[0], n[1], n[2], n[3]};
  }
}

void match(const Detections& detections, const Objects& objects, const Rules& rules, Matches& matches) {
  std::vector<uint32_t> found(detections.boxes.size()), there(objects.boxes.size());
  std::iota(found.begin(), found.end(), 0);
  std::iota(there.begin(), there.end(), 0);
  // COCO's order: pooled classes come one after the other and are then sorted by score.
  std::stable_sort(found.begin(), found.end(), [&](uint32_t a, uint32_t b) {
    if (!rules.pooled && detections.labels[a] != detections.labels[b])
      return detections.labels[a] < detections.labels[b];
    if (detections.scores[a] != detections.scores[b]) return detections.scores[a] > detections.scores[b];
    return rules.pooled && detections.labels[a] < detections.labels[b];
  });
  std::stable_sort(there.begin(), there.end(),
                   [&](uint32_t a, uint32_t b) { return objects.labels[a] < objects.labels[b]; });

  const auto label_of = [&](const std::vector<int64_t>& labels, uint32_t i) { return rules.pooled ? 0 : labels[i]; };
  Assignment assignment(detections, objects, rules);
  std::vector<uint32_t> own, objects_of;
  for (size_t d = 0, g = 0; d < found.size() || g < there.size();) {
    int64_t label = 0;
    if (d == found.size()) label = label_of(objects.labels, there[g]);
    else if (g == there.size()) label = label_of(detections.labels, found[d]);
    else label = std::min(label_of(objects.labels, there[g]), label_of(detections.labels, found[d]));
    own.clear();
    objects_of.clear();
    for (; d < found.size() && label_of(detections.labels, found[d]) == label; ++d)
      if (static_cast<int64_t>(own.size()) < rules.most) own.push_back(found[d]);
    for (; g < there.size() && label_of(objects.labels, there[g]) == label; ++g) objects_of.push_back(there[g]);
    for (size_t i = 0; i < own.size(); ++i) {
      matches.labels.push_back(label);
      matches.scores.push_back(detections.scores[own[i]]);
      matches.ranks.push_back(static_cast<int32_t>(i));
    }
    if (!objects_of.empty()) matches.classes.push_back(label);
    assignment.run(own, objects_of, matches);
  }
}

}  // namespace trainhost::metric
