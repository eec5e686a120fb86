// SPDX-License-Identifier: Apache-2.0
// Where serial output goes: a bounded ring whose tail can be read, drained to a descriptor by a thread of its own, so
// that a slow reader never holds up a vCPU.
#pragma once

#include <atomic>
#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/unique_fd.h"

namespace godwit {

class SerialOutput {
 public:
  static constexpr std::size_t kCapacity = 64 * 1024;

  /// `sink` may be invalid: then output is kept in the tail only.
  explicit SerialOutput(UniqueFd sink);
  SerialOutput(const SerialOutput&) = delete;
  SerialOutput& operator=(const SerialOutput&) = delete;
  ~SerialOutput() { close(); }

  /// Any thread; never blocks. What the sink has not taken when the ring is full is dropped, the oldest first.
  void put(std::uint8_t byte);
  /// The last output, at most kCapacity bytes.
  std::vector<std::uint8_t> tail() const;
  /// Bytes that never reached the sink.
  std::uint64_t dropped() const;
  /// Writes what the sink takes without waiting, and joins the thread. One caller at a time; repeated calls are fine.
  void close();

 private:
  void drain();
  bool write_some(bool wait);

  UniqueFd sink_;
  UniqueFd wake_;  // eventfd: ends the wait for a sink that takes nothing
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::array<std::uint8_t, kCapacity> ring_;
  std::uint64_t head_ = 0;     // bytes put so far; byte n is at ring_[n % kCapacity]
  std::uint64_t drained_ = 0;  // bytes handed to the sink or dropped
  std::uint64_t dropped_ = 0;
  bool sink_failed_ = false;
  bool closing_ = false;
  bool finished_ = false;
  std::thread thread_;
};

}  // namespace godwit
