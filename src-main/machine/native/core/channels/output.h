// SPDX-License-Identifier: Apache-2.0
// The output of a channel: one FIFO that any thread appends to and one writer thread drains.
//
// Small buffers are copied and never wait. Batches point at bytes that stay where they are (guest pages) and are
// bounded in flight: who appends them waits for room first. The first write error is sticky: what follows is dropped,
// and flush() tells.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "core/channels/completion.h"
#include "core/channels/interrupt.h"
#include "core/channels/layer.h"

namespace godwit {

/// Bytes that are sent from where they are.
struct OutputBatch {
  /// At most Layer::kMaxParts; none empty.
  std::span<iovec> parts;
  std::size_t bytes = 0;
  /// Keeps parts, and what they point at, in place until they are written or dropped.
  std::shared_ptr<void> owner;
};

class Output {
 public:
  /// Waiting for room ends when fewer bytes of batches than this are in flight. Enough to keep the writer busy while
  /// the next batch is made, and little enough that it adds only some milliseconds of sending to the last flush.
  static constexpr std::size_t kMaxBatchBytesInFlight = 4 << 20;

  enum class Room { kReady, kTimedOut, kGivenUp, kBroken };
  using Clock = std::chrono::steady_clock;

  /// Both outlive this object. Raising `stop` and calling wake() ends everything that is under way.
  Output(Layer& layer, const Interrupt& stop);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { join(); }

  /// Copies. Never blocks.
  void append(std::span<const std::uint8_t> bytes);
  /// False when the output is broken; nothing is kept then.
  [[nodiscard]] bool append(OutputBatch batch);
  /// Waits until a batch may be appended. `give_up` is asked at each wake().
  Room wait_for_room(Clock::time_point deadline, const std::function<bool()>& give_up);
  /// Why the output is broken: the first write error, or that it was stopped.
  Failure failure();
  /// Completes, on the writer thread, when all that was appended before is with the kernel.
  void flush(Completion<> done);

  /// Makes those who wait look at `stop` and `give_up` again.
  void wake();
  /// Joins the writer; `stop` must have been raised. Flushes still queued fail. Again: no effect.
  void join();

  /// Bytes that the kernel accepted, and bytes appended that it has not accepted yet.
  std::uint64_t written() const { return written_.load(std::memory_order_relaxed); }
  std::uint64_t queued() const { return queued_.load(std::memory_order_relaxed); }
  /// gettid(2) of the writer; 0 until it has begun.
  int thread_id() const { return thread_id_.load(std::memory_order_relaxed); }

 private:
  /// One entry of the FIFO: exactly one of the three is set.
  struct Item {
    std::vector<std::uint8_t> small;
    OutputBatch batch;
    Completion<> flushed;

    std::size_t bytes() const { return small.size() + batch.bytes; }
    std::size_t part_count() const { return batch.parts.size() + (small.empty() ? 0 : 1); }
  };

  void run();
  std::vector<Item> take();
  Status send(const std::vector<Item>& items);
  Status send_parts(std::span<iovec> parts);
  Failure stopped() const { return Failure::cancelled("Writing to the channel"); }

  Layer& layer_;
  const Interrupt& stop_;

  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable room_;
  std::deque<Item> items_;
  std::size_t batch_bytes_in_flight_ = 0;
  std::optional<Failure> broken_;
  bool joining_ = false;

  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<std::uint64_t> queued_ = 0;
  std::atomic<int> thread_id_ = 0;
  std::vector<iovec> gathered_;  // of the writer thread
  std::thread writer_;           // last member: starts when all others exist
};

}  // namespace godwit
