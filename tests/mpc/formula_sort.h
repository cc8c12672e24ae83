// Purpose: T_sort(n, w; s) written a second time, from its definition in words alone, for comparison with the
// library's:
//
// "n records of w words, of which the key is compared. A machine holds B = floor(s/jw) of them, j = 2, 3 or 4 (and no
// more than a protocol allows), M = ceil(n/B). Beside them it holds 4 words, start and length of its first and its last
// group, and h = s - Bw - 4 others. A sample is a key and a position, w_k words. M = 1: T = 0. For f = 2..M+1: sigma =
// floor(h/(f w_k)), F = min(floor(h/((f+4) w_k)), sigma min(f, M)); skip f if sigma < 1 or F < 2; t0 = ceil(B/sigma),
// n_0 = n; while n_l > B: m_l = ceil(n_l/B)+1, d_l = max(1, ceil(log_f m_l)), n_{l+1} = ceil(n_l/F) + m_l t0 d_l + t0
// f^{d_l-1}, f is rejected if 20 n_{l+1} >= 19 n_l; T = 2 + sum (4 d_l + 1). Least T wins, ties the smaller j, then f;
// no f: kappa_s is raised."
#pragma once

#include <climits>

namespace roundtrip::mpc::testing {

struct FormulaPlan {
  long T = -1;  ///< -1 if there is no plan
  long B = 0;
  long M = 0;
};

// NOLINTBEGIN(readability-identifier-naming): the letters of the derivation
inline FormulaPlan formula_plan(long n, long w, long s, long wk = 2, long most = LONG_MAX) {
  const auto up = [](long a, long b) { return (a + b - 1) / b; };
  FormulaPlan best;
  for (long j = 2; j <= 4; ++j) {
    const long B = s / (j * w) < most ? s / (j * w) : most;
    if (B <= 0) continue;
    const long M = up(n, B);
    if (M == 1) return {0, B, 1};
    const long h = s - B * w - 4;
    for (long f = 2; f <= M + 1 && h > 0; ++f) {
      const long sigma = h / (f * wk);
      const long F1 = h / ((f + 4) * wk);
      const long F2 = sigma * (f < M ? f : M);
      const long F = F1 < F2 ? F1 : F2;
      if (sigma < 1 || F < 2) continue;
      const long t0 = up(B, sigma);
      long T = 2;
      bool good = true;
      for (long size = n; good && size > B;) {
        const long m = up(size, B) + 1;
        long d = 1;
        for (long reach = f; reach < m; reach *= f) ++d;
        long power = 1;
        for (long i = 1; i < d; ++i) power *= f;
        const long next = up(size, F) + m * t0 * d + t0 * power;
        good = 20 * next < 19 * size;
        T += 4 * d + 1;
        size = next;
      }
      if (good && (best.T < 0 || T < best.T)) best = {T, B, M};
    }
  }
  return best;
}
// NOLINTEND(readability-identifier-naming)

/// T_sort, or -1 if there is no plan.
inline long formula_t_sort(long n, long w, long s, long wk = 2, long most = LONG_MAX) {
  return formula_plan(n, w, s, wk, most).T;
}

/// Least b with b^den >= n^num: ceil(n^(num/den)), by trial.
__extension__ typedef unsigned __int128 Wide;
inline long formula_b(long n, long num, long den) {
  const auto power = [](long x, long e) {
    Wide product = 1;
    while (e-- > 0) product *= static_cast<Wide>(x);
    return product;
  };
  long b = 1;
  while (power(b, den) < power(n, num)) ++b;
  return b;
}

struct FormulaSort {
  long kappa;  ///< raised where there is no plan
  long b;
  long t;
};

/// Of n records of w words, kappa raised as said.
inline FormulaSort formula_sort(long n, long num, long den, long kappa, long w) {
  const long b = formula_b(n, num, den);
  while (formula_t_sort(n, w, kappa * b) < 0) ++kappa;
  return {kappa, b, formula_t_sort(n, w, kappa * b)};
}

}  // namespace roundtrip::mpc::testing
