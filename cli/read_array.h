// Purpose: arrays for attention as numpy and others leave them: a .npy file in any byte and index order, compressed by
// gzip or not, from a pipe, or a member of an .npz archive.
#pragma once

#include <string>

#include "roundtrip/base/npy.h"

namespace roundtrip::cli {

/// `name` is a file, "-" for standard input, or FILE.npz:MEMBER with a member as numpy.savez names it; an archive of one
/// array needs no member. ContractError naming it for what can't be read or is damaged: checksums are compared.
NpyFile read_array(const std::string& name);
/// The file that read_array(name) opens.
std::string file_of_array(const std::string& name);

}  // namespace roundtrip::cli
