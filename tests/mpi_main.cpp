#include "mpi_main.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROUNDTRIP_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#endif
#endif

namespace roundtrip::tests {
namespace {

std::unique_ptr<mpc::MpiSession> the_session;
std::unique_ptr<mpc::Transport> the_control;  // a communicator of its own: tests' messages never meet ours

/// Passes failures on, with the rank, and nothing else. A fatal one, on any rank, would leave the others in a
/// collective for ever: it ends them all.
class Failures final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (!part.failed()) return;
    if (part.fatally_failed() && the_session->ranks() > 1) {
      print(part);
      the_session->abort(1);
    }
    if (the_session->rank() != 0) print(part);
  }
  static void print(const testing::TestPartResult& part) {
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", the_session->rank(),
                 part.file_name() == nullptr ? "" : part.file_name(), part.line_number(), part.summary());
  }
};

/// After each test, before any rank starts the next one: a failure on one rank is a failure on all.
class VerdictReducer final : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    const bool passed = test.result()->Passed() || test.result()->Skipped();
    if (!on_all_ranks(passed) && passed) failed_elsewhere = true;
  }

 public:
  bool failed_elsewhere = false;
};

}  // namespace

mpc::MpiSession& session() {
  return *the_session;
}

bool on_all_ranks(bool mine) {
  std::uint64_t failures = mine ? 0 : 1;
  the_control->sum({&failures, 1});
  return failures == 0;
}

}  // namespace roundtrip::tests

int main(int argc, char** argv) {
  using namespace roundtrip::tests;
#ifdef ROUNDTRIP_LEAK_CHECK
  __lsan_disable();  // some of Open MPI's modules are loaded, leak and are unloaded here
#endif
  the_session = std::make_unique<roundtrip::mpc::MpiSession>(argc, argv);
#ifdef ROUNDTRIP_LEAK_CHECK
  __lsan_enable();
#endif
  the_control = the_session->transport();
  setenv("RC_PARAMS", "seed=1", /*overwrite=*/0);  // properties draw the same cases on every rank
  testing::InitGoogleTest(&argc, argv);
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (the_session->rank() != 0) {
    delete listeners.Release(listeners.default_result_printer());
    std::cerr.rdbuf(nullptr);  // where properties report
  }
  listeners.Append(new Failures);
  auto* const reducer = new VerdictReducer;
  listeners.Append(reducer);
  bool failed = RUN_ALL_TESTS() != 0 || reducer->failed_elsewhere;
  failed = !on_all_ranks(!failed);
#ifdef ROUNDTRIP_LEAK_CHECK
  __lsan_do_leak_check();  // now: what an unloaded module has leaked has no name that could be suppressed
#endif
  the_control.reset();
  the_session.reset();
  return failed ? 1 : 0;
}
