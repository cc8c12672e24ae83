// Purpose: the one way in which a file of ours is written: whole or not at all, and without taking anything from what
// was there before it: links to it, its owner, its mode.
//
//   what the path leads to           how it is written
//   a file, or nothing yet           to a temporary file beside it, flushed to disk and renamed over it
//   .. that no rename may replace    over its old bytes, once there is space for the new ones: a file with a second hard
//                                    link, a mount point, in a folder or file system that allows nothing else
//   a descriptor of this process     to it, from where it stands: "-", /dev/stdout, /dev/fd/3
//   a device, a pipe                 to it
#pragma once

#include <string>
#include <string_view>

namespace roundtrip {

/// Makes `bytes` the content of `path`, links followed to their end. ContractError naming the path and the cause, the
/// file as it was, if it may not be written (its mode counts, not only its folder's) or there is no space. SIGINT,
/// SIGTERM and SIGHUP wait, where nobody handles them, until the file is whole or as it was; a file that they kept from
/// being written is such an error too, see interrupted_by(). Where SIGXFSZ is ignored, so is a file above the process's limit.
void write_whole(const std::string& path, std::string_view bytes);

/// ContractError as write_whole() would throw if `path` may not be written, as far as can be said beforehand. Leaves no
/// trace and opens nothing, for a pipe's reader would notice.
void require_writable(const std::string& path);

/// Whether the two paths lead to one regular file or pipe, one that is not there yet included.
bool same_file(const std::string& a, const std::string& b);
/// Whether `path` stands for this process's standard output: "-", /dev/stdout, a link to it.
bool is_standard_output(const std::string& path);

/// The signal that kept write_whole() from writing; 0 if none did. Whoever has told the error raises it once more: a
/// shell's loop ends where a program of it was interrupted.
int interrupted_by();

}  // namespace roundtrip
