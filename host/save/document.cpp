// Walking a document without recursion.
#include "host/save/document.h"

namespace trainhost::save {

std::vector<uint32_t> Document::reachable() const {
  std::vector<bool> seen(boxes.size());
  std::vector<uint32_t> found;
  const auto visit = [&](Value value) {
    if (!is_box(value.kind) || seen[value.index]) return;
    seen[value.index] = true;
    found.push_back(value.index);
  };
  visit(root);
  for (size_t i = 0; i < found.size(); ++i) {
    const Box& box = boxes[found[i]];
    for (const Value item : box.items) visit(item);
    visit(box.attributes);
  }
  return found;
}

}  // namespace trainhost::save
