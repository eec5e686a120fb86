// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <set>
#include <thread>

#include "ram_tools.h"

namespace godwit::test {
namespace {

constexpr std::uint64_t kZero = wire::kRamFlagZero;
constexpr std::uint64_t kPage = wire::kRamFlagPage;
constexpr std::uint64_t kContinue = wire::kRamFlagContinue;

/// Two blocks; of the second only the first half is used.
struct Blocks {
  std::shared_ptr<GuestMemory> ram = make_memory("ram", 40);
  std::shared_ptr<GuestMemory> rom = make_memory("/rom@etc/acpi/tables", 8);
  std::shared_ptr<RamLoader> loader =
      make_loader({{"ram", ram, ram->size()}, {"/rom@etc/acpi/tables", rom, rom->size() / 2}});
};

Bytes one(const Record& record) {
  Bytes bytes;
  put(bytes, record);
  return bytes;
}

Bytes page_body(std::uint8_t fill = 0xab) { return Bytes(kPageSize, fill); }

std::vector<Record> random_records(std::mt19937_64& random, std::size_t count) {
  std::vector<Record> records;
  std::string block;
  for (std::size_t i = 0; i < count; ++i) {
    Record record;
    const bool rom = random() % 4 == 0;
    const std::string name = rom ? "/rom@etc/acpi/tables" : "ram";
    record.offset = random() % (rom ? 4 : 40) * kPageSize;
    record.flags = random() % 2 == 0 ? kZero : kPage;
    record.body = record.flags == kPage ? random_bytes(random, kPageSize)
                                        : Bytes{static_cast<std::uint8_t>(random() % 4 == 0 ? random() : 0)};
    if (name == block && random() % 8 != 0) {
      record.flags |= kContinue;
    } else {
      record.name = block = name;
    }
    records.push_back(std::move(record));
  }
  return records;
}

TEST_CASE("records in any chunks load as the naive decoder applies them") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const std::vector<Record> records = random_records(random, 10 + random() % 300);
    Bytes bytes;
    for (const Record& record : records) put(bytes, record);
    const Bytes end = eos();
    bytes.insert(bytes.end(), end.begin(), end.end());

    Blocks blocks;
    fill_pages(*blocks.ram, random);
    fill_pages(*blocks.rom, random);
    std::map<std::string, Bytes> expected{{"ram", contents(*blocks.ram)},
                                          {"/rom@etc/acpi/tables", contents(*blocks.rom)}};
    apply_records(records, expected);
    const std::size_t max_chunk = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 5000 : 2 << 20;
    const Result<RamRecordEnd> result = load(*blocks.loader, bytes, max_chunk, seed);
    REQUIRE(result.ok());
    CHECK(result->kind == RamRecordEnd::Kind::kEos);
    CHECK(contents(*blocks.ram) == expected["ram"]);
    CHECK(contents(*blocks.rom) == expected["/rom@etc/acpi/tables"]);
    CHECK(blocks.loader->normal_pages() + blocks.loader->zero_pages() == records.size());
  }
}

TEST_CASE("records that are not pages end the run with their kind and value") {
  const auto end_of = [](std::uint64_t word) {
    Bytes bytes;
    put_be64(bytes, word);
    Blocks blocks;
    const Result<RamRecordEnd> result = load(*blocks.loader, bytes);
    REQUIRE(result.ok());
    return std::make_pair(result->kind, result->value);
  };
  using Kind = RamRecordEnd::Kind;
  CHECK(end_of(wire::kRamFlagEos) == std::make_pair(Kind::kEos, std::uint64_t{0}));
  CHECK(end_of(0x400000 | wire::kRamFlagMemSize) == std::make_pair(Kind::kMemSize, std::uint64_t{0x400000}));
  CHECK(end_of(wire::kRamFlagMultifdFlush) == std::make_pair(Kind::kMultifdFlush, std::uint64_t{0}));
  CHECK(end_of(wire::kRamFlagHook) == std::make_pair(Kind::kHook, std::uint64_t{0}));
}

