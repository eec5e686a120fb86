// SPDX-License-Identifier: Apache-2.0
// The whole state of one vCPU, read from KVM and written to it.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"

namespace godwit {

struct Msr {
  std::uint32_t index = 0;
  std::uint64_t value = 0;
};

struct VcpuState {
  kvm_regs regs{};
  kvm_sregs sregs{};
  std::vector<std::uint8_t> xsave;  // 4096 bytes, or what KVM_CAP_XSAVE2 says
  kvm_xcrs xcrs{};
  kvm_debugregs debugregs{};
  kvm_vcpu_events events{};
  std::uint32_t mp_state = KVM_MP_STATE_RUNNABLE;
  std::vector<Msr> msrs;
  std::uint32_t tsc_khz = 0;  // 0: not known
};

static_assert(sizeof(kvm_regs) == 144 && sizeof(kvm_sregs) == 312 && sizeof(kvm_xcrs) == 392);
static_assert(sizeof(kvm_debugregs) == 128 && sizeof(kvm_vcpu_events) == 64);

/// What reading and writing depend on.
struct VcpuStateContext {
  int fd = -1;
  std::size_t xsave_size = 4096;
  bool tsc_control = false;  // KVM_CAP_TSC_CONTROL: the guest's TSC can run at another rate than the host's
};

/// MSRs that KVM cannot read are left out of the answer.
Result<VcpuState> read_vcpu_state(const VcpuStateContext& vcpu, std::span<const std::uint32_t> msr_indices);

/// Answers the indices of MSRs that KVM refused; everything else must succeed.
Result<std::vector<std::uint32_t>> write_vcpu_state(const VcpuStateContext& vcpu, const VcpuState& state);

}  // namespace godwit
