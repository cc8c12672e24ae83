// Purpose: the errors that every layer throws, in three families under one root ("Errors and exit statuses" in README.md):
//   ContractError   the caller's mistake: a flag, file, parameter or model that is not acceptable; exit status 2
//   ModelViolation  a protocol broke the MPC model (defined in mpc/violation.h); exit status 3
//   InternalError   a bug of ours; exit status 70
// A failed verification is a report, never an exception. Messages are one line: thing, value, what is allowed.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace roundtrip {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One that concerns a named field of what the caller gave (an option, a parameter) says so: its message begins
/// with the field's name and ": ". A program whose users know the field by another name (a flag) puts that there.
class ContractError : public Error {
 public:
  using Error::Error;
  ContractError(std::string field, const std::string& message)
      : Error(field + ": " + message), field_(std::move(field)) {}
  /// Empty: none in particular.
  const std::string& field() const { return field_; }

 private:
  std::string field_;
};

class InternalError : public Error {
 public:
  using Error::Error;
};

/// Throws ContractError with the formatted message unless `condition` holds.
template <typename... Args>
void require(bool condition, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) throw ContractError(fmt::format(message, std::forward<Args>(args)...));
}

/// The same about the field of that name: "field: message".
template <typename... Args>
void require_field(bool condition, const char* field, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) throw ContractError(field, fmt::format(message, std::forward<Args>(args)...));
}

}  // namespace roundtrip
