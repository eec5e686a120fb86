// SPDX-License-Identifier: Apache-2.0
// What a stream's RAM records were: how many of each form in each block, how many pages, and how many rounds.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "core/pages/page_bitmap.h"

namespace godwit {

enum class RamPageForm { kNormal, kZero, kXbzrle, kCompressed };
inline constexpr std::size_t kRamPageForms = 4;

/// One thread counts; any thread may read.
class RamStatistics {
 public:
  struct Block {
    /// Records, by RamPageForm.
    std::array<std::uint64_t, kRamPageForms> records{};
    /// Pages with at least one record.
    std::uint64_t pages = 0;
  };

  explicit RamStatistics(const std::vector<std::uint64_t>& pages_of_blocks);

  /// Answers whether it is the page's first record. `page` lies in the block.
  bool count(std::size_t block, std::uint64_t page, RamPageForm form);

  Block block(std::size_t index) const;
  /// The stream does not mark rounds. A page comes at most once in a round, so one that comes again begins the next:
  /// this is the least number of rounds that the records can be from.
  std::uint64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }

 private:
  struct Counters {
    explicit Counters(std::uint64_t pages) : ever(pages), this_round(pages) {}

    PageBitmap ever;
    PageBitmap this_round;
    /// Words of this_round that are not 0: a new round costs what the last one brought, whatever the block's size.
    std::vector<std::uint64_t> touched;
    std::array<std::atomic<std::uint64_t>, kRamPageForms> records{};
    std::atomic<std::uint64_t> pages = 0;
  };

  void begin_round();

  std::deque<Counters> blocks_;
  std::atomic<std::uint64_t> rounds_ = 0;
};

}  // namespace godwit
