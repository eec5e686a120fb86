// SPDX-License-Identifier: Apache-2.0
// A flag that also ends poll(2): raised once, never lowered, seen by any number of waiting threads.
#pragma once

#include <atomic>
#include <chrono>
#include <initializer_list>
#include <memory>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace godwit {

class Interrupt {
 public:
  static Result<std::shared_ptr<Interrupt>> create();

  /// Thread-safe and async-signal-safe.
  void raise();
  /// Raises it and gives the descriptor back. Only when nobody waits for it any more, and nobody will.
  void retire();
  bool raised() const { return raised_.load(std::memory_order_acquire); }
  /// Readable from raise() on; -1 after retire().
  int fd() const { return event_.get(); }

 private:
  explicit Interrupt(UniqueFd event) : event_(std::move(event)) {}

  UniqueFd event_;
  std::atomic<bool> raised_ = false;
};

enum class Readiness { kReady, kInterrupted, kTimedOut };

inline constexpr std::chrono::milliseconds kNoTimeout{-1};

/// Waits until `fd` shows one of `events` (or an error, or a hang-up), until one of `interrupts` (at most three) is
/// raised, or until the time is over. An `fd` of -1 waits for the other two only. An interrupt wins over readiness.
Readiness wait_ready(int fd, short events, std::initializer_list<const Interrupt*> interrupts,
                     std::chrono::milliseconds timeout = kNoTimeout);

}  // namespace godwit
