#include "roundtrip/mpc/runtime/checkpoint.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/binary_object.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <sstream>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/read_file.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/runtime/exchange.h"
#include "roundtrip/mpc/transport.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace roundtrip::mpc {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little,
              "files of inboxes hold words as they are in memory");

constexpr std::string_view kMagic = "roundtrip-checkpoint";
constexpr std::string_view kVersion = "3";
constexpr std::string_view kManifestPrefix = "manifest-";
constexpr std::string_view kInboxesPrefix = "inboxes-";
constexpr const char* kFolder = "checkpoint folder";  // fields, as errors name them
constexpr const char* kResumeFolder = "resume folder";
constexpr std::size_t kRoundDigits = 10;                             // of 2^32 - 1
constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{1} << 30;  // more ranks and rounds than there are

/// Why one checkpoint can't be used; another may be.
class Damage : public Error {
 public:
  using Error::Error;
};

template <typename... Args>
void intact(bool condition, fmt::format_string<Args...> message, Args&&... args) {
  if (!condition) throw Damage(fmt::format(message, std::forward<Args>(args)...));
}

std::string manifest_name(std::uint32_t round) {
  return fmt::format("{}{:010}", kManifestPrefix, round);
}
std::string inboxes_name(std::uint32_t round, MachineId first_machine) {
  return fmt::format("{}{:010}-{}", kInboxesPrefix, round, first_machine);
}
std::string path_of(const std::string& directory, const std::string& name) {
  return directory + "/" + name;
}

std::string checksum_text(std::uint64_t checksum) {
  return fmt::format("{:016x}", checksum);
}

/// The files in a directory that are ours, by round: whether there is a manifest.
std::map<std::uint32_t, bool> rounds_in(const std::string& directory) {
  std::map<std::uint32_t, bool> result;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    for (const std::string_view prefix : {kManifestPrefix, kInboxesPrefix}) {
      if (!name.starts_with(prefix) || name.size() < prefix.size() + kRoundDigits) continue;
      const char* const digits = name.data() + prefix.size();
      std::uint32_t round = 0;
      const auto parsed = std::from_chars(digits, digits + kRoundDigits, round);
      if (parsed.ec != std::errc() || parsed.ptr != digits + kRoundDigits) continue;
      result[round] |= name == manifest_name(round);
    }
  }
  require(!error, "cannot read the checkpoints in {}: {}", quote(directory), error.message());
  return result;
}

void sync_directory(const std::string& directory) {
  const int file = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = file >= 0 && ::fsync(file) == 0;
  const int cause = errno;
  if (file >= 0) ::close(file);
  require(synced, "cannot write to {}: {}", quote(directory), std::strerror(cause));
}

/// A file that is written in order, with its checksum; gone again unless it was finished.
class HashedFile {
 public:
  explicit HashedFile(std::string path)
      : path_(std::move(path)), file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    if (file_ < 0) fail();
    XXH3_64bits_reset(&state_);
    buffer_.reserve(kBufferBytes);
  }
  ~HashedFile() {
    if (file_ < 0) return;
    ::close(file_);
    ::unlink(path_.c_str());
  }
  HashedFile(const HashedFile&) = delete;
  HashedFile& operator=(const HashedFile&) = delete;

  template <typename T>
  void append(std::span<const T> values) {
    std::string_view bytes(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    if (buffer_.size() + bytes.size() > kBufferBytes) {
      flush(buffer_);
      buffer_.clear();
      if (bytes.size() > kBufferBytes) return flush(bytes);
    }
    buffer_.append(bytes);
  }
  /// Everything on disk; returns the checksum.
  std::uint64_t finish() {
    flush(buffer_);
    if (::fsync(file_) != 0) fail();
    if (::close(std::exchange(file_, -1)) != 0) fail();
    return XXH3_64bits_digest(&state_);
  }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

  void flush(std::string_view bytes) {
    XXH3_64bits_update(&state_, bytes.data(), bytes.size());
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  [[noreturn]] void fail() const {
    throw ContractError(fmt::format("cannot write {}: {}", quote(path_), std::strerror(errno)));
  }

  std::string path_;
  int file_;
  XXH3_state_t state_;
  std::string buffer_;
};

/// Takes values from bytes, which may hold anything.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  /// `count` values; `values` keeps its capacity.
  template <typename T>
  void take(std::uint64_t count, std::vector<T>& values) {
    intact(count <= bytes_.size() / sizeof(T), "it ends within an inbox");
    values.resize(count);
    if (count != 0) std::memcpy(values.data(), bytes_.data(), count * sizeof(T));
    bytes_.remove_prefix(count * sizeof(T));
  }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

// Counts come before what they count, and are checked before memory is taken: an archive of Boost's own containers
// would take as much as it is told to.
template <typename Archive>
std::uint64_t transfer_count(Archive& archive, std::uint64_t count, std::uint64_t max) {
  archive& count;
  intact(count <= max, "it lists {} things, more than its bytes", count);
  return count;
}
template <typename Archive, typename T, typename Transfer>
void transfer_list(Archive& archive, std::vector<T>& list, std::uint64_t max, Transfer&& transfer) {
  const std::uint64_t count = transfer_count(archive, list.size(), max);
  for (std::uint64_t i = 0; i < count; ++i) {  // grows as long as there are bytes
    if constexpr (Archive::is_loading::value) list.emplace_back();
    transfer(list[i]);
  }
}
template <typename Archive>
void transfer_text(Archive& archive, std::string& text, std::uint64_t max) {
  text.resize(transfer_count(archive, text.size(), max));
  archive& boost::serialization::make_binary_object(text.data(), text.size());
}

}  // namespace

