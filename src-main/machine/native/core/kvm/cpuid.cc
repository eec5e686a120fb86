// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/cpuid.h"

#include <cstring>

#include "core/kvm/kvm_abi.h"
#include "core/kvm/kvm_system.h"

namespace godwit {

std::vector<kvm_cpuid_entry2> with_apic_id(std::vector<kvm_cpuid_entry2> entries, std::uint32_t apic_id) {
  for (kvm_cpuid_entry2& entry : entries) {
    switch (entry.function) {
      case 0x1:
        entry.ebx = (entry.ebx & 0x00ffffffu) | apic_id << 24;
        break;
      case 0xb:
      case 0x1f:
        entry.edx = apic_id;
        break;
      case 0x8000001e:
        entry.eax = apic_id;
        break;
      default:
        break;
    }
  }
  return entries;
}

Status set_cpuid(int vcpu_fd, const std::vector<kvm_cpuid_entry2>& entries) {
  std::vector<std::uint32_t> list((sizeof(CpuidHead) + entries.size() * sizeof(kvm_cpuid_entry2)) /
                                  sizeof(std::uint32_t));
  const CpuidHead head{static_cast<std::uint32_t>(entries.size()), 0};
  std::memcpy(list.data(), &head, sizeof head);
  if (!entries.empty()) {
    std::memcpy(reinterpret_cast<char*>(list.data()) + sizeof head, entries.data(),
                entries.size() * sizeof(kvm_cpuid_entry2));
  }
  if (kvm_ioctl(vcpu_fd, kKvmSetCpuid2, list.data()) != 0) {
    return Failure::from_errno("KVM_SET_CPUID2", "KVM refuses the CPU features of the machine's CPU model");
  }
  return success();
}

}  // namespace godwit
