// SPDX-License-Identifier: Apache-2.0
// /dev/kvm: what this box's KVM can do, before any machine exists.
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace godwit {

/// ioctl(2) that is repeated while a signal interrupts it.
int kvm_ioctl(int fd, unsigned long request, unsigned long argument = 0);
inline int kvm_ioctl(int fd, unsigned long request, const void* argument) {
  return kvm_ioctl(fd, request, reinterpret_cast<unsigned long>(argument));
}

class KvmSystem {
 public:
  /// Opens /dev/kvm and checks that it is API version 12. The failure says what to do about it.
  static Result<KvmSystem> open();

  int fd() const { return fd_.get(); }
  int api_version() const { return api_version_; }
  /// KVM_CHECK_EXTENSION: 0 when absent, else what the capability means by its value.
  int capability(int number) const;
  /// Every capability that Godwit uses or reports, by the kernel's name without KVM_CAP_.
  std::vector<std::pair<std::string, int>> capabilities() const;
  /// KVM_GET_SUPPORTED_CPUID.
  Result<std::vector<kvm_cpuid_entry2>> supported_cpuid() const;
  /// KVM_GET_MSR_INDEX_LIST.
  Result<std::vector<std::uint32_t>> supported_msrs() const;
  /// KVM_GET_VCPU_MMAP_SIZE.
  Result<std::size_t> vcpu_mmap_size() const;

 private:
  KvmSystem(UniqueFd fd, int api_version) : fd_(std::move(fd)), api_version_(api_version) {}

  UniqueFd fd_;
  int api_version_;
};

}  // namespace godwit