TEST_CASE("a record may continue the block of an earlier run") {
  Blocks blocks;
  Bytes first = one({kZero, 0, "ram", {0}});
  const Bytes end = eos();
  first.insert(first.end(), end.begin(), end.end());
  REQUIRE(load(*blocks.loader, first).ok());
  Bytes second = one({kPage | kContinue, 3 * kPageSize, "", page_body()});
  second.insert(second.end(), end.begin(), end.end());
  REQUIRE(load(*blocks.loader, second).ok());
  CHECK(std::memcmp(blocks.ram->data() + 3 * kPageSize, page_body().data(), kPageSize) == 0);
}

TEST_CASE("a record continues the block of its own channel, whatever comes over others") {
  Blocks blocks;
  const auto load_from = [&](std::uint64_t channel, Bytes bytes) {
    const Bytes end = eos();
    bytes.insert(bytes.end(), end.begin(), end.end());
    ScriptedLayer layer(bytes, bytes.size(), 1);
    const auto stop = *Interrupt::create();
    InputBuffer input(layer, *stop);
    return blocks.loader->load(input, {channel, false});
  };
  const Bytes other(kPageSize, 0x77);
  REQUIRE(load_from(1, one({kZero, 0, "ram", {0}})).ok());
  CHECK_FALSE(load_from(2, one({kPage | kContinue, 0, "", page_body()})).ok());
  REQUIRE(load_from(2, one({kPage, 0, "/rom@etc/acpi/tables", other})).ok());
  REQUIRE(load_from(1, one({kPage | kContinue, kPageSize, "", page_body()})).ok());
  REQUIRE(load_from(2, one({kPage | kContinue, kPageSize, "", other})).ok());
  CHECK(std::memcmp(blocks.ram->data() + kPageSize, page_body().data(), kPageSize) == 0);
  CHECK(std::memcmp(blocks.rom->data() + kPageSize, other.data(), kPageSize) == 0);
}

TEST_CASE("bare records end with their channel, between two of them only") {
  const Bytes whole = one({kPage, 0, "ram", page_body()});
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    if (length > 24 && length + 24 < whole.size()) continue;
    CAPTURE(length);
    Blocks blocks;
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    ScriptedLayer layer(part, part.size() + 1, 1);
    const auto stop = *Interrupt::create();
    InputBuffer input(layer, *stop);
    const Result<RamRecordEnd> result = blocks.loader->load(input, {1, true});
    const bool between = length == 0 || length == whole.size();
    CHECK(result.ok() == between);
    if (!between) CHECK(result.failure().code == Failure::kEndOfStream);
  }
}

TEST_CASE("a run consumes exactly its records") {
  Blocks blocks;
  Bytes bytes = one({kPage, 0, "ram", page_body()});
  const Bytes end = eos();
  bytes.insert(bytes.end(), end.begin(), end.end());
  const std::size_t length = bytes.size();
  const Bytes footer{0x7e, 0, 0, 0, 2};
  bytes.insert(bytes.end(), footer.begin(), footer.end());
  ScriptedLayer layer(bytes, bytes.size(), 1);
  const auto stop = *Interrupt::create();
  InputBuffer input(layer, *stop);
  REQUIRE(blocks.loader->load(input).ok());
  CHECK(input.position() == length);
  REQUIRE(input.require(footer.size()).ok());
  CHECK(std::equal(footer.begin(), footer.end(), input.data()));
}

TEST_CASE("a zero record leaves a page that is zero already untouched") {
  Blocks blocks;
  // A page that nobody may write: touching it would end the process.
  REQUIRE(::mprotect(blocks.ram->data(), kPageSize, PROT_READ) == 0);
  Bytes bytes = one({kZero, 0, "ram", {0}});
  const Bytes end = eos();
  bytes.insert(bytes.end(), end.begin(), end.end());
  CHECK(load(*blocks.loader, bytes).ok());
  REQUIRE(::mprotect(blocks.ram->data(), kPageSize, PROT_READ | PROT_WRITE) == 0);
}

std::string refusal(const Bytes& bytes) {
  Blocks blocks;
  const Result<RamRecordEnd> result = load(*blocks.loader, bytes);
  if (result.ok()) return "";
  CHECK(result.failure().code == EPROTO);
  return result.failure().message;
}

