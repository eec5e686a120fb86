// SPDX-License-Identifier: Apache-2.0
// A thread of this process that keeps writing to guest memory at a given rate: live memory without a vCPU.
//
// Why no write is lost to a migration. Each write is made first and marked after (mark_dirty, release). Whoever takes
// the mark (take_user_dirty, acquire) and reads the page after that reads the write, or a later one. So every write is
// followed by a copy that holds it, provided that its mark is taken at all, and that is what stop() is for: it is over
// when the last mark is made, and the last sync of a migration comes after it. A copy made between a write and its mark
// is only made twice. The other order would lose writes: mark, sync, copy of the page, write, and nothing tells of it.
// Copies of one page reach the destination in the order in which they were made, so an early one never wins.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "core/memory/guest_memory.h"

namespace godwit {

struct DirtyLoad {
  std::uint64_t pages_per_second = 0;  // 1 to DirtyWriter::kMaxPagesPerSecond
  std::uint64_t working_set = 0;       // bytes from the start of the block, a multiple of the page size
  std::uint64_t seed = 0;              // of the choice of pages and of their contents
};

/// Methods are for any thread; none of them touches guest memory or waits for who does, except close().
class DirtyWriter {
 public:
  /// The thread keeps this up on any processor, and sleeps for most of the time.
  static constexpr std::uint64_t kMaxPagesPerSecond = 1'000'000;

  explicit DirtyWriter(std::shared_ptr<GuestMemory> memory);
  DirtyWriter(const DirtyWriter&) = delete;
  DirtyWriter& operator=(const DirtyWriter&) = delete;
  ~DirtyWriter() { close(); }

  /// Writes from now on; replaces the load where one is under way.
  Status start(const DirtyLoad& load);
  /// Calls `done`, on the writer's thread, when nothing is written any more and every write is marked.
  void stop(std::function<void()> done);
  std::uint64_t pages_written() const { return pages_written_.load(std::memory_order_relaxed); }
  /// Stops and joins the thread. May be called again.
  void close();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void answer_stops(std::unique_lock<std::mutex>& lock);
  Clock::time_point write_due_pages(const DirtyLoad& load);
  void write_page(const DirtyLoad& load);
  std::uint64_t random();

  const std::shared_ptr<GuestMemory> memory_;
  std::atomic<std::uint64_t> pages_written_ = 0;
  std::atomic<bool> writing_ = false;  // written under mutex_, read without it between two pages

  std::mutex mutex_;  // never held while a page is written
  std::condition_variable wake_;
  DirtyLoad load_;
  bool fresh_load_ = false;
  bool closing_ = false;
  std::vector<std::function<void()>> stops_;

  // The writer's thread only:
  std::uint64_t random_state_ = 0;
  Clock::time_point next_due_;

  std::mutex join_mutex_;
  std::thread thread_;  // last member: starts when all others exist
};

}  // namespace godwit
