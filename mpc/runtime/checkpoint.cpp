#include "roundtrip/mpc/runtime/checkpoint.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <sstream>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/read_file.h"
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
constexpr std::string_view kVersion = "1";
constexpr std::string_view kManifestPrefix = "manifest-";
constexpr std::string_view kInboxesPrefix = "inboxes-";
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

/// Value of a name or setting on a line of its own, so that different ones stay different.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (code < 0x20 || byte == '\\') {
      result += fmt::format("\\x{:02x}", code);
    } else {
      result += byte;
    }
  }
  return result;
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

/// Collective: the message of the first rank that has one, on every rank; empty if none has.
std::string first_message(Transport& transport, const std::string& mine) {
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  std::vector<std::uint64_t> send(ranks, mine.size()), sizes(ranks);
  transport.all_to_all(send, sizes);
  const auto found = std::find_if(sizes.begin(), sizes.end(), [](std::uint64_t size) { return size != 0; });
  if (found == sizes.end()) return {};
  const auto winner = static_cast<int>(found - sizes.begin());
  std::vector<std::uint64_t> words(ceil_div(*found, sizeof(std::uint64_t)));
  std::vector<Transport::SendPiece> sending;
  std::vector<Transport::ReceivePiece> receiving;
  if (winner == transport.rank()) {
    std::memcpy(words.data(), mine.data(), mine.size());
    for (int rank = 0; rank < transport.ranks(); ++rank) {
      if (rank != winner) sending.push_back({rank, words});
    }
  } else {
    receiving.push_back({winner, words});
  }
  transport.exchange(sending, receiving);
  return {reinterpret_cast<const char*>(words.data()), *found};
}

/// Collective: a ContractError of any rank, on every rank.
template <typename Work>
void agree(Transport& transport, Work&& work) {
  std::string error;
  try {
    work();
  } catch (const ContractError& mine) {
    error = mine.what();
  }
  error = first_message(transport, error);
  if (!error.empty()) throw ContractError(error);
}

}  // namespace

/// One file of inboxes.
struct Checkpoints::Piece {
  std::uint64_t first_machine = 0;
  std::uint64_t machines = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};

struct Checkpoints::Manifest {
  Ledger ledger{};              // of the rounds done
  std::vector<Piece> pieces{};  // all machines, in order
};

