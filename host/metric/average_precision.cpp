// Precision over recall of what all images gave, and its average.
#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "host/metric/detection.h"

namespace trainhost::metric {
namespace {

// The curve of one class, area range, number of detections and threshold. Precision falls between hits, so that its
// maxima from any recall on are at hits: the curve holds these alone.
class Curve {
 public:
  void clear() {
    hits_ = counted_ = 0;
    precision_.clear();
  }
  void add(bool hit, double least) {
    ++counted_;
    if (hit) precision_.push_back(static_cast<double>(++hits_) / (static_cast<double>(counted_) + least));
  }
  double recall(int64_t objects) const { return static_cast<double>(hits_) / static_cast<double>(objects); }

  // The greatest precision at this hit or later.
  void settle() {
    for (size_t i = precision_.size(); i-- > 1;) precision_[i - 1] = std::max(precision_[i - 1], precision_[i]);
  }

  // The precision at recalls of at least each of `recalls`, which rise; 0 beyond the last hit.
  template <class Take>
  void read(const std::vector<double>& recalls, int64_t objects, Take take) const {
    size_t i = 0;
    for (size_t r = 0; r < recalls.size(); ++r) {
      while (i < precision_.size() && recall_at(i, objects) < recalls[r]) ++i;
      take(r, i < precision_.size() ? precision_[i] : 0.0);
    }
  }

  // The area under all steps.
  double area(int64_t objects) const {
    double sum = 0, before = 0;
    for (size_t i = 0; i < precision_.size(); ++i) {
      const double recall = recall_at(i, objects);
      sum += (recall - before) * precision_[i];
      before = recall;
    }
    return sum;
  }

 private:
  static double recall_at(size_t hit, int64_t objects) {
    return static_cast<double>(hit + 1) / static_cast<double>(objects);
  }
  int64_t hits_ = 0, counted_ = 0;
  std::vector<double> precision_;
};

// The detections of each class, from best to worst; of equals in the order in which they came.
std::vector<std::vector<uint32_t>> sort_by_class(const MatchesView& matches, const std::vector<int64_t>& classes) {
  std::unordered_map<int64_t, size_t> place;
  for (size_t k = 0; k < classes.size(); ++k) place[classes[k]] = k;
  std::vector<std::vector<uint32_t>> result(classes.size());
  for (uint32_t i = 0; i < matches.detections; ++i) result[place[matches.labels[i]]].push_back(i);
  for (auto& found : result)
    std::stable_sort(found.begin(), found.end(),
                     [&](uint32_t a, uint32_t b) { return matches.scores[a] > matches.scores[b]; });
  return result;
}

std::vector<int64_t> all_classes(const MatchesView& matches) {
  std::vector<int64_t> classes(matches.classes, matches.classes + matches.rows);
  classes.insert(classes.end(), matches.labels, matches.labels + matches.detections);
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  return classes;
}

class Summary {
 public:
  Summary(const MatchesView& matches, const Sums& sums) : matches_(matches), sums_(sums), curves_(sums.thresholds) {
    scores_.classes = all_classes(matches);
    const size_t cells = sums.thresholds * scores_.classes.size() * sums.areas * sums.most.size();
    scores_.precision.assign(cells, -1);
    scores_.recall.assign(cells, -1);
    if (sums.curves) scores_.curves.assign(cells * sums.recalls.size(), -1);
    for (int i = 0; i <= 10; ++i) eleven_.push_back(i * 0.1);
  }

  Scores run() {
    const auto found = sort_by_class(matches_, scores_.classes);
    std::vector<int64_t> objects(scores_.classes.size() * sums_.areas, 0);
    for (size_t row = 0; row < matches_.rows; ++row) {
      const auto k =
          static_cast<size_t>(std::lower_bound(scores_.classes.begin(), scores_.classes.end(), matches_.classes[row]) -
                              scores_.classes.begin());
      for (size_t a = 0; a < sums_.areas; ++a) objects[k * sums_.areas + a] += matches_.counts[row * sums_.areas + a];
    }
    for (size_t k = 0; k < found.size(); ++k)
      for (size_t a = 0; a < sums_.areas; ++a)
        for (size_t m = 0; m < sums_.most.size(); ++m)
          if (const int64_t count = objects[k * sums_.areas + a]; count > 0) fill(found[k], k, a, m, count);
    return std::move(scores_);
  }

 private:
  void fill(const std::vector<uint32_t>& found, size_t k, size_t a, size_t m, int64_t objects) {
    // NumPy's spacing(1), which COCO's evaluation adds to the divisor.
    const double least = sums_.points == Points::coco ? std::numeric_limits<double>::epsilon() : 0;
    for (Curve& curve : curves_) curve.clear();
    for (const uint32_t i : found) {
      if (matches_.ranks[i] >= sums_.most[m]) continue;
      const auto matched = static_cast<uint32_t>(matches_.matched[i * sums_.areas + a]);
      const auto ignored = static_cast<uint32_t>(matches_.ignored[i * sums_.areas + a]);
      for (size_t t = 0; t < curves_.size(); ++t)
        if (!(ignored >> t & 1)) curves_[t].add(matched >> t & 1, least);
    }
    const size_t classes = scores_.classes.size(), most = sums_.most.size(), points = sums_.recalls.size();
    for (size_t t = 0; t < curves_.size(); ++t) {
      const size_t cell = ((t * classes + k) * sums_.areas + a) * most + m;
      curves_[t].settle();
      scores_.recall[cell] = curves_[t].recall(objects);
      scores_.precision[cell] = average(curves_[t], objects);
      if (sums_.curves)
        curves_[t].read(sums_.recalls, objects, [&](size_t r, double precision) {
          scores_.curves[(((t * points + r) * classes + k) * sums_.areas + a) * most + m] = precision;
        });
    }
  }

  double average(const Curve& curve, int64_t objects) const {
    if (sums_.points == Points::voc2010) return curve.area(objects);
    const auto& points = sums_.points == Points::voc2007 ? eleven_ : sums_.recalls;
    double sum = 0;
    curve.read(points, objects, [&](size_t, double precision) { sum += precision; });
    return sum / static_cast<double>(points.size());
  }

  const MatchesView& matches_;
  const Sums& sums_;
  std::vector<Curve> curves_;   // one a threshold
  std::vector<double> eleven_;  // VOC 2007's recalls
  Scores scores_;
};

}  // namespace

Scores average_precision(const MatchesView& matches, const Sums& sums) { return Summary(matches, sums).run(); }

}  // namespace trainhost::metric
