// SPDX-License-Identifier: Apache-2.0
// Whether this process may handle page faults of its own memory.
#pragma once

#include <cstdint>

#include "core/base/result.h"

namespace godwit {

struct UserfaultSupport {
  std::uint64_t features = 0;  // UFFD_FEATURE_* bits
  bool through_device = false;  // /dev/userfaultfd; else the system call
};

/// Tries both ways, also for faults that the kernel takes on our behalf (KVM's do). The failure says what to do.
Result<UserfaultSupport> probe_userfault();

}  // namespace godwit