TEST_CASE("malformed records are refused with flags, offset, block and place") {
  CHECK(refusal(one({kZero | kContinue, 0, "", {0}})) ==
        "Unable to load the RAM record at byte 0 of the stream (flags 0x22 = ZERO|CONTINUE, offset 0x0): it continues "
        "a block, but no record before it named one");
  CHECK(refusal(one({kPage, 0, "pc.bi\x1bos", page_body()})) ==
        "Unable to load the RAM record at byte 0 of the stream (flags 0x8 = PAGE, offset 0x0): this machine has no RAM "
        "block 'pc.bi?os'");
  CHECK(refusal(one({kPage, 40 * kPageSize, "ram", page_body()})) ==
        "Unable to load the RAM record at byte 0 of the stream (flags 0x8 = PAGE, offset 0x28000, block 'ram'): the "
        "block ends at 0x28000");
  // Inside the memory, but beyond the used length.
  CHECK(refusal(one({kPage, 4 * kPageSize, "/rom@etc/acpi/tables", page_body()})).find("the block ends at 0x4000") !=
        std::string::npos);
  CHECK(refusal(one({kZero, ~std::uint64_t{0xfff}, "ram", {0}})).find("the block ends at") != std::string::npos);

  Bytes later = one({kZero, 0, "ram", {0}});
  const Bytes xbzrle = one({wire::kRamFlagXbzrle | kContinue, kPageSize, "", {}});
  later.insert(later.end(), xbzrle.begin(), xbzrle.end());
  CHECK(refusal(later) ==
        "Unable to load the RAM record at byte 13 of the stream (flags 0x60 = CONTINUE|XBZRLE, offset 0x1000, block "
        "'ram'): turn the xbzrle capability off at the source");
  CHECK(refusal(one({wire::kRamFlagCompressPage, 0, "ram", {}})).find("turn the compress capability off") !=
        std::string::npos);
}

TEST_CASE("every combination of flags but the eight that exist is refused") {
  const std::set<std::uint64_t> accepted{kZero,
                                         kPage,
                                         kZero | kContinue,
                                         kPage | kContinue,
                                         wire::kRamFlagEos,
                                         wire::kRamFlagMemSize,
                                         wire::kRamFlagMultifdFlush,
                                         wire::kRamFlagHook};
  Blocks blocks;
  const Bytes end = eos();
  for (std::uint64_t flags = 0; flags < kPageSize; ++flags) {
    CAPTURE(flags);
    Bytes bytes = one({kZero, 0, "ram", {0}});  // so that there is a block to continue
    put(bytes, {flags, 0, (flags & kContinue) != 0 ? "" : "ram", page_body(0)});
    bytes.insert(bytes.end(), end.begin(), end.end());
    const Result<RamRecordEnd> result = load(*blocks.loader, bytes);
    if (accepted.contains(flags)) {
      // ZERO takes one byte of the body here; what follows is not a record then.
      const bool plain = result.ok() || (flags & ~kContinue) == kZero;
      CHECK(plain);
    } else {
      REQUIRE_FALSE(result.ok());
      CHECK(result.failure().code == EPROTO);
    }
  }
}

TEST_CASE("markers with an offset are refused") {
  for (const std::uint64_t flag : {wire::kRamFlagEos, wire::kRamFlagMultifdFlush, wire::kRamFlagHook}) {
    Bytes bytes;
    put_be64(bytes, 0x1000 | flag);
    CHECK(refusal(bytes).find("a marker has no offset") != std::string::npos);
  }
}

TEST_CASE("a stream cut anywhere fails with end of stream and keeps what came before") {
  std::mt19937_64 random(3);
  const std::vector<Record> records = random_records(random, 12);
  Bytes bytes;
  for (const Record& record : records) put(bytes, record);
  for (int round = 0; round < 400; ++round) {
    const std::size_t cut = round < 60 ? static_cast<std::size_t>(round) : random() % bytes.size();
    CAPTURE(cut);
    Blocks blocks;
    const Bytes start(bytes.begin(), bytes.begin() + static_cast<long>(cut));
    const Result<RamRecordEnd> result =
        load(*blocks.loader, start, 1 + random() % 6000, static_cast<std::uint64_t>(round));
    REQUIRE_FALSE(result.ok());
    CHECK(result.failure().code == Failure::kEndOfStream);
    CHECK(result.failure().message.find("after " + std::to_string(cut) + " bytes") != std::string::npos);
  }
}

