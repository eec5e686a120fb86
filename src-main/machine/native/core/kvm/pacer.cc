// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/pacer.h"

namespace godwit {
namespace {

/// A vCPU that was held up may catch up on this many batches; what it is behind beyond that is forgiven, so that it
/// does not storm through a long pause's worth of work.
constexpr std::uint64_t kMaxIntervalsBehind = 20;

}  // namespace

void Pacer::restart() {
  generation_.reset();
  due_ns_ = 0;
}

std::uint64_t Pacer::heartbeat(std::uint32_t low, std::optional<std::uint64_t> full, std::uint64_t now_ns) {
  if (full) {
    generation_ = *full;
  } else {
    // The counter only grows, and by less than 2^32 between two heartbeats.
    const std::uint64_t before = generation_.value_or(0);
    generation_ = before + static_cast<std::uint32_t>(low - static_cast<std::uint32_t>(before));
  }
  {
    std::lock_guard lock(mutex_);
    if (seen_.count == 0) {
      seen_.first_generation = *generation_;
      seen_.first_ns = now_ns;
    } else if (now_ns - seen_.last_ns > seen_.longest_gap_ns) {
      seen_.longest_gap_ns = now_ns - seen_.last_ns;
      seen_.longest_gap_end_ns = now_ns;
    }
    ++seen_.count;
    seen_.generation = *generation_;
    seen_.last_ns = now_ns;
  }
  return next_due(now_ns);
}

std::uint64_t Pacer::next_due(std::uint64_t now_ns) {
  if (interval_ns_ == 0) return 0;
  due_ns_ = due_ns_ == 0 ? now_ns + interval_ns_ : due_ns_ + interval_ns_;
  if (now_ns > due_ns_ + kMaxIntervalsBehind * interval_ns_) due_ns_ = now_ns;
  return due_ns_;
}

Heartbeats Pacer::snapshot() const {
  std::lock_guard lock(mutex_);
  return seen_;
}

}  // namespace godwit