/// Two runs must not write into one directory: ranks that outlive their launcher, say, and the run resumed.
class Checkpoints::Lock {
 public:
  explicit Lock(const std::string& directory)
      : file_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    require(file_ >= 0, "--checkpoint: cannot open {}: {}", quote(directory), std::strerror(errno));
    // Where the file system has no locks, nothing can be said.
    const bool taken = ::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (taken) ::close(file_);
    require(!taken, "--checkpoint: another run writes into {}", quote(directory));
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
  agree(transport, [&] {
    require(options_.every > 0, "--every 0: expected at least 1 round");
    if (transport.rank() != 0) return;
    require(options_.resume.empty() || fs::is_directory(options_.resume), "--resume: {} is not a directory",
            quote(options_.resume));
    input_checksum = checksum_text(XXH3_64bits(input.data(), input.size_bytes()));
    const std::string& directory = options_.directory;
    if (directory.empty()) return;
    std::error_code error;
    fs::create_directory(directory, error);
    require(!error, "--checkpoint: cannot make {}: {}", quote(directory), error.message());
    lock_ = std::make_unique<Lock>(directory);
    if (!options_.resume.empty() && fs::equivalent(directory, options_.resume, error)) return;
    for (const auto& [round, whole] : rounds_in(directory)) {
      require(!whole,
              "--checkpoint: {} holds a checkpoint of round {}; go on from it with --resume, or remove it",
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
  add("limit_words", limit_words);
  identity_.emplace_back("input checksum", input_checksum);
}

Checkpoints::~Checkpoints() = default;

std::string Checkpoints::encode(const Manifest& manifest) const {
  std::string text = fmt::format("{} {}\n", kMagic, kVersion);
  for (const auto& [name, value] : identity_)
    text += fmt::format("is {} = {}\n", escaped(name), escaped(value));
  for (const RoundFacts& facts : manifest.ledger.rounds) {
    text += fmt::format("round {} {} {} {}\n", facts.max_words_sent, facts.max_words_received,
                        facts.max_scratch_words, facts.total_words);
  }
  for (const Piece& piece : manifest.pieces) {
    text += fmt::format("inboxes {} {} {} {}\n", piece.first_machine, piece.machines, piece.bytes,
                        piece.checksum);
  }
  return text + checksum_text(XXH3_64bits(text.data(), text.size())) + "\n";
}

Checkpoints::Manifest Checkpoints::parse(const std::string& text, std::uint32_t round) const {
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  intact(line.starts_with(std::string(kMagic) + " "), "it doesn't start as a manifest");
  intact(line == fmt::format("{} {}", kMagic, kVersion), "it is of version {}, this program reads {}",
         quote(line.substr(kMagic.size() + 1)), kVersion);
  constexpr std::size_t kLastLine = 16 + 1;
  intact(text.size() > kLastLine && text.ends_with("\n"), "it is cut short");
  const std::size_t body = text.size() - kLastLine;
  intact(text.substr(body) == checksum_text(XXH3_64bits(text.data(), body)) + "\n", "its checksum is wrong");

  Manifest manifest;
  std::vector<std::string> is;
  for (std::size_t left = std::count(text.begin(), text.end(), '\n') - 2; left > 0; --left) {
    std::getline(lines, line);
    if (line.starts_with("is ")) {
      is.push_back(line.substr(3));
      continue;
    }
    std::istringstream fields(line);
    std::string kind, rest;
    std::uint64_t f[4] = {};
    fields >> kind >> f[0] >> f[1] >> f[2] >> f[3];
    intact(!fields.fail() && !(fields >> rest), "it holds the line {}", quote(line));
    if (kind == "round") {
      manifest.ledger.rounds.push_back({f[0], f[1], f[2], f[3]});
    } else if (kind == "inboxes") {
      manifest.pieces.push_back({f[0], f[1], f[2], f[3]});
    } else {
      intact(false, "it holds the line {}", quote(line));
    }
  }
  // Whole, but of this run?
  for (std::size_t i = 0; i < std::max(is.size(), identity_.size()); ++i) {
    const std::string ours = i < identity_.size()
                                 ? escaped(identity_[i].first) + " = " + escaped(identity_[i].second)
                                 : "nothing more";
    const std::string theirs = i < is.size() ? is[i] : "nothing more";
    require(ours == theirs, "--resume: the checkpoint in {} is of another run: it has {}, this run {}",
            quote(options_.resume), quote(theirs), quote(ours));
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
      intact(XXH3_64bits(bytes.data(), bytes.size()) == piece.checksum, "its checksum is wrong");
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
  agree(transport_, [&] {
    if (transport_.rank() != 0) return;
    rounds = rounds_in(options_.resume);
    require(!rounds.empty(), "--resume: {} holds no checkpoint", where);
  });
  std::string damage;  // of the newest, for the refusal if no other is whole; on rank 0
  for (;;) {
    // Rank 0 takes the newest that is left, and passes on its manifest.
    std::string text, error;
    std::uint64_t round = 0;
    agree(transport_, [&] {
      if (transport_.rank() != 0) return;
      require(!rounds.empty(), "--resume: no checkpoint in {} is whole; {}", where, damage);
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
    error = first_message(transport_, error);
    if (error.empty()) {
      if (transport_.rank() == 0)
        std::copy(manifest.ledger.rounds.begin(), manifest.ledger.rounds.end(), ledger.rounds.begin());
      last_ = static_cast<std::uint32_t>(round);
      return last_;
    }
    if (transport_.rank() != 0) continue;
    const std::string found = fmt::format("the checkpoint of round {} {}", round, error);
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
  agree(transport_, [&] {
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
  for (std::size_t r = 0; r < ranks; ++r) {
    const std::uint64_t* const f = &receive[r * kFields];
    if (f[0] != 0) return false;
    if (f[2] != 0) manifest.pieces.push_back({f[1], f[2], f[3], f[4]});
  }
  agree(transport_, [&] {
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
