// SPDX-License-Identifier: Apache-2.0
// What the loader does beyond plain pages, when it is told to: xbzrle, compressed pages, statistics.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include "ram_tools.h"

namespace godwit::test {
namespace {

constexpr RamLoaderOptions kEverything{.xbzrle = true, .compressed = true, .statistics = true};

std::shared_ptr<RamLoader> make(std::vector<RamLoaderBlock> blocks, RamLoaderOptions options = kEverything) {
  const auto loader = RamLoader::create(std::move(blocks), options);
  REQUIRE(loader.ok());
  return *loader;
}

Bytes stream(const std::vector<Record>& records, bool with_end = true) {
  Bytes bytes;
  for (const Record& record : records) put(bytes, record);
  const Bytes end = eos();
  if (with_end) bytes.insert(bytes.end(), end.begin(), end.end());
  return bytes;
}

Record page_at(std::uint64_t page, const std::string& name = "ram", std::uint8_t fill = 0xab) {
  return {wire::kRamFlagPage, page * kPageSize, name, Bytes(kPageSize, fill)};
}
Record zero_at(std::uint64_t page, const std::string& name = "ram") {
  return {wire::kRamFlagZero, page * kPageSize, name, {0}};
}

std::uint64_t resident_pages(const GuestMemory& memory) {
  std::vector<unsigned char> resident(memory.pages());
  REQUIRE(::mincore(memory.data(), memory.size(), resident.data()) == 0);
  return static_cast<std::uint64_t>(std::count_if(resident.begin(), resident.end(), [](auto byte) { return byte & 1; }));
}

TEST_CASE("an xbzrle record changes the page that is there") {
  const auto memory = make_memory("ram", 4);
  const auto loader = make({{"ram", memory, memory->size()}});
  const Record delta{wire::kRamFlagXbzrle, kPageSize, "ram", {1, 0, 4, 0x00, 0x02, 0x50, 0x55}};
  REQUIRE(load(*loader, stream({page_at(1), delta})).ok());
  CHECK(memory->data()[kPageSize] == 0x50);
  CHECK(memory->data()[kPageSize + 1] == 0x55);
  CHECK(memory->data()[kPageSize + 2] == 0xab);
}

TEST_CASE("a malformed xbzrle record is refused at its place") {
  const auto refusal = [](const Bytes& body) {
    const auto memory = make_memory("ram", 4);
    const auto loader = make({{"ram", memory, memory->size()}});
    const auto result = load(*loader, stream({{wire::kRamFlagXbzrle, 0, "ram", body}}));
    REQUIRE_FALSE(result.ok());
    CHECK(result.failure().code == EPROTO);
    return result.failure().message;
  };
  CHECK(refusal({2, 0, 1, 0}).ends_with("block 'ram'): encoding 2 does not exist"));
  CHECK(refusal({1, 0x10, 1, 0}).ends_with("a delta of 4097 bytes"));
  CHECK(refusal({1, 0, 2, 0, 0}).ends_with("a changed run is empty"));
}

TEST_CASE("a compressed page ends the run with its place and length, and its block is continued") {
  const auto memory = make_memory("ram", 4);
  const auto loader = make({{"ram", memory, memory->size()}});
  const Bytes bytes = stream({{wire::kRamFlagCompressPage, 2 * kPageSize, "ram", {0, 0, 0, 205}}}, false);
  const auto end = load(*loader, bytes);
  REQUIRE(end.ok());
  CHECK(end->kind == RamRecordEnd::Kind::kCompressedPage);
  CHECK(end->block == "ram");
  CHECK(end->value == 2 * kPageSize);
  CHECK(end->length == 205);
  CHECK(load(*loader, stream({{wire::kRamFlagZero | wire::kRamFlagContinue, 0, "", {0}}})).ok());
  for (const std::uint32_t length : {0u, 4111u, 0xffffffffu}) {
    CAPTURE(length);
    Bytes body(4);
    for (int i = 0; i < 4; ++i) body[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
    CHECK(load(*loader, stream({{wire::kRamFlagCompressPage, 0, "ram", body}})).failure().code == EPROTO);
  }
}

TEST_CASE("records are counted by block and form, pages once, rounds by pages that come again") {
  const auto ram = make_memory("ram", 200);
  const auto rom = make_memory("rom", 2);
  const auto loader = make({{"ram", ram, ram->size()}, {"rom", rom, rom->size()}});
  REQUIRE(load(*loader, stream({page_at(0), zero_at(1), page_at(199), zero_at(0, "rom")})).ok());
  CHECK(loader->statistics()->rounds() == 1);
  const Record delta{wire::kRamFlagXbzrle, 0, "ram", {1, 0, 3, 0x00, 0x01, 0x50}};
  REQUIRE(load(*loader, stream({delta, page_at(199), page_at(1), page_at(1)})).ok());
  CHECK(loader->statistics()->rounds() == 3);
  const RamStatistics::Block counted = loader->statistics()->block(0);
  CHECK(counted.records == std::array<std::uint64_t, kRamPageForms>{5, 1, 1, 0});
  CHECK(counted.pages == 3);
  CHECK(loader->statistics()->block(1).pages == 1);
}

TEST_CASE("a page that was only ever zero takes no memory, one that was written is cleared") {
  const auto memory = make_memory("ram", 64);
  const auto loader = make({{"ram", memory, memory->size()}});
  std::vector<Record> records;
  for (std::uint64_t page = 0; page < 64; ++page) records.push_back(zero_at(page));
  REQUIRE(load(*loader, stream(records)).ok());
  CHECK(resident_pages(*memory) == 0);
  REQUIRE(load(*loader, stream({page_at(5), zero_at(5)})).ok());
  CHECK(memory->data()[5 * kPageSize] == 0);
}

TEST_CASE("a block without memory is read and counted, and only with statistics") {
  const auto loader = make({{"ram", nullptr, 8 * kPageSize}});
  const Record delta{wire::kRamFlagXbzrle, 0, "ram", {1, 0, 3, 0x00, 0x01, 0x50}};
  REQUIRE(load(*loader, stream({page_at(7), zero_at(0), delta})).ok());
  CHECK(loader->statistics()->block(0).pages == 2);
  CHECK_FALSE(load(*loader, stream({page_at(8)})).ok());
  CHECK_FALSE(RamLoader::create({{"ram", nullptr, kPageSize}}, {.xbzrle = true}).ok());
}

}  // namespace
}  // namespace godwit::test
