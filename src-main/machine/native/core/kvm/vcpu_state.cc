// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/vcpu_state.h"

#include <algorithm>
#include <cstring>

#include "core/kvm/kvm_abi.h"
#include "core/kvm/kvm_system.h"

namespace godwit {
namespace {

constexpr std::uint32_t kMsrTscDeadline = 0x6e0;

template <typename T>
Status get(int fd, unsigned long request, const char* name, T* into) {
  if (kvm_ioctl(fd, request, into) == 0) return success();
  return Failure::from_errno(name, std::string("cannot read the state of a vCPU by ") + name);
}

template <typename T>
Status set(int fd, unsigned long request, const char* name, const T* from) {
  if (kvm_ioctl(fd, request, from) == 0) return success();
  return Failure::from_errno(name, std::string("KVM refuses the state of a vCPU by ") + name);
}

Status read_msrs(int fd, std::span<const std::uint32_t> indices, std::vector<Msr>& msrs) {
  for (std::size_t at = 0; at < indices.size();) {
    MsrBatch batch;
    const std::size_t count = std::min(MsrBatch::kCapacity, indices.size() - at);
    batch.count = static_cast<std::uint32_t>(count);
    for (std::size_t n = 0; n < count; ++n) batch.entries[n].index = indices[at + n];
    const int done = kvm_ioctl(fd, kKvmGetMsrs, &batch);
    if (done < 0) return Failure::from_errno("KVM_GET_MSRS", "cannot read the state of a vCPU by KVM_GET_MSRS");
    for (int n = 0; n < done; ++n) msrs.push_back({batch.entries[n].index, batch.entries[n].data});
    // The kernel stops at the first it cannot read: go on behind that one.
    at += static_cast<std::size_t>(done) + (static_cast<std::size_t>(done) < count ? 1 : 0);
  }
  return success();
}

Status write_msrs(int fd, std::span<const Msr> msrs, std::vector<std::uint32_t>& refused) {
  for (std::size_t at = 0; at < msrs.size();) {
    MsrBatch batch;
    const std::size_t count = std::min(MsrBatch::kCapacity, msrs.size() - at);
    batch.count = static_cast<std::uint32_t>(count);
    for (std::size_t n = 0; n < count; ++n) {
      batch.entries[n].index = msrs[at + n].index;
      batch.entries[n].data = msrs[at + n].value;
    }
    const int done = kvm_ioctl(fd, kKvmSetMsrs, &batch);
    if (done < 0) return Failure::from_errno("KVM_SET_MSRS", "KVM refuses the state of a vCPU by KVM_SET_MSRS");
    at += static_cast<std::size_t>(done);
    if (static_cast<std::size_t>(done) < count) refused.push_back(msrs[at++].index);
  }
  return success();
}

Status read_xsave(const VcpuStateContext& vcpu, std::vector<std::uint8_t>& xsave) {
  xsave.resize(vcpu.xsave_size);
  if (vcpu.xsave_size > kLegacyXsaveSize) return get(vcpu.fd, kKvmGetXsave2, "KVM_GET_XSAVE2", xsave.data());
  return get(vcpu.fd, kKvmGetXsave, "KVM_GET_XSAVE", xsave.data());
}

Status write_xsave(const VcpuStateContext& vcpu, const std::vector<std::uint8_t>& xsave) {
  if (xsave.size() < kLegacyXsaveSize || xsave.size() > vcpu.xsave_size) {
    return Failure::invalid("the extended state of a vCPU has " + std::to_string(xsave.size()) +
                            " bytes, this KVM takes 4096 to " + std::to_string(vcpu.xsave_size));
  }
  // A state from a KVM with fewer components: what it does not have is in its initial state, and so are zeros.
  std::vector<std::uint8_t> padded(vcpu.xsave_size);
  std::memcpy(padded.data(), xsave.data(), xsave.size());
  return set(vcpu.fd, kKvmSetXsave, "KVM_SET_XSAVE", padded.data());
}

Status write_tsc_khz(const VcpuStateContext& vcpu, std::uint32_t tsc_khz) {
  if (tsc_khz == 0 || !vcpu.tsc_control) return success();
  if (kvm_ioctl(vcpu.fd, KVM_GET_TSC_KHZ) == static_cast<int>(tsc_khz)) return success();
  if (kvm_ioctl(vcpu.fd, KVM_SET_TSC_KHZ, tsc_khz) == 0) return success();
  return Failure::from_errno("KVM_SET_TSC_KHZ",
                             "the guest's time stamp counter cannot run at " + std::to_string(tsc_khz) + " kHz");
}

Status write_mp_state(const VcpuStateContext& vcpu, std::uint32_t value) {
  const kvm_mp_state state{value};
  if (kvm_ioctl(vcpu.fd, KVM_SET_MP_STATE, &state) == 0) return success();
  // Without an in-kernel irqchip some kernels know no other state than this one, and no call to set it.
  if (value == KVM_MP_STATE_RUNNABLE && (errno == ENOTTY || errno == EINVAL)) return success();
  return Failure::from_errno("KVM_SET_MP_STATE",
                             "KVM refuses the multiprocessor state " + std::to_string(value) + " of a vCPU");
}

}  // namespace

Result<VcpuState> read_vcpu_state(const VcpuStateContext& vcpu, std::span<const std::uint32_t> msr_indices) {
  VcpuState state;
  kvm_mp_state mp_state{};
  Status status = get(vcpu.fd, KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &state.events);
  if (status && kvm_ioctl(vcpu.fd, KVM_GET_MP_STATE, &mp_state) == 0) state.mp_state = mp_state.mp_state;
  if (status) status = get(vcpu.fd, KVM_GET_REGS, "KVM_GET_REGS", &state.regs);
  if (status) status = read_xsave(vcpu, state.xsave);
  if (status) status = get(vcpu.fd, KVM_GET_XCRS, "KVM_GET_XCRS", &state.xcrs);
  if (status) status = get(vcpu.fd, KVM_GET_SREGS, "KVM_GET_SREGS", &state.sregs);
  if (status) status = read_msrs(vcpu.fd, msr_indices, state.msrs);
  if (status) status = get(vcpu.fd, KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS", &state.debugregs);
  if (!status) return std::move(status).failure();
  state.tsc_khz = static_cast<std::uint32_t>(std::max(0, kvm_ioctl(vcpu.fd, KVM_GET_TSC_KHZ)));
  return state;
}

Result<std::vector<std::uint32_t>> write_vcpu_state(const VcpuStateContext& vcpu, const VcpuState& state) {
  std::vector<std::uint32_t> refused;
  std::vector<Msr> early;
  std::vector<Msr> late;  // the deadline timer is armed against a TSC that must be right by then
  for (const Msr& msr : state.msrs) (msr.index == kMsrTscDeadline ? late : early).push_back(msr);

  Status status = set(vcpu.fd, KVM_SET_SREGS, "KVM_SET_SREGS", &state.sregs);
  if (status) status = write_tsc_khz(vcpu, state.tsc_khz);
  if (status) status = set(vcpu.fd, KVM_SET_REGS, "KVM_SET_REGS", &state.regs);
  if (status) status = write_xsave(vcpu, state.xsave);
  if (status) status = set(vcpu.fd, KVM_SET_XCRS, "KVM_SET_XCRS", &state.xcrs);
  if (status) status = write_msrs(vcpu.fd, early, refused);
  if (status) status = set(vcpu.fd, KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", &state.events);
  if (status) status = write_mp_state(vcpu, state.mp_state);
  if (status) status = write_msrs(vcpu.fd, late, refused);
  if (status) status = set(vcpu.fd, KVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS", &state.debugregs);
  if (!status) return std::move(status).failure();
  return refused;
}

}  // namespace godwit
