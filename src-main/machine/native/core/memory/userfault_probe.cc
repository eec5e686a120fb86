// SPDX-License-Identifier: Apache-2.0
#include "core/memory/userfault_probe.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/unique_fd.h"

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)  // Linux 6.1, linux/userfaultfd.h
#endif

namespace godwit {
namespace {

UniqueFd open_through_device() {
  const UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  return UniqueFd(device ? ::ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK) : -1);
}

UniqueFd open_through_syscall() {
  return UniqueFd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
}

}  // namespace

Result<UserfaultSupport> probe_userfault() {
  UserfaultSupport support;
  UniqueFd fd = open_through_device();
  support.through_device = static_cast<bool>(fd);
  if (!fd) fd = open_through_syscall();
  if (!fd) {
    const int code = errno;
    const char* remedy = "; this kernel is built without it";
    if (code == EPERM) remedy = "; give your user access to /dev/userfaultfd or set vm.unprivileged_userfaultfd=1";
    return Failure{code, "userfaultfd", std::string("userfaultfd cannot be used: ") + std::strerror(code) + remedy};
  }
  uffdio_api api{};
  api.api = UFFD_API;  // no feature asked for: the kernel answers all that it has
  if (::ioctl(fd.get(), UFFDIO_API, &api) != 0) return Failure::from_errno("UFFDIO_API", "userfaultfd cannot be used");
  support.features = api.features;
  return support;
}

}  // namespace godwit
