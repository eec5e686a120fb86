// SPDX-License-Identifier: Apache-2.0
// One bit for each page of a block: bit n = page n, 64 pages a word, least significant bit first.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace godwit {

/// Used by one thread at a time. Bits past the last page are always clear.
class PageBitmap {
 public:
  explicit PageBitmap(std::uint64_t pages) : pages_(pages), words_((pages + 63) / 64) {}

  std::uint64_t pages() const { return pages_; }

  void set_all() {
    for (std::uint64_t& word : words_) word = ~std::uint64_t{0};
    trim();
  }

  void set(std::uint64_t page) { words_[page / 64] |= bit(page); }
  void clear(std::uint64_t page) { words_[page / 64] &= ~bit(page); }
  bool test(std::uint64_t page) const { return (words_[page / 64] & bit(page)) != 0; }

  std::uint64_t count() const {
    std::uint64_t total = 0;
    for (const std::uint64_t word : words_) total += static_cast<std::uint64_t>(std::popcount(word));
    return total;
  }

  /// The first set page at or after `from`; pages() when there is none.
  std::uint64_t find_from(std::uint64_t from) const {
    if (from >= pages_) return pages_;
    std::size_t index = from / 64;
    std::uint64_t word = words_[index] & (~std::uint64_t{0} << (from % 64));
    while (word == 0) {
      if (++index == words_.size()) return pages_;
      word = words_[index];
    }
    return index * 64 + static_cast<std::uint64_t>(std::countr_zero(word));
  }

  /// For those who OR bits in; trim() drops what they set past the last page.
  std::span<std::uint64_t> words() { return words_; }
  void trim() {
    if (pages_ % 64 != 0) words_.back() &= bit(pages_) - 1;
  }

 private:
  static std::uint64_t bit(std::uint64_t page) { return std::uint64_t{1} << (page % 64); }

  std::uint64_t pages_;
  std::vector<std::uint64_t> words_;
};

}  // namespace godwit
