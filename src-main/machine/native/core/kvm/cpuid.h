// SPDX-License-Identifier: Apache-2.0
// CPUID entries as one vCPU sees them.
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <vector>

#include "core/base/result.h"

namespace godwit {

/// A copy of `entries` with the APIC id (the vCPU's index) wherever CPUID shows it: leaf 1 EBX[31:24], leaves 0Bh and
/// 1Fh EDX, leaf 8000001Eh EAX. Leaves that are not there are not added.
std::vector<kvm_cpuid_entry2> with_apic_id(std::vector<kvm_cpuid_entry2> entries, std::uint32_t apic_id);

/// KVM_SET_CPUID2, before anything else is set on the vCPU: what KVM accepts as state depends on it.
Status set_cpuid(int vcpu_fd, const std::vector<kvm_cpuid_entry2>& entries);

}  // namespace godwit
