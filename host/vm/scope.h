// Lists of the native objects that are made while a function of the script runs: what torch.scope lets go at its end.
#pragma once

namespace trainhost::vm {

// An object's place in the list of a scope; in none until `enter`. Copies and moves of the object stay out of it.
class ScopeLink {
 public:
  ScopeLink() = default;
  ScopeLink(const ScopeLink&) noexcept {}
  ScopeLink& operator=(const ScopeLink&) noexcept { return *this; }
  ~ScopeLink() { leave(); }

  // Becomes the newest of the list of which `list` is the head.
  void enter(ScopeLink& list) noexcept {
    before_ = list.before_ ? list.before_ : &list;
    after_ = &list;
    before_->after_ = this;
    list.before_ = this;
  }
  bool is_entered() const noexcept { return after_ != nullptr; }
  void leave() noexcept {
    if (!after_) return;
    before_->after_ = after_;
    after_->before_ = before_;
    before_ = after_ = nullptr;
  }
  // The one that was made before this; of the head: the newest. The head itself at the end; null for an unused head.
  ScopeLink* before() const noexcept { return before_; }
  // The other way: of the head, the oldest.
  ScopeLink* after() const noexcept { return after_; }

 private:
  ScopeLink *before_ = nullptr, *after_ = nullptr;
};

// The list of one scope.
struct ScopeList : ScopeLink {
  explicit ScopeList(unsigned d) noexcept : depth(d) {}
  const unsigned depth;  // 1 for the outermost
};

}  // namespace trainhost::vm
