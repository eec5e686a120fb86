// SPDX-License-Identifier: Apache-2.0
// RAM records on their way out: headers in a small buffer of the batch, page bodies straight from guest memory.
//
//   record := be64 (offset | flags), [u8 length, block name] (without CONTINUE), body
//   body   := one byte 0 (ZERO) | 4096 bytes (PAGE)
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "core/channels/layer.h"
#include "core/channels/output.h"
#include "core/memory/guest_memory.h"

namespace godwit {

class RamRecordBatch {
 public:
  /// A batch of pages is 512 KiB: a few make the round of the writer, which sends while the next is scanned.
  static constexpr std::size_t kMaxPages = 128;

  /// `keep_alive` owns the memory of the pages.
  explicit RamRecordBatch(std::shared_ptr<const void> keep_alive)
      : storage_(std::make_shared<Storage>(std::move(keep_alive))) {}

  /// Whether one more record, with the longest name, would fit.
  bool full() const {
    return pages_ == kMaxPages || used_ + kMaxHeader > storage_->headers.size();
  }
  std::size_t bytes() const { return bytes_; }

  /// `name` is null when the previous record of the channel is of the same block. Returns the record's bytes.
  std::size_t add_zero(std::uint64_t offset, const std::string* name);
  std::size_t add_page(std::uint64_t offset, const std::string* name, std::uint8_t* page);

  /// What the channel takes; the batch is empty afterwards and not used again.
  OutputBatch finish();

 private:
  static constexpr std::size_t kMaxHeader = 8 + 1 + 255 + 1;

  /// Never moves: the parts point into it.
  struct Storage {
    explicit Storage(std::shared_ptr<const void> owner) : keep_alive(std::move(owner)) {}
    std::shared_ptr<const void> keep_alive;
    std::array<std::uint8_t, 8192> headers;
    std::array<iovec, 2 * kMaxPages + 1> parts;
  };
  static_assert(2 * kMaxPages + 1 <= Layer::kMaxParts);

  void add_header(std::uint64_t offset, std::uint64_t flags, const std::string* name);
  void close_headers();

  std::shared_ptr<Storage> storage_;
  std::size_t used_ = 0;         // of headers
  std::size_t header_start_ = 0;  // where the run of header bytes without a part begins
  std::size_t part_count_ = 0;
  std::size_t pages_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace godwit
