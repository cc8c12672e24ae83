#include "roundtrip/cli/communicator.h"

namespace roundtrip::cli {
namespace {

// First byte of what rank 0 broadcasts: how the rest is to be read.
constexpr char kResult = 'r';
constexpr char kContract = 'c';
constexpr char kFault = 'f';

std::string outcome(const std::function<std::string()>& work) {
  try {
    return kResult + work();
  } catch (const ContractError& error) {
    return kContract + std::string(error.what());
  } catch (const std::bad_alloc&) {
    return kFault + std::string("out of memory");
  } catch (const std::exception& error) {
    return kFault + std::string(error.what());
  }
}

}  // namespace

std::string Communicator::from_root(const std::function<std::string()>& work) const {
  std::string message = root() ? outcome(work) : std::string();
  transport_.broadcast(message);
  const char kind = message.at(0);
  message.erase(0, 1);
  if (kind == kContract) throw ContractError(message);
  if (kind == kFault) throw AgreedFault(message);
  return message;
}

void Communicator::on_root(const std::function<void()>& work) const {
  from_root([&] {
    work();
    return std::string();
  });
}

}  // namespace roundtrip::cli