TEST_CASE("damaged streams never write beyond the used length and always end") {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Bytes bytes;
    for (const Record& record : random_records(random, 20)) put(bytes, record);
    const std::size_t damages = 1 + random() % 5;
    for (std::size_t damage = 0; damage < damages; ++damage) {
      // Near the start of a record more often than in a body.
      const std::size_t range = random() % 2 == 0 ? std::min<std::size_t>(bytes.size(), 64) : bytes.size();
      const std::size_t at = random() % range;
      bytes[at] = static_cast<std::uint8_t>(random());
    }
    Blocks blocks;
    const std::size_t used = blocks.rom->size() / 2;
    std::memset(blocks.rom->data() + used, 0x77, used);
    (void)load(*blocks.loader, bytes, 1 + random() % 9000, seed);
    CHECK(std::all_of(blocks.rom->data() + used, blocks.rom->data() + 2 * used,
                      [](std::uint8_t byte) { return byte == 0x77; }));
  }
}

TEST_CASE("random bytes are refused or end, whatever they are") {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Blocks blocks;
    const Bytes bytes = random_bytes(random, random() % 300);
    const Result<RamRecordEnd> result = load(*blocks.loader, bytes, 1 + random() % 40, seed);
    if (!result.ok()) CHECK((result.failure().code == EPROTO || result.failure().code == Failure::kEndOfStream));
  }
}

TEST_CASE("blocks that do not fit are refused when the loader is made") {
  const auto memory = make_memory("ram", 4);
  CHECK_FALSE(RamLoader::create({{"ram", memory, memory->size() + kPageSize}}).ok());
  CHECK_FALSE(RamLoader::create({{"ram", memory, 100}}).ok());
  CHECK_FALSE(RamLoader::create({{"ram", nullptr, 0}}).ok());
  CHECK_FALSE(RamLoader::create({{"ram", memory, kPageSize}, {"ram", memory, kPageSize}}).ok());
  CHECK(RamLoader::create({{"ram", memory, 0}}).ok());
}

TEST_CASE("shutdown ends a load that waits, or that is fed without end, within 100 ms") {
  for (const bool fed : {false, true}) {
    CAPTURE(fed);
    auto [near, far] = channel_pair();
    Blocks blocks;
    auto loading = begin<RamRecordEnd>([&](Completion<RamRecordEnd> done) {
      near->use_input<RamRecordEnd>(
          "loadRam", [loader = blocks.loader](InputBuffer& input) { return loader->load(input); }, std::move(done));
    });
    std::thread feeder;
    if (fed) {
      feeder = std::thread([&far = far] {
        Bytes bytes = one({kPage, 0, "ram", page_body()});
        while (flush(*far).get().ok()) {
          for (int i = 0; i < 100; ++i) far->output().append(bytes);
        }
      });
    }
    CHECK(loading.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
    const Clock::time_point start = Clock::now();
    near->shutdown();
    CHECK(loading.get().failure().code == ECANCELED);
    CHECK(since(start) < kCancelLimit);
    if (feeder.joinable()) feeder.join();
  }
}

TEST_CASE("a loader serves one channel at a time") {
  auto [a, peer_a] = channel_pair();
  auto [b, peer_b] = channel_pair();
  Blocks blocks;
  const auto start_load = [&](Channel& channel) {
    return begin<RamRecordEnd>([&](Completion<RamRecordEnd> done) {
      channel.use_input<RamRecordEnd>(
          "loadRam", [loader = blocks.loader](InputBuffer& input) { return loader->load(input); }, std::move(done));
    });
  };
  auto first = start_load(*a);
  peer_a->output().append(one({kZero, 0, "ram", {0}}));
  while (blocks.loader->zero_pages() == 0) std::this_thread::yield();  // the first load is under way now
  CHECK(start_load(*b).get().failure().code == EBUSY);
  peer_a->output().append(eos());
  CHECK(first.get().ok());
}

}  // namespace
}  // namespace godwit::test
