// Agreement over ranks: which failure counts, and that it arrives as the kind that it was.
#include "roundtrip/mpc/agree.h"

#include <gtest/gtest.h>

#include <new>
#include <numeric>
#include <stdexcept>

#include "mpi_main.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::mpc {
namespace {

using Kind = ModelViolation::Kind;

class Agree : public ::testing::Test {
 protected:
  /// What every rank threw when the ranks' failures were agreed on; all the same, or the test fails.
  template <typename Error, typename Work>
  Error agreed(Work&& work) {
    try {
      agree_on(*transport_, work);
    } catch (const Error& error) {
      std::string first = error.what();
      transport_->broadcast(first);
      EXPECT_EQ(first, error.what());
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(std::string());
  }
  bool last() const { return transport_->rank() == transport_->ranks() - 1; }

  const std::unique_ptr<Transport> transport_ = roundtrip::tests::session().transport();
};

TEST_F(Agree, ReturnsWhereNobodyFailed) {
  int done = 0;
  agree_on(*transport_, [&] { ++done; });
  EXPECT_EQ(done, 1);
}

TEST_F(Agree, AContractErrorKeepsItsField) {
  const auto error =
      agreed<ContractError>([&] { require_field(!last(), "checkpoint folder", "cannot open {}", "'x'"); });
  EXPECT_EQ(error.field(), "checkpoint folder");
  EXPECT_STREQ(error.what(), "checkpoint folder: cannot open 'x'");
  EXPECT_EQ(agreed<ContractError>([&] { require(!last(), "no field"); }).field(), "");
  EXPECT_STREQ(agreed<ContractError>([&] {
                 throw ContractError(transport_->rank() == 0 ? "of rank 0" : "of another");
               }).what(),
               "of rank 0");
}

TEST_F(Agree, AViolationKeepsItsFactsAndTheFirstCounts) {
  const auto machine = [&](int rank) { return static_cast<std::uint32_t>(transport_->ranks() - rank); };
  try {
    agree_on(*transport_, [&] {
      throw ModelViolation({Kind::kStepFailed, 3, machine(transport_->rank()), 7, 8}, "two\nlines");
    });
    ADD_FAILURE();
  } catch (const ModelViolation& error) {
    EXPECT_EQ(error.facts().kind, Kind::kStepFailed);
    EXPECT_EQ(error.facts().round, 3u);
    EXPECT_EQ(error.facts().machine, 1u);  // on the last rank
    EXPECT_EQ(error.facts().used, 7u);
    EXPECT_EQ(error.facts().allowed, 8u);
    EXPECT_EQ(error.detail(), "two\nlines");
  }
}

TEST_F(Agree, OtherErrorsAreFaultsThatAllKnow) {
  EXPECT_STREQ(agreed<AgreedFault>([&] {
                 if (last()) throw std::bad_alloc();
               }).what(),
               "out of memory");
  EXPECT_STREQ(agreed<AgreedFault>([&] {
                 if (last()) throw std::runtime_error("x");
               }).what(),
               "x");
  EXPECT_STREQ(agreed<AgreedFault>([&] {
                 if (last()) throw 42;
               }).what(),
               "threw something that is not a std::exception");
  // A fault counts before a refusal, and that before a violation, whatever the rank.
  EXPECT_STREQ(agreed<AgreedFault>([&] {
                 if (last()) throw InternalError("ours");
                 throw ContractError("theirs");
               }).what(),
               "ours");
  EXPECT_STREQ(agreed<ContractError>([&] {
                 if (last()) throw ContractError("theirs");
                 throw ModelViolation({Kind::kScratch, 1, 1, 1, 1});
               }).what(),
               "theirs");
}

TEST_F(Agree, FromRootGivesItsValueOrItsError) {
  const bool root = transport_->rank() == 0;
  EXPECT_EQ(from_root(*transport_, [&] { return std::string(root ? "root" : "other"); }), "root");
  EXPECT_EQ(from_root(*transport_, [&] { return root ? 17u : 0u; }), 17u);
  int calls = 0;
  from_root(*transport_, [&] { ++calls; });
  EXPECT_EQ(calls, root ? 1 : 0);
  try {
    from_root(*transport_, [] { throw ContractError("memory", "4 words"); });
    ADD_FAILURE();
  } catch (const ContractError& error) {
    EXPECT_EQ(error.field(), "memory");
  }
  EXPECT_THROW(from_root(*transport_, []() -> int { throw std::logic_error("x"); }), AgreedFault);
  EXPECT_THROW(from_root(*transport_,
                         [] {
                           throw ModelViolation({Kind::kScratch, 1, 2, 3, 4});
                         }),
               ModelViolation);
}

TEST_F(Agree, AllGatherKeepsLengthsAndBytes) {
  // Longer by rank, none on rank 0, zeros and all.
  const auto bytes_of = [](int rank) {
    std::string bytes(static_cast<std::size_t>(rank) * 13, '\0');
    std::iota(bytes.begin(), bytes.end(), static_cast<char>(rank));
    return bytes;
  };
  const auto all = all_gather(*transport_, bytes_of(transport_->rank()));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(transport_->ranks()));
  for (int rank = 0; rank < transport_->ranks(); ++rank)
    EXPECT_EQ(all[static_cast<std::size_t>(rank)], bytes_of(rank));
}

// An error that MPI returns ends the work in its name; with the seeded defect nobody notices.
TEST_F(Agree, AnErrorCodeOfMpiIsAnError) {
  const std::vector<std::uint64_t> words(1);
  const Transport::SendPiece nowhere{transport_->ranks(), words};
  try {
    transport_->exchange({&nowhere, 1}, {});
    ADD_FAILURE() << "a message to a rank that there is not";
  } catch (const InternalError& error) {
    EXPECT_NE(std::string(error.what()).find("MPI_Isend: "), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("rank"), std::string::npos) << error.what();
  }
  if (!kFaultsCompiledIn) return;
  const FaultSwitch dropped("mpi-code");
  EXPECT_NO_THROW(transport_->exchange({&nowhere, 1}, {}));
}

}  // namespace
}  // namespace roundtrip::mpc
