// SPDX-License-Identifier: Apache-2.0
// The dirty ring of one vCPU: entries in memory that is shared with KVM. An entry goes through three states, told by
// its flags: free (0), dirty (KVM has put a page there), harvested (we have seen it; KVM_RESET_DIRTY_RINGS frees it
// and watches the page again). KVM fills the ring in order, and it is harvested in order.
#pragma once

#include <linux/kvm.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/base/mapping.h"
#include "core/base/result.h"

namespace godwit {

/// What a ring has seen since its machine was made.
struct RingCounts {
  /// Pages harvested. A page that is written again after it was re-armed counts again.
  std::uint64_t pages = 0;
  /// How often the vCPU had to stop because its ring was full.
  std::uint64_t full_exits = 0;
};

/// harvest() and holds() are for one thread at a time.
class VcpuRing {
 public:
  /// Maps the ring; `entries` is what the machine's rings were enabled with.
  static Result<std::unique_ptr<VcpuRing>> map(int vcpu_fd, std::uint32_t entries);

  /// Whether `count` entries or more are dirty; 1 to the ring's size.
  bool holds(std::uint32_t count) const { return is_dirty(at(next_ + count - 1)); }
  /// Calls `visit` with the slot (address space << 16 | slot) and the page in that slot of every dirty entry and marks
  /// the entry harvested; answers how many there were. The vCPU may run and add entries all the while.
  template <typename Visit>
  std::uint32_t harvest(Visit visit) {
    std::uint32_t count = 0;
    // What is harvested takes up its place until it is reset, so this ends after one lap at most.
    for (; count < entries_ && is_dirty(at(next_)); ++count, ++next_) {
      kvm_dirty_gfn& entry = at(next_);
      visit(entry.slot, entry.offset);
      __atomic_store_n(&entry.flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
    }
    pages_.fetch_add(count, std::memory_order_relaxed);
    return count;
  }

  void count_full_exit() { full_exits_.fetch_add(1, std::memory_order_relaxed); }
  /// Any thread.
  RingCounts counts() const {
    return {pages_.load(std::memory_order_relaxed), full_exits_.load(std::memory_order_relaxed)};
  }

 private:
  VcpuRing(Mapping mapping, std::uint32_t entries) : mapping_(std::move(mapping)), entries_(entries) {}

  kvm_dirty_gfn& at(std::uint32_t index) const {
    return reinterpret_cast<kvm_dirty_gfn*>(mapping_.data())[index & (entries_ - 1)];
  }
  static bool is_dirty(const kvm_dirty_gfn& entry) {
    return __atomic_load_n(&entry.flags, __ATOMIC_ACQUIRE) == KVM_DIRTY_GFN_F_DIRTY;
  }

  const Mapping mapping_;
  const std::uint32_t entries_;  // a power of two
  std::uint32_t next_ = 0;       // counts entries, wraps around
  std::atomic<std::uint64_t> pages_{0};
  std::atomic<std::uint64_t> full_exits_{0};
};

}  // namespace godwit
