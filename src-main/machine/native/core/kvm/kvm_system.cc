// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/kvm_system.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "core/kvm/kvm_abi.h"

namespace godwit {
namespace {

struct NamedCapability {
  const char* name;
  int number;
};

constexpr NamedCapability kCapabilities[] = {
    {"USER_MEMORY", KVM_CAP_USER_MEMORY},
    {"NR_VCPUS", KVM_CAP_NR_VCPUS},
    {"MAX_VCPUS", KVM_CAP_MAX_VCPUS},
    {"NR_MEMSLOTS", KVM_CAP_NR_MEMSLOTS},
    {"IRQCHIP", KVM_CAP_IRQCHIP},
    {"SPLIT_IRQCHIP", KVM_CAP_SPLIT_IRQCHIP},
    {"IOEVENTFD", KVM_CAP_IOEVENTFD},
    {"IRQFD", KVM_CAP_IRQFD},
    {"SYNC_MMU", KVM_CAP_SYNC_MMU},
    {"READONLY_MEM", KVM_CAP_READONLY_MEM},
    {"MANUAL_DIRTY_LOG_PROTECT2", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2},
    {"DIRTY_LOG_RING", KVM_CAP_DIRTY_LOG_RING},
    {"DIRTY_LOG_RING_ACQ_REL", KVM_CAP_DIRTY_LOG_RING_ACQ_REL},
    {"IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT},
    {"SYNC_REGS", KVM_CAP_SYNC_REGS},
    {"XSAVE", KVM_CAP_XSAVE},
    {"XSAVE2", KVM_CAP_XSAVE2},
    {"XCRS", KVM_CAP_XCRS},
    {"DEBUGREGS", KVM_CAP_DEBUGREGS},
    {"VCPU_EVENTS", KVM_CAP_VCPU_EVENTS},
    {"MP_STATE", KVM_CAP_MP_STATE},
    {"ADJUST_CLOCK", KVM_CAP_ADJUST_CLOCK},
    {"GET_TSC_KHZ", KVM_CAP_GET_TSC_KHZ},
    {"TSC_CONTROL", KVM_CAP_TSC_CONTROL},
    {"EXT_CPUID", KVM_CAP_EXT_CPUID},
    {"SET_TSS_ADDR", KVM_CAP_SET_TSS_ADDR},
};

std::string how_to_get_kvm(int code) {
  switch (code) {
    case EACCES:
    case EPERM:
      return "add your user to group kvm and log in again";
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return "load the module kvm_intel or kvm_amd, and enable virtualization in the firmware set-up";
    default:
      return "see `dmesg | grep kvm`";
  }
}

}  // namespace

int kvm_ioctl(int fd, unsigned long request, unsigned long argument) {
  int result;
  do {
    result = ::ioctl(fd, request, argument);
  } while (result < 0 && errno == EINTR);
  return result;
}

Result<KvmSystem> KvmSystem::open() {
  UniqueFd fd(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!fd) {
    const int code = errno;
    return Failure{code, "open",
                   std::string("/dev/kvm cannot be opened: ") + std::strerror(code) + "; " + how_to_get_kvm(code)};
  }
  const int version = kvm_ioctl(fd.get(), KVM_GET_API_VERSION);
  if (version < 0) return Failure::from_errno("KVM_GET_API_VERSION", "/dev/kvm does not answer");
  if (version != KVM_API_VERSION) {
    return Failure{ENOSYS, "KVM_GET_API_VERSION",
                   "/dev/kvm speaks API version " + std::to_string(version) + ", version 12 is needed"};
  }
  return KvmSystem(std::move(fd), version);
}

int KvmSystem::capability(int number) const {
  return std::max(0, kvm_ioctl(fd_.get(), KVM_CHECK_EXTENSION, static_cast<unsigned long>(number)));
}

std::vector<std::pair<std::string, int>> KvmSystem::capabilities() const {
  std::vector<std::pair<std::string, int>> answer;
  for (const auto& [name, number] : kCapabilities) answer.emplace_back(name, capability(number));
  return answer;
}

Result<std::vector<kvm_cpuid_entry2>> KvmSystem::supported_cpuid() const {
  // The kernel answers E2BIG until there is room for all; it has no call that tells the number.
  for (std::uint32_t room = 128; room <= 4096; room *= 2) {
    std::vector<std::uint32_t> list((sizeof(CpuidHead) + room * sizeof(kvm_cpuid_entry2)) / sizeof(std::uint32_t));
    list[0] = room;
    if (kvm_ioctl(fd_.get(), kKvmGetSupportedCpuid, list.data()) == 0) {
      std::vector<kvm_cpuid_entry2> entries(std::min(list[0], room));
      std::memcpy(entries.data(), reinterpret_cast<const char*>(list.data()) + sizeof(CpuidHead),
                  entries.size() * sizeof(kvm_cpuid_entry2));
      return entries;
    }
    if (errno != E2BIG) break;
  }
  return Failure::from_errno("KVM_GET_SUPPORTED_CPUID", "cannot read the CPU features that KVM supports");
}

Result<std::vector<std::uint32_t>> KvmSystem::supported_msrs() const {
  std::uint32_t count = 0;
  // The first call answers E2BIG and the number.
  if (kvm_ioctl(fd_.get(), kKvmGetMsrIndexList, &count) == 0) return std::vector<std::uint32_t>{};
  if (errno != E2BIG) return Failure::from_errno("KVM_GET_MSR_INDEX_LIST", "cannot read the MSRs that KVM supports");
  std::vector<std::uint32_t> buffer(1 + count);
  buffer[0] = count;
  if (kvm_ioctl(fd_.get(), kKvmGetMsrIndexList, buffer.data()) != 0) {
    return Failure::from_errno("KVM_GET_MSR_INDEX_LIST", "cannot read the MSRs that KVM supports");
  }
  return std::vector<std::uint32_t>(buffer.begin() + 1, buffer.begin() + 1 + std::min(buffer[0], count));
}

Result<std::size_t> KvmSystem::vcpu_mmap_size() const {
  const int size = kvm_ioctl(fd_.get(), KVM_GET_VCPU_MMAP_SIZE);
  if (size < static_cast<int>(sizeof(kvm_run))) {
    return Failure::from_errno("KVM_GET_VCPU_MMAP_SIZE", "cannot map the state of a vCPU");
  }
  return static_cast<std::size_t>(size);
}

}  // namespace godwit
