// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/vcpu_ring.h"

#include <sys/mman.h>

#include "core/memory/guest_memory.h"

namespace godwit {

Result<std::unique_ptr<VcpuRing>> VcpuRing::map(int vcpu_fd, std::uint32_t entries) {
  constexpr off_t kRingOffset = KVM_DIRTY_LOG_PAGE_OFFSET * kPageSize;
  const std::size_t bytes = entries * sizeof(kvm_dirty_gfn);
  void* const address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, kRingOffset);
  if (address == MAP_FAILED) return Failure::from_errno("mmap", "the dirty ring of a vCPU cannot be mapped");
  return std::unique_ptr<VcpuRing>(new VcpuRing(Mapping(address, bytes), entries));
}

}  // namespace godwit
