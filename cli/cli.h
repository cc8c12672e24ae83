// Purpose: the program `roundtrip` as a function, so that a user's own program that registers protocols gets
// every subcommand: int main(int argc, char** argv) { register_protocol(...); return
// roundtrip::cli::main(argc, argv); }
#pragma once

namespace roundtrip::cli {

/// Runs the command line; returns the documented exit status (0 done or verified, 1 refuted, 2 usage or bad
/// input, 3 the protocol broke its model, 4 inconclusive, 5 stopped at a checkpoint, 70 a bug of ours, or a step threw).
int main(int argc, char** argv);

}  // namespace roundtrip::cli
