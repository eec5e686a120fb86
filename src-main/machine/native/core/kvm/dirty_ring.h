// SPDX-License-Identifier: Apache-2.0
// The dirty tracker over KVM's dirty rings (kernel documentation: KVM_CAP_DIRTY_LOG_RING). Every vCPU names the pages
// that it writes in a ring of its own. A page is named once; only when its entry was harvested and reset is it watched
// again. Rings are emptied by collect(), by a vCPU whose ring is full, and by a thread before they are full; what was
// harvested between two collects waits in a bitmap.
//
// Only vCPUs write to rings. KVM writes to guest memory without a vCPU on some architectures
// (KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP); on x86 it does not.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/kvm/vcpu_ring.h"
#include "core/kvm/vm_handle.h"
#include "core/memory/dirty_tracker.h"

namespace godwit {

class DirtyRing : public DirtyTracker {
 public:
  /// Gives the machine's vCPUs rings of `entries` each; before the first vCPU is made.
  static Result<std::shared_ptr<DirtyRing>> create(std::shared_ptr<VmHandle> vm, std::uint32_t entries);
  DirtyRing(const DirtyRing&) = delete;
  DirtyRing& operator=(const DirtyRing&) = delete;
  ~DirtyRing() override;

  /// Adds the ring of the next vCPU; before the machine runs.
  Status add_vcpu(int vcpu_fd);
  /// `leave_guest` makes every vCPU leave the guest once and returns when they have; before the machine runs. It is
  /// called without any lock.
  void set_leave_guest(std::function<void()> leave_guest) { leave_guest_ = std::move(leave_guest); }

  Status start() override;
  Status collect(std::span<std::uint64_t> bitmap) override;
  Status stop() override;

  /// Makes room in the ring of a vCPU whose KVM_RUN ended with KVM_EXIT_DIRTY_RING_FULL. On that vCPU's thread.
  Status make_room(unsigned vcpu);
  /// By vCPU.
  std::vector<RingCounts> counts() const;

 private:
  class Turn;

  DirtyRing(std::shared_ptr<VmHandle> vm, std::uint32_t entries);

  void reap_until_closed();
  // All of these in a turn:
  void harvest(VcpuRing& ring);
  void harvest_all();
  void harvest_filled();
  Status rearm();
  void rewatch_last_batch(std::size_t end);
  /// The page of the block; kNoPage for one that is not ours.
  std::uint64_t block_page(std::uint32_t slot, std::uint64_t page) const;

  const std::shared_ptr<VmHandle> vm_;
  const std::uint32_t entries_;
  const std::uint32_t filled_;  // a ring with as many entries is emptied ahead of time
  std::function<void()> leave_guest_ = [] {};
  std::vector<std::unique_ptr<VcpuRing>> rings_;

  std::mutex mutex_;
  std::condition_variable turn_over_;
  std::condition_variable wake_reaper_;
  bool turn_taken_ = false;
  bool closing_ = false;
  std::atomic<bool> tracking_{false};  // changed in a turn
  // In a turn only; bits as in the bitmap of collect():
  std::vector<std::uint64_t> pending_;    // harvested since the last collect()
  std::vector<std::uint64_t> unwatched_;  // perhaps not watched by KVM: reported until a ring names them again
  std::vector<std::uint64_t> harvested_;  // in this turn, not yet re-armed: pages in the order of rings and entries
  std::optional<Failure> reaper_failure_;

  std::thread reaper_;  // last: uses all others
};

}  // namespace godwit
