// SPDX-License-Identifier: Apache-2.0
// The migration bitmap of all RAM blocks, and the scan that turns dirty pages into RAM records on a channel.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/channels/channel.h"
#include "core/memory/dirty_tracker.h"
#include "core/memory/guest_memory.h"
#include "core/pages/page_bitmap.h"
#include "core/pages/ram_record_batch.h"

namespace godwit {

struct RamSaverBlock {
  std::string name;  // at most 255 bytes
  std::shared_ptr<GuestMemory> memory;
  /// Null for memory that no vCPU writes.
  std::shared_ptr<DirtyTracker> tracker;
};

struct RamSendBudget {
  /// Stop after the record that reaches this many bytes.
  std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();
  /// Stop then, also while waiting for room in the channel; max() for no limit.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

struct RamSendResult {
  std::uint64_t bytes = 0;
  std::uint64_t normal_pages = 0;
  std::uint64_t zero_pages = 0;
  bool pass_done = false;
};

/// start(), sync(), send() and stop() block and touch guest memory: one worker thread calls them, one after the other.
/// The rest is for any thread.
class RamSaver {
 public:
  static Result<std::shared_ptr<RamSaver>> create(std::vector<RamSaverBlock> blocks);
  RamSaver(const RamSaver&) = delete;
  RamSaver& operator=(const RamSaver&) = delete;

  /// Starts every tracker, then marks every page dirty. On failure no tracker is left running.
  Status start();
  /// ORs in what was written since; the next send starts a new pass at the first block. Answers how many pages that
  /// were clean are dirty now.
  Result<std::uint64_t> sync();
  /// Sends dirty pages in order from where the last call ended, until a budget is used up, the pass is over, or
  /// cancel() has been called since `epoch` was read. A page whose record did not get onto the channel is dirty again.
  Result<RamSendResult> send(Channel& channel, const RamSendBudget& budget, std::uint64_t epoch);
  Status stop();

  std::uint64_t dirty_pages() const { return dirty_pages_.load(std::memory_order_relaxed); }
  /// To be read when a send is asked for, so that a cancel() before the worker gets to it is not missed.
  std::uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }
  /// Makes sends asked for so far return early, with what they have sent.
  void cancel();

 private:
  struct Block {
    RamSaverBlock source;
    PageBitmap dirty;
  };
  /// A page of a block, by number.
  struct Position {
    std::size_t block = 0;
    std::uint64_t page = 0;
  };
  static constexpr std::size_t kNoBlock = std::numeric_limits<std::size_t>::max();

  explicit RamSaver(std::vector<Block> blocks)
      : blocks_(std::make_shared<std::vector<Block>>(std::move(blocks))) {}
  std::uint64_t count_dirty() const;
  bool find_dirty();
  bool cancelled(std::uint64_t epoch) const { return this->epoch() != epoch; }
  void announce(Channel* channel);
  Result<RamSendResult> send_batches(Channel& channel, const RamSendBudget& budget, std::uint64_t epoch);
  RamSendResult fill(RamRecordBatch& batch, std::uint64_t byte_limit, std::size_t& previous_block);
  void undo_fill();

  /// Shared with batches in flight, which keep the memory alive.
  const std::shared_ptr<std::vector<Block>> blocks_;
  Position cursor_;
  /// The pages of the batch that is being filled.
  std::vector<Position> taken_;
  /// The block of the last record, and the channel it went to: what CONTINUE refers to.
  std::uint64_t last_channel_ = 0;
  std::size_t last_block_ = kNoBlock;

  std::atomic<std::uint64_t> dirty_pages_ = 0;
  std::atomic<std::uint64_t> epoch_ = 0;
  std::mutex mutex_;  // guards sending_on_
  Channel* sending_on_ = nullptr;
};

}  // namespace godwit
