// What is told of each operator that runs on a thread, before it runs and after.
#pragma once

namespace at {
struct RecordFunction;
}

namespace trainhost::autograd {

// While it lives, on the thread that made it, where it also ends. Several are all told, the innermost first.
class Observer {
 public:
  Observer();
  virtual ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // With the inputs of the call. Throws nothing: the operator would go on.
  virtual void before(const at::RecordFunction& call) noexcept = 0;
  // With the outputs, none if the operator has thrown. Calls nest; one that began before the observer did ends here
  // too.
  virtual void after(const at::RecordFunction&) noexcept {}

  // To be called before a thread-local value is made that ends observers: it goes before what they need, then.
  static void prepare_thread();

 private:
  Observer* outer_;
};

}  // namespace trainhost::autograd
