// SPDX-License-Identifier: Apache-2.0
// Heartbeats of one vCPU: its writes to the pace port, and how long it has to wait after each.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

namespace godwit {

/// What this process saw of one vCPU's heartbeats. Times are CLOCK_MONOTONIC nanoseconds.
struct Heartbeats {
  std::uint64_t count = 0;
  std::uint64_t first_generation = 0;
  std::uint64_t generation = 0;
  std::uint64_t first_ns = 0;
  std::uint64_t last_ns = 0;
  /// Also the time that the vCPU was stopped between two heartbeats.
  std::uint64_t longest_gap_ns = 0;
  std::uint64_t longest_gap_end_ns = 0;
};

class Pacer {
 public:
  /// `interval_ns` 0: no waiting.
  explicit Pacer(std::uint64_t interval_ns) : interval_ns_(interval_ns) {}

  /// vCPU thread, at each start: the vCPU may have been given another state meanwhile.
  void restart();
  /// vCPU thread: whether the next heartbeat needs all 64 bits of the generation, not the low half only.
  bool needs_generation() const { return !generation_.has_value(); }
  /// vCPU thread. `low` is what the guest wrote; `full` is RBX where needs_generation(). Answers when the guest's next
  /// batch is due: a time in the past or 0 means now.
  std::uint64_t heartbeat(std::uint32_t low, std::optional<std::uint64_t> full, std::uint64_t now_ns);

  /// Any thread, at any time.
  Heartbeats snapshot() const;

 private:
  std::uint64_t next_due(std::uint64_t now_ns);

  const std::uint64_t interval_ns_;
  // vCPU thread only:
  std::optional<std::uint64_t> generation_;
  std::uint64_t due_ns_ = 0;
  mutable std::mutex mutex_;
  Heartbeats seen_;
};

}  // namespace godwit
