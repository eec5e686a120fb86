// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/vm_handle.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>

namespace godwit {
namespace {

constexpr std::uint64_t kSlotOffsetAlignment = 64 * kPageSize;
constexpr std::uint64_t kMaxGuestAddress = std::uint64_t{1} << 52;  // the architecture's limit of physical addresses
// Four pages below the BIOS's alias at 4 GiB that KVM may need for itself on VMX (a TSS, an identity map).
constexpr std::uint64_t kKvmPages = 0xfffbc000;
constexpr std::uint64_t kKvmPagesEnd = 0xfffc0000;

std::string hex(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "%#llx", static_cast<unsigned long long>(value));
  return text;
}

Failure bad_slot(std::size_t index, const std::string& problem) {
  return Failure::invalid("memory slot " + std::to_string(index) + " " + problem);
}

bool overlap(std::uint64_t a, std::uint64_t a_end, std::uint64_t b, std::uint64_t b_end) {
  return a < b_end && b < a_end;
}

Status check_slot(std::span<const MemorySlot> slots, std::size_t index, std::uint64_t memory_size) {
  const MemorySlot& slot = slots[index];
  if (slot.size == 0 || slot.size % kPageSize != 0 || slot.guest_address % kPageSize != 0) {
    return bad_slot(index, "must have a guest address and a size in whole pages of 4 KiB");
  }
  if (slot.offset % kSlotOffsetAlignment != 0) {
    return bad_slot(index, "must start at a multiple of 256 KiB in the memory block: got " + hex(slot.offset));
  }
  if (slot.offset > memory_size || slot.size > memory_size - slot.offset) {
    return bad_slot(index, "lies outside the memory block of " + hex(memory_size) + " bytes");
  }
  if (slot.guest_address > kMaxGuestAddress || slot.size > kMaxGuestAddress - slot.guest_address) {
    return bad_slot(index, "ends above the guest's physical address space");
  }
  const std::uint64_t end = slot.guest_address + slot.size;
  if (overlap(slot.guest_address, end, kKvmPages, kKvmPagesEnd)) {
    return bad_slot(index, "covers " + hex(kKvmPages) + " to " + hex(kKvmPagesEnd) + ", which KVM needs for itself");
  }
  for (std::size_t other = 0; other < index; ++other) {
    if (overlap(slot.guest_address, end, slots[other].guest_address, slots[other].guest_address + slots[other].size)) {
      return bad_slot(index, "overlaps slot " + std::to_string(other));
    }
  }
  return success();
}

}  // namespace

Result<std::shared_ptr<VmHandle>> VmHandle::create(const KvmSystem& system, std::shared_ptr<GuestMemory> memory,
                                                   std::span<const MemorySlot> slots) {
  if (slots.empty()) return Failure::invalid("a machine needs at least one memory slot");
  for (std::size_t index = 0; index < slots.size(); ++index) {
    if (Status status = check_slot(slots, index, memory->size()); !status) return status.failure();
  }
  UniqueFd fd(kvm_ioctl(system.fd(), KVM_CREATE_VM, 0UL));
  if (!fd) return Failure::from_errno("KVM_CREATE_VM", "KVM cannot create a virtual machine");
  std::shared_ptr<VmHandle> handle(new VmHandle(std::move(fd), std::move(memory), slots));
  handle->reserve_kvm_pages();
  handle->enable_manual_protect();
  for (std::uint32_t index = 0; index < slots.size(); ++index) {
    if (Status status = handle->map_slot(index, false); !status) return status.failure();
  }
  return handle;
}

int VmHandle::capability(int number) const {
  return std::max(0, kvm_ioctl(fd(), KVM_CHECK_EXTENSION, static_cast<unsigned long>(number)));
}

/// Intel CPUs without "unrestricted guest" run real mode with these pages; everywhere else the calls change nothing,
/// or are not there, which is as good.
void VmHandle::reserve_kvm_pages() {
  const std::uint64_t identity_map = kKvmPages;
  kvm_ioctl(fd(), KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
  kvm_ioctl(fd(), KVM_SET_TSS_ADDR, static_cast<unsigned long>(kKvmPages + kPageSize));
}

void VmHandle::enable_manual_protect() {
  if ((capability(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) == 0) return;
  kvm_enable_cap request{};
  request.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
  request.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
  manual_protect_ = kvm_ioctl(fd(), KVM_ENABLE_CAP, &request) == 0;
}

Status VmHandle::map_slot(std::uint32_t index, bool dirty_log) {
  const MemorySlot& slot = slots_[index];
  kvm_userspace_memory_region region{};
  region.slot = index;
  region.flags = dirty_log ? KVM_MEM_LOG_DIRTY_PAGES : 0;
  region.guest_phys_addr = slot.guest_address;
  region.memory_size = slot.size;
  region.userspace_addr = reinterpret_cast<std::uint64_t>(memory_->data() + slot.offset);
  if (kvm_ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &region) == 0) return success();
  return Failure::from_errno("KVM_SET_USER_MEMORY_REGION", "KVM cannot map memory slot " + std::to_string(index) +
                                                               " at guest address " + hex(slot.guest_address));
}

bool VmHandle::unmap(std::uint64_t first_page, std::uint64_t last_page) {
  if (memory_->fd() < 0) return false;  // the contents of anonymous memory would be lost with its mapping
  const std::uint64_t alignment = std::max(memory_->huge_page_size(), kPageSize);
  const std::uint64_t begin = first_page * kPageSize / alignment * alignment;
  const std::uint64_t end = std::min((last_page * kPageSize / alignment + 1) * alignment, memory_->size());
  return ::madvise(memory_->data() + begin, end - begin, MADV_DONTNEED) == 0;
}

Status VmHandle::set_dirty_log(bool on) {
  for (std::uint32_t index = 0; index < slots_.size(); ++index) {
    if (Status status = map_slot(index, on); !status) return status;
  }
  return success();
}

}  // namespace godwit
