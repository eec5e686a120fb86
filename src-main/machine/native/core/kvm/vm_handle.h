// SPDX-License-Identifier: Apache-2.0
// The KVM descriptor of one virtual machine and its memory slots.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/kvm/kvm_system.h"
#include "core/memory/guest_memory.h"

namespace godwit {

/// A part of the memory block as the guest sees it. All three are bytes.
struct MemorySlot {
  std::uint64_t guest_address = 0;
  // In the block; a multiple of 64 pages, so that words of a dirty log are words of the bitmap.
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// Keeps the memory alive for as long as KVM maps it.
class VmHandle {
 public:
  /// Makes the machine and its slots; no vCPU yet.
  static Result<std::shared_ptr<VmHandle>> create(const KvmSystem& system, std::shared_ptr<GuestMemory> memory,
                                                  std::span<const MemorySlot> slots);

  int fd() const { return fd_.get(); }
  const std::vector<MemorySlot>& slots() const { return slots_; }
  std::uint64_t memory_pages() const { return memory_->pages(); }
  /// Whether the dirty log is re-armed by KVM_CLEAR_DIRTY_LOG; else KVM_GET_DIRTY_LOG re-arms all at once.
  bool manual_protect() const { return manual_protect_; }
  /// KVM_CHECK_EXTENSION on the machine.
  int capability(int number) const;
  /// Has KVM forget how these pages of the memory block are mapped, so that it looks at each again when the guest uses
  /// it. Contents stay. False when that cannot be done with this kind of memory.
  bool unmap(std::uint64_t first_page, std::uint64_t last_page);
  /// Turns the dirty log of every slot on or off. Idempotent.
  Status set_dirty_log(bool on);

 private:
  VmHandle(UniqueFd fd, std::shared_ptr<GuestMemory> memory, std::span<const MemorySlot> slots)
      : memory_(std::move(memory)), slots_(slots.begin(), slots.end()), fd_(std::move(fd)) {}
  Status map_slot(std::uint32_t index, bool dirty_log);
  void reserve_kvm_pages();
  void enable_manual_protect();

  const std::shared_ptr<GuestMemory> memory_;
  const std::vector<MemorySlot> slots_;
  bool manual_protect_ = false;
  const UniqueFd fd_;  // last: closed first
};

}  // namespace godwit
