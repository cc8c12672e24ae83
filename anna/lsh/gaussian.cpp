#include "roundtrip/anna/lsh/gaussian.h"

#include <algorithm>
#include <vector>

namespace roundtrip::anna {
namespace {

__extension__ using Wide = unsigned __int128;

// Cumulative weights of the magnitudes 0 .. kGaussianMax by a recurrence on integers alone, w_0 = 2^63
// standing for 1:
//   w_{k+1} = w_k r_k,  r_{k+1} = r_k rho,  r_0 = exp(-x), rho = exp(-2x), x = 1 / 2 sigma^2 = 2^-25.
// Errors: a product rounds down by less than one unit u = 2^-63 and both constants are within 2 u, so r_k is
// off by at most (3k + 2) u and w_k by 1.5 (k + 1)^2 u relatively, in total variation half of their mean over
// the weights: .75 sigma^2 u = 1.4e-12. Cutting each weight to 47 bits adds below 1e-13, the tail beyond 8
// sigma 1.3e-15.
class Table {
 public:
  Table() : cumulative_(kGaussianMax + 1) {
    constexpr int kTwiceVarianceLog = 25;
    static_assert(2 * std::int64_t{kGaussianSigma} * kGaussianSigma == std::int64_t{1} << kTwiceVarianceLog);
    constexpr std::uint64_t kOne = std::uint64_t{1} << 63;
    // exp(-2^-n) = 1 - y + y^2/2 - ..: the next term is below 2^-74.
    const auto exponential = [](int n) { return kOne - (kOne >> n) + (kOne >> (2 * n + 1)); };
    std::uint64_t ratio = exponential(kTwiceVarianceLog);
    const std::uint64_t ratio_ratio = exponential(kTwiceVarianceLog - 1);
    std::uint64_t weight = kOne, sum = 0;
    for (std::int32_t k = 0; k <= kGaussianMax; ++k) {
      sum += (weight >> 16) * (k == 0 ? 1 : 2);  // below 2^48 sigma sqrt(2 pi) < 2^62
      cumulative_[k] = sum;
      weight = multiply(weight, ratio);
      ratio = multiply(ratio, ratio_ratio);
    }
    guide_.resize((sum >> kGuideShift) + 2);
    for (std::size_t cell = 0, k = 0; cell < guide_.size(); ++cell) {
      while (k < cumulative_.size() - 1 && cumulative_[k] <= (std::uint64_t{cell} << kGuideShift)) ++k;
      guide_[cell] = static_cast<std::uint32_t>(k);
    }
  }

  // Least k with cumulative[k] > r, r uniform in 0 .. total - 1.
  std::int32_t magnitude(std::uint64_t uniform63) const {
    const auto r = static_cast<std::uint64_t>((static_cast<Wide>(uniform63) * cumulative_.back()) >> 63);
    std::uint32_t low = guide_[r >> kGuideShift], high = guide_[(r >> kGuideShift) + 1];
    while (low < high) {
      const std::uint32_t middle = (low + high) / 2;
      if (cumulative_[middle] > r) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return static_cast<std::int32_t>(low);
  }

 private:
  static constexpr int kGuideShift = 50;
  static std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
    return static_cast<std::uint64_t>((static_cast<Wide>(a) * b) >> 63);
  }
  std::vector<std::uint64_t> cumulative_;
  std::vector<std::uint32_t> guide_;  // guide[c] = least k with cumulative[k] > c * 2^kGuideShift
};

}  // namespace

std::int32_t gaussian(std::uint64_t bits) {
  static const Table kTable;
  const std::int32_t magnitude = kTable.magnitude(bits >> 1);
  return (bits & 1) != 0 ? -magnitude : magnitude;
}

}  // namespace roundtrip::anna
