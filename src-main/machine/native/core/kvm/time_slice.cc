// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/time_slice.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace godwit {
namespace {

constexpr std::uint64_t kSliceNs = 500'000;

/// struct sched_attr of sched_setattr(2), first version; C libraries differ in whether they declare it.
struct Attributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;
  std::uint64_t deadline;
  std::uint64_t period;
};
static_assert(sizeof(Attributes) == 48);

}  // namespace

void prefer_short_time_slices() {
  Attributes attributes{};
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.size = sizeof attributes;
  attributes.runtime = kSliceNs;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);  // a wish: what the kernel makes of it is no error
}

}  // namespace godwit
