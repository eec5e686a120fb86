// SPDX-License-Identifier: Apache-2.0
// What a vCPU's thread does with the exits of KVM_RUN.
#include <sys/ioctl.h>

#include <chrono>
#include <cstdio>
#include <cstring>

#include "core/base/clock.h"
#include "core/kvm/exit_names.h"
#include "core/kvm/kvm_system.h"
#include "core/kvm/ports.h"
#include "core/kvm/serial_port.h"
#include "core/kvm/vcpu.h"

namespace godwit {

/// KVM_RUN once, and its exit served.
Vcpu::Next Vcpu::enter() {
  in_guest_.store(true);
  const int result = ::ioctl(fd_.get(), KVM_RUN, 0);
  const int code = errno;
  in_guest_.store(false);
  if (exit_wanted_.load()) acknowledge_exit();
  if (result == 0) return serve_exit();
  // EAGAIN: the vCPU waits to be initialized, which only happens with an in-kernel irqchip.
  if (code == EINTR || code == EAGAIN) return Next::kGoOn;
  return fail("KVM_RUN", std::string(std::strerror(code)) + ", exit " + exit_name(run_->exit_reason));
}

void Vcpu::acknowledge_exit() {
  std::lock_guard lock(mutex_);
  exit_wanted_.store(false);
  set_immediate_exit(!want_run_);
  parked_.notify_all();
}

Vcpu::Next Vcpu::serve_exit() {
  switch (run_->exit_reason) {
    case KVM_EXIT_IO:
      return serve_io();
    case KVM_EXIT_MMIO:
      // Nothing is there: reads see ones, writes are lost.
      if (!run_->mmio.is_write) std::memset(run_->mmio.data, 0xff, sizeof run_->mmio.data);
      return Next::kGoOn;
    case KVM_EXIT_HLT:
      halted_ = true;
      return Next::kIdle;
    case KVM_EXIT_DIRTY_RING_FULL:
      return serve_full_ring();
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
      return Next::kGoOn;
    case KVM_EXIT_SHUTDOWN:
      return fail(exit_name(KVM_EXIT_SHUTDOWN), "triple fault");
    case KVM_EXIT_INTERNAL_ERROR:
      return fail(exit_name(KVM_EXIT_INTERNAL_ERROR), "suberror " + std::to_string(run_->internal.suberror));
    case KVM_EXIT_FAIL_ENTRY: {
      char reason[64];
      std::snprintf(reason, sizeof reason, "hardware entry failure reason %#llx",
                    static_cast<unsigned long long>(run_->fail_entry.hardware_entry_failure_reason));
      return fail(exit_name(KVM_EXIT_FAIL_ENTRY), reason);
    }
    case KVM_EXIT_SYSTEM_EVENT:
      return fail(exit_name(KVM_EXIT_SYSTEM_EVENT), "event " + std::to_string(run_->system_event.type));
    default:
      return fail(exit_name(run_->exit_reason), "this machine does not handle it");
  }
}

Vcpu::Next Vcpu::serve_io() {
  const auto& io = run_->io;
  std::uint8_t* data = reinterpret_cast<std::uint8_t*>(run_) + io.data_offset;
  for (std::uint32_t n = 0; n < io.count; ++n, data += io.size) {
    if (io.direction == KVM_EXIT_IO_OUT) {
      write_port(io.port, data, io.size);
    } else {
      read_port(io.port, data, io.size);
    }
  }
  return Next::kGoOn;
}

Vcpu::Next Vcpu::serve_full_ring() {
  const Status room = config_.on_ring_full();
  return room ? Next::kGoOn : fail(exit_name(KVM_EXIT_DIRTY_RING_FULL), room.failure().message);
}

void Vcpu::write_port(std::uint16_t port, const std::uint8_t* data, unsigned size) {
  if (port == kPacePort && size == 4) {
    std::uint32_t low;
    std::memcpy(&low, data, sizeof low);
    pace(low);
    return;
  }
  for (unsigned n = 0; n < size; ++n) {
    const unsigned byte_port = port + n;
    if (byte_port >= kSerialPort && byte_port < kSerialPortEnd) config_.serial->write(byte_port - kSerialPort, data[n]);
  }
}

void Vcpu::read_port(std::uint16_t port, std::uint8_t* data, unsigned size) {
  for (unsigned n = 0; n < size; ++n) {
    const unsigned byte_port = port + n;
    const bool serial = byte_port >= kSerialPort && byte_port < kSerialPortEnd;
    data[n] = serial ? config_.serial->read(byte_port - kSerialPort) : 0xff;
  }
}

void Vcpu::pace(std::uint32_t low) {
  const std::uint64_t now = monotonic_ns();
  std::optional<std::uint64_t> generation;
  if (pacer_.needs_generation()) {
    kvm_regs regs{};
    // Cannot fail for a vCPU of ours; the low half alone would still be a generation.
    generation = kvm_ioctl(fd_.get(), KVM_GET_REGS, &regs) == 0 ? regs.rbx : low;
  }
  const std::uint64_t due = pacer_.heartbeat(low, generation, now);
  if (due <= now) return;
  const std::chrono::steady_clock::time_point until{std::chrono::nanoseconds(due)};
  std::unique_lock lock(mutex_);
  wake_.wait_until(lock, until, [this] { return !want_run_; });
}

void Vcpu::idle() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return !want_run_; });
}

/// KVM completes an I/O instruction in the KVM_RUN after its exit. With immediate_exit set that is all it does, so
/// that the registers read afterwards are those behind the instruction.
void Vcpu::finish_io() {
  // A string instruction may need one more exit for each of its elements.
  while (::ioctl(fd_.get(), KVM_RUN, 0) == 0) {
    if (run_->exit_reason == KVM_EXIT_IO) {
      serve_io();
    } else if (run_->exit_reason == KVM_EXIT_MMIO) {
      serve_exit();
    } else {
      return;
    }
  }
}

Vcpu::Next Vcpu::fail(std::string reason, std::string detail) {
  crash_ = {config_.index, std::move(reason), std::move(detail) + instruction_pointer()};
  return Next::kCrash;
}

std::string Vcpu::instruction_pointer() const {
  kvm_regs regs{};
  if (kvm_ioctl(fd_.get(), KVM_GET_REGS, &regs) != 0) return {};
  char text[32];
  std::snprintf(text, sizeof text, ", rip %#llx", static_cast<unsigned long long>(regs.rip));
  return text;
}

}  // namespace godwit
