#include "roundtrip/cli/fields.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace roundtrip::cli {
namespace {

struct Field {
  std::string_view name;
  std::string_view flag;
};
constexpr Field kFields[] = {
    {"attention", "--attention"},
    {"checkpoint folder", "--checkpoint"},
    {"checkpoint interval", "--every"},
    {"draws", "--draws"},
    {"faults", "--faults"},
    {"functions", "--functions"},
    {"ids", "--ids"},
    {"k", "--k"},
    {"n", "--n"},
    {"resume folder", "--resume"},
    {"round", "--round"},
    {"seed", "--seed"},
    {"sequences", "--sequences"},
    {"size", "--rows"},
    {"steps", "--steps"},
    {"symbols", "--symbols"},
    {"word", "--word"},
};

}  // namespace

std::string message_of(const ContractError& error) {
  std::string message = error.what();
  const auto* const found = std::ranges::find(kFields, error.field(), &Field::name);
  if (found == std::end(kFields)) return message;
  return std::string(found->flag) + message.substr(found->name.size());
}

}  // namespace roundtrip::cli
