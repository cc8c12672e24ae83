// Purpose: the flags by which users know the fields that the libraries' errors name (ContractError::field()).
#pragma once

#include <string>

#include "roundtrip/base/error.h"

namespace roundtrip::cli {

/// The error's line, with the field's flag in place of the field.
std::string message_of(const ContractError& error);

}  // namespace roundtrip::cli
