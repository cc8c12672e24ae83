// How often each word of a text occurs, as MapReduce: within s, also if the text is one word a hundred thousand times.
#include "roundtrip/cli/cli.h"
#include "roundtrip/mpc/stages/map_reduce.h"
using namespace roundtrip;

int main(int argc, char** argv) {
  mpc::MapReduce count;
  count.name = "count_words";
  count.summary = "how often each word occurs";
  count.output = "sn";  // a word, as it was read, and a number
  count.jobs = {{.map = [](mpc::Record word, const mpc::Emit& emit) { emit({word[0]}, {1}); },
                 .combine = [](std::span<std::int64_t> left, mpc::Record right) { left[0] += right[0]; }}};
  mpc::register_protocol(mpc::map_reduce_protocol(count));
  return cli::main(argc, argv);
}
