// SPDX-License-Identifier: Apache-2.0
#include "core/pages/ram_statistics.h"

namespace godwit {

RamStatistics::RamStatistics(const std::vector<std::uint64_t>& pages_of_blocks) {
  for (const std::uint64_t pages : pages_of_blocks) blocks_.emplace_back(pages);
}

bool RamStatistics::count(std::size_t index, std::uint64_t page, RamPageForm form) {
  Counters& block = blocks_[index];
  if (rounds() == 0 || block.this_round.test(page)) begin_round();
  const std::uint64_t word = page / 64;
  if (block.this_round.words()[word] == 0) block.touched.push_back(word);
  block.this_round.set(page);
  block.records[static_cast<std::size_t>(form)].fetch_add(1, std::memory_order_relaxed);
  if (block.ever.test(page)) return false;
  block.ever.set(page);
  block.pages.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void RamStatistics::begin_round() {
  for (Counters& block : blocks_) {
    for (const std::uint64_t word : block.touched) block.this_round.words()[word] = 0;
    block.touched.clear();
  }
  rounds_.fetch_add(1, std::memory_order_relaxed);
}

RamStatistics::Block RamStatistics::block(std::size_t index) const {
  const Counters& counters = blocks_[index];
  Block block;
  for (std::size_t form = 0; form < kRamPageForms; ++form) {
    block.records[form] = counters.records[form].load(std::memory_order_relaxed);
  }
  block.pages = counters.pages.load(std::memory_order_relaxed);
  return block;
}

}  // namespace godwit