/// One file of inboxes.
struct Checkpoints::Piece {
  std::uint64_t first_machine = 0;
  std::uint64_t machines = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;

  template <typename Archive>
  void transfer(Archive& archive) {
    archive& first_machine& machines& bytes& checksum;
  }
};

struct Checkpoints::Manifest {
  Identity identity{};          // of the run
  Ledger ledger{};              // of the rounds done
  std::vector<Piece> pieces{};  // all machines, in order

  /// To or from an archive. `max` is how many elements a list may have that is read.
  template <typename Archive>
  void transfer(Archive& archive, std::uint64_t max) {
    transfer_list(archive, identity, max, [&](auto& entry) {
      transfer_text(archive, entry.first, max);
      transfer_text(archive, entry.second, max);
    });
    transfer_list(archive, ledger.rounds, max, [&](RoundFacts& facts) {
      archive& facts.max_words_sent& facts.max_words_received& facts.max_scratch_words& facts
          .max_heap_words& facts.total_words;
    });
    transfer_list(archive, pieces, max, [&](Piece& piece) { piece.transfer(archive); });
  }
};

/// Two runs must not write into one directory: ranks that outlive their launcher, say, and the run resumed.
class Checkpoints::Lock {
 public:
  explicit Lock(const std::string& directory)
      : file_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    require_field(file_ >= 0, kFolder, "cannot open {}: {}", quote(directory), std::strerror(errno));
    // Where the file system has no locks, nothing can be said.
    const bool taken = ::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (taken) ::close(file_);
    require_field(!taken, kFolder, "another run writes into {}", quote(directory));
  }
  ~Lock() { ::close(file_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int file_;
};

Checkpoints::Checkpoints(const CheckpointOptions& options, const Shape& shape, std::uint64_t limit_words,
                         std::span<const Word> input, Transport& transport)
    : options_(options), shape_(shape), limit_words_(limit_words), transport_(transport) {
  if (options.directory.empty() && options.resume.empty()) return;
  std::string input_checksum;
  agree_on(transport, [&] {
    require_field(options_.every > 0, "checkpoint interval", "0 rounds, allowed is at least 1");
    if (transport.rank() != 0) return;
    require_field(options_.resume.empty() || fs::is_directory(options_.resume), kResumeFolder,
                  "{} is not a directory", quote(options_.resume));
    const std::size_t covered = input.size_bytes() / (seeded("checksum-of-part") ? 4 : 1);
    input_checksum = checksum_text(XXH3_64bits(input.data(), covered));
    const std::string& directory = options_.directory;
    if (directory.empty()) return;
    std::error_code error;
    fs::create_directory(directory, error);
    require_field(!error, kFolder, "cannot make {}: {}", quote(directory), error.message());
    lock_ = std::make_unique<Lock>(directory);
    if (!options_.resume.empty() && fs::equivalent(directory, options_.resume, error)) return;
    for (const auto& [round, whole] : rounds_in(directory)) {
      require_field(!whole, kFolder,
                    "{} holds a checkpoint of round {}; resume the run from it, or remove it",
                    quote(directory), round);
    }
  });
  transport.broadcast(input_checksum);
  identity_ = options.identity;
  const auto add = [&](const char* name, std::uint64_t value) {
    identity_.emplace_back(name, std::to_string(value));
  };
  add("n", shape.n);
  add("outputs", shape.outputs);
  add("block_words", shape.block_words);
  add("memory_words", shape.memory_words);
  add("machines", shape.machines);
  add("rounds", shape.rounds);
  add("word_bits", shape.word_bits);
  add("input_bits", shape.input_bits);
  add("scratch_words", shape.scratch_words);
  add("heap_words", shape.allowed_heap_words());
  add("limit_words", limit_words);
  identity_.emplace_back("input checksum", input_checksum);
}

Checkpoints::~Checkpoints() = default;

bool Checkpoints::wanted() const {
  return !options_.directory.empty();
}
bool Checkpoints::stop_wanted() const {
  return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
}
bool Checkpoints::due(std::uint32_t round) const {
  return round % options_.every == 0;
}

std::string Checkpoints::encode(Manifest& manifest) {
  std::ostringstream out(std::ios::binary);
  boost::archive::binary_oarchive archive(out, boost::archive::no_header);
  manifest.transfer(archive, ~std::uint64_t{0});
  const std::string body = std::move(out).str();
  return fmt::format("{} {}\n{}\n", kMagic, kVersion, checksum_text(XXH3_64bits(body.data(), body.size()))) +
         body;
}

/// The manifest in these bytes, if they are whole.
Checkpoints::Manifest Checkpoints::decode(const std::string& bytes) {
  const std::string first_line = bytes.substr(0, bytes.find('\n'));
  intact(first_line.starts_with(std::string(kMagic) + " "), "it doesn't start as a manifest");
  intact(first_line == fmt::format("{} {}", kMagic, kVersion), "it is of version {}, this program reads {}",
         quote(first_line.substr(kMagic.size() + 1)), kVersion);
  constexpr std::size_t kChecksumLine = 16 + 1;
  const std::size_t head = first_line.size() + 1 + kChecksumLine;
  intact(bytes.size() > head, "it is cut short");
  const std::string body = bytes.substr(head);
  intact(bytes.substr(first_line.size() + 1, kChecksumLine) ==
                 checksum_text(XXH3_64bits(body.data(), body.size())) + "\n" ||
             seeded("manifest-unchecked"),
         "its checksum is wrong");
  std::istringstream in(body, std::ios::binary);
  Manifest manifest;
  try {
    boost::archive::binary_iarchive archive(in, boost::archive::no_header);
    manifest.transfer(archive, body.size());
  } catch (const boost::archive::archive_exception&) {
    intact(false, "it ends within a list");
  }
  intact(in.peek() == std::istringstream::traits_type::eof(), "it goes on after the last list");
  return manifest;
}

Checkpoints::Manifest Checkpoints::parse(const std::string& bytes, std::uint32_t round) const {
  Manifest manifest = decode(bytes);
  // Whole, but of this run?
  const auto line = [](const Identity& identity, std::size_t i) {
    return i < identity.size() ? identity[i].first + " = " + identity[i].second : "nothing more";
  };
  for (std::size_t i = 0; i < std::max(manifest.identity.size(), identity_.size()); ++i) {
    require_field(
        i < manifest.identity.size() && i < identity_.size() && manifest.identity[i] == identity_[i],
        kResumeFolder, "the checkpoint in {} is of another run: it has {}, this run {}",
        quote(options_.resume), quote(line(manifest.identity, i)), quote(line(identity_, i)));
  }
  intact(manifest.ledger.rounds.size() == round && round < shape_.rounds,
         "it counts {} rounds, expected {}, below {}", manifest.ledger.rounds.size(), round, shape_.rounds);
  std::uint64_t next = 0;
  for (const Piece& piece : manifest.pieces) {
    intact(piece.first_machine == next && piece.machines != 0 && piece.machines <= shape_.machines - next,
           "its files don't hold each machine once");
    next += piece.machines;
  }
  intact(next == shape_.machines, "its files hold {} machines, the run has {}", next, shape_.machines);
  return manifest;
}

/// The inboxes of this rank's machines, from the files that hold them, whole files checked.
void Checkpoints::load(const Manifest& manifest, std::uint32_t round, Exchange& exchange) const {
  std::vector<std::uint64_t> sizes;
  std::vector<RunHeader> headers;
  std::vector<Word> words;
  const std::uint64_t begin = exchange.first_machine(), end = begin + exchange.machines();
  for (const Piece& piece : manifest.pieces) {
    if (piece.first_machine >= end || piece.first_machine + piece.machines <= begin) continue;
    const std::string name = inboxes_name(round, static_cast<MachineId>(piece.first_machine));
    const std::string path = path_of(options_.resume, name);
    try {
      std::error_code error;
      const std::uintmax_t size = fs::file_size(path, error);
      intact(!error, "{}", error.message());
      intact(size == piece.bytes, "it has {} bytes, expected {}", size, piece.bytes);
      const std::string bytes = read_whole(path);
      intact(XXH3_64bits(bytes.data(), bytes.size()) == piece.checksum || seeded("inboxes-unchecked"),
             "its checksum is wrong");
      // What a checksum can't say: that a careful hand hasn't made it.
      Reader reader(bytes);
      for (std::uint64_t m = 0; m < piece.machines; ++m) {
        reader.take(2, sizes);
        intact(sizes[0] <= sizes[1] && sizes[1] <= limit_words_,
               "an inbox has {} words in {} runs, allowed are {}", sizes[1], sizes[0], limit_words_);
        reader.take(sizes[0], headers);
        reader.take(sizes[1], words);
        for (std::size_t i = 0; i < headers.size(); ++i) {
          intact(headers[i].source < shape_.machines && (i == 0 || headers[i].begin > headers[i - 1].begin) &&
                     headers[i].begin < words.size() && (i > 0 || headers[i].begin == 0),
                 "an inbox has runs that don't divide it");
        }
        intact(!headers.empty() || words.empty(), "an inbox has words without a source");
        const std::uint64_t machine = piece.first_machine + m;
        if (machine >= begin && machine < end)
          exchange.restore(static_cast<MachineId>(machine), headers, words);
      }
      intact(reader.empty(), "it goes on after the last inbox");
    } catch (const Error& error) {
      throw Damage(fmt::format("{}: {}", name, error.what()));
    }
  }
}

std::uint32_t Checkpoints::resume(Exchange& exchange, Ledger& ledger) {
  if (options_.resume.empty()) return 0;
  const std::string where = quote(options_.resume);
  std::map<std::uint32_t, bool> rounds;
  agree_on(transport_, [&] {
    if (transport_.rank() != 0) return;
    rounds = rounds_in(options_.resume);
    require_field(!rounds.empty(), kResumeFolder, "{} holds no checkpoint", where);
  });
  std::string damage;  // of the newest, for the refusal if no other is whole; on rank 0
  for (;;) {
    // Rank 0 takes the newest that is left, and passes on its manifest.
    std::string text, error;
    std::uint64_t round = 0;
    agree_on(transport_, [&] {
      if (transport_.rank() != 0) return;
      require_field(!rounds.empty(), kResumeFolder, "no checkpoint in {} is whole; {}", where, damage);
      const auto newest = std::prev(rounds.end());
      round = newest->first;
      const std::string name = manifest_name(newest->first);
      try {
        intact(newest->second, "was not finished: there is no {}", name);
        const std::string path = path_of(options_.resume, name);
        std::error_code no_size;
        const std::uintmax_t size = fs::file_size(path, no_size);
        intact(!no_size && size <= kMaxManifestBytes, "{} has no size, or one above {} bytes", name,
               kMaxManifestBytes);
        try {
          text = read_whole(path);
        } catch (const ContractError& unreadable) {
          throw Damage(unreadable.what());
        }
        try {
          parse(text, newest->first);
        } catch (const Damage& found) {
          throw Damage(fmt::format("is damaged: {}: {}", name, found.what()));
        }
      } catch (const Damage& found) {
        error = found.what();
        text.clear();
      }
      rounds.erase(newest);
    });
    transport_.broadcast(text);
    transport_.maximum({&round, 1});  // known to rank 0 alone, and 0 elsewhere
    Manifest manifest;
    if (!text.empty()) {
      manifest = parse(text, static_cast<std::uint32_t>(round));
      try {
        load(manifest, static_cast<std::uint32_t>(round), exchange);
      } catch (const Damage& found) {
        error = std::string("is damaged: ") + found.what();
      }
    }
    const std::vector<std::string> errors = all_gather(transport_, error);
    const auto damaged =
        std::ranges::find_if(errors, [](const std::string& found) { return !found.empty(); });
    if (damaged == errors.end()) {
      if (transport_.rank() == 0)
        std::copy(manifest.ledger.rounds.begin(), manifest.ledger.rounds.end(), ledger.rounds.begin());
      last_ = static_cast<std::uint32_t>(round);
      return last_;
    }
    if (transport_.rank() != 0) continue;
    const std::string found = fmt::format("the checkpoint of round {} {}", round, *damaged);
    if (damage.empty()) damage = found;
    if (options_.warn && !rounds.empty()) options_.warn(found + "; trying the one before");
  }
}

Checkpoints::Piece Checkpoints::write_inboxes(std::uint32_t round, const Exchange& exchange) const {
  Piece piece{exchange.first_machine(), exchange.machines(), 0, 0};
  if (piece.machines == 0) return piece;
  HashedFile file(path_of(options_.directory, inboxes_name(round, exchange.first_machine())));
  std::vector<RunHeader> headers;
  for (std::uint32_t m = 0; m < exchange.machines(); ++m) {
    const Inbox inbox = exchange.inbox(exchange.first_machine() + m);
    headers.clear();
    std::uint32_t begin = 0;
    for (const Run run : inbox) {
      headers.push_back({run.source, run.sequence, begin});
      begin += static_cast<std::uint32_t>(run.words.size());
    }
    const std::uint64_t sizes[] = {headers.size(), inbox.size()};
    file.append(std::span<const std::uint64_t>(sizes));
    file.append(std::span<const RunHeader>(headers));
    file.append(inbox.words());
    piece.bytes += sizeof(sizes) + headers.size() * sizeof(RunHeader) + inbox.size() * sizeof(Word);
  }
  piece.checksum = file.finish();
  return piece;
}

bool Checkpoints::write(std::uint32_t round, const Exchange& exchange, const Ledger& ledger, bool failed) {
  Piece mine;
  agree_on(transport_, [&] {
    if (failed) return;
    mine = write_inboxes(round, exchange);
    sync_directory(options_.directory);
  });
  constexpr std::size_t kFields = 5;
  const auto ranks = static_cast<std::size_t>(transport_.ranks());
  std::vector<std::uint64_t> send, receive(ranks * kFields);
  for (std::size_t r = 0; r < ranks; ++r) {
    send.insert(send.end(), {failed, mine.first_machine, mine.machines, mine.bytes, mine.checksum});
  }
  transport_.all_to_all(send, receive);
  Manifest manifest;
  manifest.identity = identity_;
  for (std::size_t r = 0; r < ranks; ++r) {
    const std::uint64_t* const f = &receive[r * kFields];
    if (f[0] != 0) return false;
    if (f[2] != 0) manifest.pieces.push_back({f[1], f[2], f[3], f[4]});
  }
  agree_on(transport_, [&] {
    if (transport_.rank() != 0) return;
    manifest.ledger.rounds.assign(ledger.rounds.begin(), ledger.rounds.begin() + round);
    write_whole(path_of(options_.directory, manifest_name(round)), encode(manifest));
    sync_directory(options_.directory);
    remove_all_but(round, last_);
  });
  last_ = round;
  return true;
}

void Checkpoints::remove_all_but(std::uint32_t newest, std::uint32_t other) const {
  // Manifests first: what is left when this is interrupted must not look whole.
  for (const std::string_view prefix : {kManifestPrefix, kInboxesPrefix}) {
    for (const auto& [round, whole] : rounds_in(options_.directory)) {
      if (round == newest || round == other) continue;
      const std::string start = fmt::format("{}{:010}", prefix, round);
      for (const auto& entry : fs::directory_iterator(options_.directory)) {
        std::error_code ignored;  // it is only in the way
        if (entry.path().filename().string().starts_with(start)) fs::remove(entry.path(), ignored);
      }
    }
  }
}

}  // namespace roundtrip::mpc
