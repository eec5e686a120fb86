// SPDX-License-Identifier: Apache-2.0
// The grammar of RAM records, and the loader that puts their pages into guest memory.
//
//   record := be64 (offset | flags), [u8 length, block name] (without CONTINUE), body
//   body   := one byte that fills the page (ZERO) | 4096 bytes (PAGE)
//
// EOS, MEM_SIZE, MULTIFD_FLUSH and HOOK are a be64 alone and end a run of page records. XBZRLE and compressed pages
// belong to capabilities that are not negotiated; they are refused by name.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/channels/input_buffer.h"
#include "core/memory/guest_memory.h"

namespace godwit {

struct RamLoaderBlock {
  std::string name;
  std::shared_ptr<GuestMemory> memory;
  /// What the stream announced; records beyond it are refused. At most the memory's size.
  std::uint64_t used_bytes = 0;
};

struct RamRecordEnd {
  enum class Kind { kEos, kMemSize, kMultifdFlush, kHook };
  Kind kind = Kind::kEos;
  /// The record's offset field: total bytes for kMemSize, else 0.
  std::uint64_t value = 0;
};

class RamLoader {
 public:
  static Result<std::shared_ptr<RamLoader>> create(std::vector<RamLoaderBlock> blocks);
  RamLoader(const RamLoader&) = delete;
  RamLoader& operator=(const RamLoader&) = delete;

  /// Reads records until one that is not a page. Blocks and touches guest memory: one thread at a time, never the
  /// JavaScript thread. The block that CONTINUE refers to is kept from call to call. Fails with EBUSY when another
  /// channel is loading through this loader.
  Result<RamRecordEnd> load(InputBuffer& input);

  std::uint64_t normal_pages() const { return normal_pages_.load(std::memory_order_relaxed); }
  std::uint64_t zero_pages() const { return zero_pages_.load(std::memory_order_relaxed); }

 private:
  /// The first eight bytes of a record.
  struct Head {
    std::uint64_t offset = 0;
    std::uint64_t flags = 0;
    /// Where in the stream the record begins, in bytes.
    std::uint64_t position = 0;
  };

  explicit RamLoader(std::vector<RamLoaderBlock> blocks) : blocks_(std::move(blocks)) {}
  Result<RamRecordEnd> load_records(InputBuffer& input);
  Result<Head> read_head(InputBuffer& input);
  Status load_page(InputBuffer& input, const Head& head);
  Result<RamRecordEnd> end_of_run(InputBuffer& input, const Head& head);
  Result<const RamLoaderBlock*> block_of(InputBuffer& input, const Head& head);
  Result<std::string> read_name(InputBuffer& input);
  Failure refuse(const Head& head, const std::string& reason, const RamLoaderBlock* block = nullptr) const;

  const std::vector<RamLoaderBlock> blocks_;
  std::atomic<bool> loading_ = false;
  const RamLoaderBlock* previous_ = nullptr;
  std::atomic<std::uint64_t> normal_pages_ = 0;
  std::atomic<std::uint64_t> zero_pages_ = 0;
};

}  // namespace godwit
