// Purpose: records that are never cut. Input words come in blocks of b, records in w words, and b need not be a multiple
// of w; this stage brings every record whole to the machine that will work on it.
//
//   stage          rounds   words out, at most   words in, at most
//   WholeRecords     1      2 b                  (floor((B + E - 2) / E) + 1) w
#pragma once

#include <cstdint>
#include <span>

#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {

/// Record r (words r w .. r w + w - 1 of the input) stands for positions r E .. r E + E - 1; machine i has positions
/// i B .. i B + B - 1, and gets every record that stands for one of them. With E <= B that is one machine or two.
struct WholeRecordsOptions {
  std::uint64_t words = 0;              ///< N, a multiple of w
  std::uint64_t block_words = 0;        ///< b
  std::uint64_t record_words = 1;       ///< w
  std::uint64_t positions = 1;          ///< E, at most B
  std::uint64_t machine_positions = 1;  ///< B
};

class WholeRecords final : public Stage {
 public:
  using Options = WholeRecordsOptions;
  /// What a machine has: records first, first + 1, .. of w words each.
  struct Result {
    std::uint64_t first = 0;
    std::span<const Word> words;
  };

  /// ContractError unless w divides N and E <= B.
  explicit WholeRecords(const Options& options);
  std::uint32_t rounds() const override { return 1; }
  void step(const Context& context, std::uint32_t round) const override;
  std::uint64_t scratch_words() const override { return 0; }
  /// In the step after the stage.
  Result result(const Context& context) const;
  /// Most words that a machine receives.
  static std::uint64_t received_words(const Options& options);

 private:
  Options options_;
};

}  // namespace roundtrip::mpc
