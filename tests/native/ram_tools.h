// SPDX-License-Identifier: Apache-2.0
// RAM records as obviously correct, slow code sees them: the judge of the fast saver and loader.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "channel_tools.h"
#include "core/base/wire.h"
#include "core/pages/ram_loader.h"
#include "core/pages/ram_saver.h"

namespace godwit::test {

struct Record {
  std::uint64_t flags = 0;
  std::uint64_t offset = 0;
  std::string name;  // empty with CONTINUE
  Bytes body;

  bool continues() const { return (flags & wire::kRamFlagContinue) != 0; }
};

inline void put_be64(Bytes& into, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) into.push_back(static_cast<std::uint8_t>(value >> shift));
}

inline void put(Bytes& into, const Record& record) {
  put_be64(into, record.offset | record.flags);
  if (!record.name.empty()) {
    into.push_back(static_cast<std::uint8_t>(record.name.size()));
    into.insert(into.end(), record.name.begin(), record.name.end());
  }
  into.insert(into.end(), record.body.begin(), record.body.end());
}

inline Bytes eos() {
  Bytes bytes;
  put_be64(bytes, wire::kRamFlagEos);
  return bytes;
}

/// Takes apart what a saver wrote: only ZERO and PAGE records, whole.
inline std::vector<Record> decode(const Bytes& bytes) {
  std::vector<Record> records;
  std::size_t at = 0;
  while (at < bytes.size()) {
    Record record;
    std::uint64_t head = 0;
    REQUIRE(at + 8 <= bytes.size());
    for (int i = 0; i < 8; ++i) head = head << 8 | bytes[at++];
    record.flags = head & 0xfff;
    record.offset = head & ~std::uint64_t{0xfff};
    if (!record.continues()) {
      const std::size_t length = bytes.at(at++);
      REQUIRE(at + length <= bytes.size());
      record.name.assign(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at + length));
      at += length;
    }
    const std::uint64_t kind = record.flags & ~wire::kRamFlagContinue;
    REQUIRE((kind == wire::kRamFlagZero || kind == wire::kRamFlagPage));
    const std::size_t length = kind == wire::kRamFlagZero ? 1 : kPageSize;
    REQUIRE(at + length <= bytes.size());
    record.body.assign(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at + length));
    at += length;
    records.push_back(std::move(record));
  }
  return records;
}

/// Applies records to plain memory, block by block.
inline void apply_records(const std::vector<Record>& records, std::map<std::string, Bytes>& blocks) {
  std::string block;
  for (const Record& record : records) {
    if (!record.continues()) block = record.name;
    REQUIRE(blocks.contains(block));
    Bytes& memory = blocks[block];
    REQUIRE(record.offset + kPageSize <= memory.size());
    for (std::uint64_t i = 0; i < kPageSize; ++i) {
      memory[record.offset + i] = record.body[record.body.size() == 1 ? 0 : i];
    }
  }
}

inline Bytes contents(const GuestMemory& memory) { return {memory.data(), memory.data() + memory.size()}; }

inline std::shared_ptr<RamSaver> make_saver(std::vector<RamSaverBlock> blocks) {
  const auto saver = RamSaver::create(std::move(blocks));
  REQUIRE(saver.ok());
  return *saver;
}

inline std::shared_ptr<RamLoader> make_loader(std::vector<RamLoaderBlock> blocks) {
  const auto loader = RamLoader::create(std::move(blocks));
  REQUIRE(loader.ok());
  return *loader;
}

/// Loads from given bytes, fed in random chunks.
inline Result<RamRecordEnd> load(RamLoader& loader, const Bytes& bytes, std::size_t max_chunk = 1 << 20,
                                 std::uint64_t seed = 1) {
  ScriptedLayer layer(bytes, max_chunk, seed);
  const auto stop = *Interrupt::create();
  InputBuffer input(layer, *stop);
  return loader.load(input);
}

}  // namespace godwit::test
