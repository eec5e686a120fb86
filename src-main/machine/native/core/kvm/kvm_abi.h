// SPDX-License-Identifier: Apache-2.0
// The KVM structures that end in a flexible array, and their ioctl numbers. Several releases of <linux/kvm.h> declare
// them with an empty struct before the array, which has a size in C++: layouts and ioctl numbers come out wrong there.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>

namespace godwit {

/// kvm_cpuid2 without its entries, which follow at once.
struct CpuidHead {
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
};

/// kvm_msrs with room for a batch of entries; the kernel takes fewer than 256 in one call (MAX_IO_MSRS).
struct MsrBatch {
  static constexpr std::size_t kCapacity = 128;

  std::uint32_t count = 0;
  std::uint32_t padding = 0;
  kvm_msr_entry entries[kCapacity]{};
};
static_assert(sizeof(CpuidHead) == 8 && offsetof(MsrBatch, entries) == 8);

/// sizeof(kvm_xsave) without its flexible array: the XSAVE state of KVMs without KVM_CAP_XSAVE2.
inline constexpr std::size_t kLegacyXsaveSize = 4096;

inline constexpr unsigned long kKvmGetMsrIndexList = _IOWR(KVMIO, 0x02, std::uint32_t);
inline constexpr unsigned long kKvmGetSupportedCpuid = _IOWR(KVMIO, 0x05, CpuidHead);
inline constexpr unsigned long kKvmGetMsrs = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x88, 8);
inline constexpr unsigned long kKvmSetMsrs = _IOC(_IOC_WRITE, KVMIO, 0x89, 8);
inline constexpr unsigned long kKvmSetCpuid2 = _IOW(KVMIO, 0x90, CpuidHead);

inline constexpr unsigned long kKvmGetXsave = _IOC(_IOC_READ, KVMIO, 0xa4, kLegacyXsaveSize);
inline constexpr unsigned long kKvmSetXsave = _IOC(_IOC_WRITE, KVMIO, 0xa5, kLegacyXsaveSize);
inline constexpr unsigned long kKvmGetXsave2 = _IOC(_IOC_READ, KVMIO, 0xcf, kLegacyXsaveSize);

}  // namespace godwit
