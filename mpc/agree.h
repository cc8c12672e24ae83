// Purpose: ranks that know different things go on with one. What one rank alone has found, errors included, is known
// to all before any goes on, so that none waits in a collective for another that has left; and an error arrives as
// the kind that it was: a ContractError with its field, a ModelViolation with its facts.
#pragma once

#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {

/// A fault that is neither the caller's nor a protocol's, and that every rank throws: no rank has to end the others.
class AgreedFault : public InternalError {
 public:
  using InternalError::InternalError;
};

/// Collective: the bytes of every rank, by rank, on every rank.
[[nodiscard]] std::vector<std::string> all_gather(Transport& transport, const std::string& mine);

/// Collective. Returns if no rank has a failure; else every rank throws the same one: before any other what is neither
/// a ContractError nor a ModelViolation (an AgreedFault then), of the least rank; then a ContractError, of the
/// least rank; then the first ModelViolation (ModelViolation::before).
void agree(Transport& transport, const std::exception_ptr& mine);

/// Collective: runs `work`, which calls nothing collective, on this rank; what it throws on any is agreed on.
template <typename Work>
void agree_on(Transport& transport, Work&& work) {
  std::exception_ptr failure;
  try {
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  agree(transport, failure);
}

/// Collective: runs `work`, which calls nothing collective, on rank 0 alone. Every rank returns its string, or throws
/// what it threw, in its kind.
[[nodiscard]] std::string string_from_root(Transport& transport, const std::function<std::string()>& work);

/// The same for nothing, a string or a trivially copyable value; mpc/runtime/archive.h makes strings of others.
template <typename Work>
auto from_root(Transport& transport, Work&& work) {
  using Value = std::invoke_result_t<Work>;
  if constexpr (std::is_void_v<Value>) {
    (void)string_from_root(transport, [&] {
      work();
      return std::string();
    });
  } else if constexpr (std::is_convertible_v<Value, std::string>) {
    return string_from_root(transport, std::forward<Work>(work));
  } else {
    static_assert(std::is_trivially_copyable_v<Value>);
    const std::string bytes = string_from_root(transport, [&] {
      const Value value = work();
      std::string result(sizeof value, '\0');
      std::memcpy(result.data(), &value, sizeof value);
      return result;
    });
    Value value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
}

}  // namespace roundtrip::mpc
