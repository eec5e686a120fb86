// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/dirty_log.h"

#include <algorithm>
#include <vector>

namespace godwit {
namespace {

// KVM holds its MMU lock for the length of one KVM_CLEAR_DIRTY_LOG, which keeps vCPUs from taking faults: 256 MiB a
// call. A multiple of 64 pages, as the call demands except at the end of a slot.
constexpr std::uint64_t kPagesPerClear = (std::uint64_t{256} << 20) / kPageSize;

std::uint64_t words_of(std::uint64_t pages) { return (pages + 63) / 64; }

}  // namespace

Status DirtyLog::start() {
  if (Status status = vm_->set_dirty_log(true); !status) return status;
  started_.store(true);
  return success();
}

Status DirtyLog::stop() {
  if (!started_.exchange(false)) return success();
  return vm_->set_dirty_log(false);
}

Status DirtyLog::collect(std::span<std::uint64_t> bitmap) {
  if (!started_.load()) return Failure::invalid("dirty pages cannot be collected: their tracking is not started");
  if (bitmap.size() < words_of(vm_->memory_pages())) {
    return Failure::invalid("the dirty bitmap is shorter than the memory block");
  }
  for (std::uint32_t index = 0; index < vm_->slots().size(); ++index) {
    if (Status status = collect_slot(index, bitmap); !status) return status;
  }
  return success();
}

Status DirtyLog::collect_slot(std::uint32_t index, std::span<std::uint64_t> bitmap) {
  const MemorySlot& slot = vm_->slots()[index];
  const std::uint64_t pages = slot.size / kPageSize;
  std::vector<std::uint64_t> log(words_of(pages));
  kvm_dirty_log request{};
  request.slot = index;
  request.dirty_bitmap = log.data();
  if (kvm_ioctl(vm_->fd(), KVM_GET_DIRTY_LOG, &request) != 0) {
    return Failure::from_errno("KVM_GET_DIRTY_LOG", "cannot read which pages the guest wrote");
  }
  const std::uint64_t first_word = slot.offset / kPageSize / 64;
  for (std::uint64_t word = 0; word < log.size(); ++word) bitmap[first_word + word] |= log[word];
  return vm_->manual_protect() ? rearm(index, pages, log.data()) : success();
}

Status DirtyLog::rearm(std::uint32_t index, std::uint64_t pages, std::uint64_t* log) {
  for (std::uint64_t first = 0; first < pages; first += kPagesPerClear) {
    const std::uint64_t count = std::min(kPagesPerClear, pages - first);
    std::uint64_t* const part = log + first / 64;
    if (std::all_of(part, part + words_of(count), [](std::uint64_t word) { return word == 0; })) continue;
    kvm_clear_dirty_log request{};
    request.slot = index;
    request.first_page = first;
    request.num_pages = static_cast<std::uint32_t>(count);
    request.dirty_bitmap = part;
    if (kvm_ioctl(vm_->fd(), KVM_CLEAR_DIRTY_LOG, &request) != 0) {
      return Failure::from_errno("KVM_CLEAR_DIRTY_LOG", "cannot re-arm the tracking of pages that the guest writes");
    }
  }
  return success();
}

}  // namespace godwit
