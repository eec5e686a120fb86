// SPDX-License-Identifier: Apache-2.0
// The clock of heartbeats, pauses and deadlines.
#pragma once

#include <time.h>

#include <cstdint>

namespace godwit {

/// CLOCK_MONOTONIC in nanoseconds; the same clock as std::chrono::steady_clock and process.hrtime.
inline std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace godwit
