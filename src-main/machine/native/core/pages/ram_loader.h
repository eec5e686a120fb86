// SPDX-License-Identifier: Apache-2.0
// The grammar of RAM records, and the loader that puts their pages into guest memory.
//
//   record := be64 (offset | flags), [u8 length, block name] (without CONTINUE), body
//   body   := one byte that fills the page (ZERO) | 4096 bytes (PAGE)
//           | u8 encoding, be16 length, delta (XBZRLE) | be32 length, a zlib stream (COMPRESS_PAGE)
//
// EOS, MEM_SIZE, MULTIFD_FLUSH and HOOK are a be64 alone and end a run of page records. XBZRLE and compressed pages
// belong to capabilities: a loader that was not told to take them refuses them by name.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/channels/input_buffer.h"
#include "core/memory/guest_memory.h"
#include "core/pages/ram_statistics.h"

namespace godwit {

struct RamLoaderBlock {
  std::string name;
  /// Null only with RamLoaderOptions::statistics: the block's pages are read, checked, counted and dropped.
  std::shared_ptr<GuestMemory> memory;
  /// What the stream announced; records beyond it are refused. At most the memory's size.
  std::uint64_t used_bytes = 0;
};

struct RamLoaderOptions {
  /// Take XBZRLE records.
  bool xbzrle = false;
  /// End the run at each compressed page, for the caller to inflate.
  bool compressed = false;
  /// Count by block and form. The memory of all blocks must be untouched, so that pages that were only ever zero can
  /// stay holes.
  bool statistics = false;
};

struct RamRecordEnd {
  enum class Kind { kEos, kMemSize, kMultifdFlush, kHook, kCompressedPage };
  Kind kind = Kind::kEos;
  /// The record's offset field: total bytes for kMemSize, the page's place for kCompressedPage, else 0.
  std::uint64_t value = 0;
  /// Of kCompressedPage: the zlib stream of the page is the next `length` bytes.
  std::uint32_t length = 0;
  std::string block = {};
};

/// Where records come from.
struct RamRecordSource {
  /// Channel::id(). CONTINUE means the block of the record before it on the same channel.
  std::uint64_t channel = 0;
  /// The channel holds nothing but records (postcopy-preempt), and its end may stand for EOS.
  bool bare = false;
};

class RamLoader {
 public:
  static Result<std::shared_ptr<RamLoader>> create(std::vector<RamLoaderBlock> blocks, RamLoaderOptions options = {});
  RamLoader(const RamLoader&) = delete;
  RamLoader& operator=(const RamLoader&) = delete;

  /// Reads records until one that is not a page. Blocks and touches guest memory: one thread at a time, never the
  /// JavaScript thread. The block that CONTINUE refers to is kept from call to call. Fails with EBUSY when another
  /// channel is loading through this loader.
  Result<RamRecordEnd> load(InputBuffer& input, RamRecordSource source = {});

  std::uint64_t normal_pages() const { return normal_pages_.load(std::memory_order_relaxed); }
  std::uint64_t zero_pages() const { return zero_pages_.load(std::memory_order_relaxed); }
  const std::vector<RamLoaderBlock>& blocks() const { return blocks_; }
  /// Null without RamLoaderOptions::statistics. By the index of blocks().
  const RamStatistics* statistics() const { return statistics_.get(); }

 private:
  /// The first eight bytes of a record.
  struct Head {
    std::uint64_t offset = 0;
    std::uint64_t flags = 0;
    /// Where in the stream the record begins, in bytes.
    std::uint64_t position = 0;
  };

  /// Where a page record's body goes.
  struct Target {
    const RamLoaderBlock* block = nullptr;
    std::span<std::uint8_t, kPageSize> page;
  };

  RamLoader(std::vector<RamLoaderBlock> blocks, RamLoaderOptions options);
  Result<RamRecordEnd> load_records(InputBuffer& input, bool bare);
  Result<Head> read_head(InputBuffer& input);
  Result<Target> target_of(InputBuffer& input, const Head& head);
  Status load_page(InputBuffer& input, const Head& head);
  Status load_zero(InputBuffer& input, const Head& head, const Target& target);
  Status load_xbzrle(InputBuffer& input, const Head& head);
  Result<RamRecordEnd> announce_compressed(InputBuffer& input, const Head& head);
  /// Answers whether the page is known to be as fresh as the memory it lies in.
  bool count(const Head& head, const RamLoaderBlock& block, RamPageForm form);
  Result<RamRecordEnd> end_of_run(InputBuffer& input, const Head& head);
  Result<const RamLoaderBlock*> block_of(InputBuffer& input, const Head& head);
  Result<std::string> read_name(InputBuffer& input);
  Failure refuse(const Head& head, const std::string& reason, const RamLoaderBlock* block = nullptr) const;

  const std::vector<RamLoaderBlock> blocks_;
  const RamLoaderOptions options_;
  std::unique_ptr<RamStatistics> statistics_;
  // As aligned as a page: that is what pages are copied to.
  alignas(kPageSize) std::array<std::uint8_t, kPageSize> dropped_{};  // takes the pages of blocks without memory
  std::atomic<bool> loading_ = false;
  /// The block that CONTINUE means on the channel that loads, and on those that have loaded before.
  const RamLoaderBlock* previous_ = nullptr;
  std::uint64_t channel_ = 0;
  std::unordered_map<std::uint64_t, const RamLoaderBlock*> previous_of_others_;
  std::atomic<std::uint64_t> normal_pages_ = 0;
  std::atomic<std::uint64_t> zero_pages_ = 0;
};

}  // namespace godwit
