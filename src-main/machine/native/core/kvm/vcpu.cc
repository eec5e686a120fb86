// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/vcpu.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "core/base/clock.h"
#include "core/kvm/cpuid.h"
#include "core/kvm/exit_names.h"
#include "core/kvm/kick.h"
#include "core/kvm/kvm_system.h"
#include "core/kvm/ports.h"
#include "core/kvm/serial_port.h"

namespace godwit {

Result<std::unique_ptr<Vcpu>> Vcpu::create(VcpuConfig config, const std::vector<kvm_cpuid_entry2>& cpuid) {
  const std::string what = "cannot create vCPU " + std::to_string(config.index);
  UniqueFd fd(kvm_ioctl(config.vm_fd, KVM_CREATE_VCPU, config.index));
  if (!fd) return Failure::from_errno("KVM_CREATE_VCPU", what);
  if (Status status = set_cpuid(fd.get(), with_apic_id(cpuid, config.index)); !status) return status.failure();
  void* const address = ::mmap(nullptr, config.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return Failure::from_errno("mmap", what);
  Mapping run(address, config.mmap_size);
  install_kick_handler();
  return std::unique_ptr<Vcpu>(new Vcpu(std::move(config), std::move(fd), std::move(run)));
}

Vcpu::Vcpu(VcpuConfig config, UniqueFd fd, Mapping run)
    : config_(std::move(config)),
      fd_(std::move(fd)),
      run_mapping_(std::move(run)),
      run_(reinterpret_cast<kvm_run*>(run_mapping_.data())),
      pacer_(config_.pace_interval_ns) {
  thread_ = std::thread([this] { thread_main(); });
  std::unique_lock lock(mutex_);
  parked_.wait(lock, [this] { return thread_id_ != 0; });
}

// ---- called from other threads ----

void Vcpu::start() {
  std::lock_guard lock(mutex_);
  if (running_ || crashed_ || closing_) return;
  set_immediate_exit(false);
  want_run_ = true;
  running_ = true;
  wake_.notify_all();
}

void Vcpu::request_stop() {
  std::lock_guard lock(mutex_);
  if (!want_run_) return;
  want_run_ = false;
  // In this order: a thread that is about to enter the guest either sees the flag or gets the signal inside KVM_RUN.
  set_immediate_exit(true);
  kick(thread_.native_handle());
  wake_.notify_all();
}

void Vcpu::post(Job job) {
  {
    std::lock_guard lock(mutex_);
    if (!closing_) {
      jobs_.push_back(std::move(job));
      wake_.notify_all();
      return;
    }
  }
  job = nullptr;  // too late: what the job holds is released outside the lock
}

void Vcpu::wait_parked() {
  std::unique_lock lock(mutex_);
  parked_.wait(lock, [this] { return !running_; });
}

void Vcpu::close() {
  request_stop();
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool Vcpu::crashed() const {
  std::lock_guard lock(mutex_);
  return crashed_;
}

pid_t Vcpu::thread_id() const {
  std::lock_guard lock(mutex_);
  return thread_id_;
}

bool Vcpu::stop_requested() const {
  std::lock_guard lock(mutex_);
  return !want_run_;
}

void Vcpu::set_immediate_exit(bool value) {
  // The kernel and two threads read and write this byte.
  __atomic_store_n(&run_->immediate_exit, value ? 1 : 0, __ATOMIC_SEQ_CST);
}

// ---- the vCPU's thread ----

void Vcpu::thread_main() {
  ::pthread_setname_np(::pthread_self(), ("vcpu" + std::to_string(config_.index)).c_str());
  accept_kicks();
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // the default of 50 µs would slow down a paced guest
  std::unique_lock lock(mutex_);
  thread_id_ = ::gettid();
  parked_.notify_all();
  for (;;) {
    wake_.wait(lock, [this] { return running_ || closing_ || !jobs_.empty(); });
    if (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    } else if (running_) {
      lock.unlock();
      run_until_stopped();
      lock.lock();
      running_ = false;
      parked_.notify_all();
    } else {
      return;
    }
  }
}

void Vcpu::run_until_stopped() {
  pacer_.restart();
  Next next = halted_ ? Next::kIdle : Next::kGoOn;
  while (next != Next::kCrash && !stop_requested()) {
    if (next == Next::kIdle) {
      idle();
    } else {
      next = enter();
    }
  }
  if (next != Next::kCrash) {
    finish_io();
    return;
  }
  {
    std::lock_guard lock(mutex_);
    crashed_ = true;
    want_run_ = false;
  }
  config_.on_crash(crash_);
}

/// KVM_RUN once, and its exit served.
Vcpu::Next Vcpu::enter() {
  if (::ioctl(fd_.get(), KVM_RUN, 0) == 0) return serve_exit();
  // EAGAIN: the vCPU waits to be initialized, which only happens with an in-kernel irqchip.
  if (errno == EINTR || errno == EAGAIN) return Next::kGoOn;
  const int code = errno;
  return fail("KVM_RUN", std::string(std::strerror(code)) + ", exit " + exit_name(run_->exit_reason));
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

// ---- state ----

Result<VcpuState> Vcpu::read_state(std::span<const std::uint32_t> msr_indices) const {
  Result<VcpuState> state = read_vcpu_state({fd_.get(), config_.xsave_size, config_.tsc_control}, msr_indices);
  // KVM knows no halted vCPU without an in-kernel irqchip: this one is kept here.
  if (state && halted_) state->mp_state = KVM_MP_STATE_HALTED;
  return state;
}

Result<std::vector<std::uint32_t>> Vcpu::write_state(const VcpuState& state) {
  VcpuState ours = state;
  const bool halted = state.mp_state == KVM_MP_STATE_HALTED;
  if (halted) ours.mp_state = KVM_MP_STATE_RUNNABLE;
  Result<std::vector<std::uint32_t>> refused =
      write_vcpu_state({fd_.get(), config_.xsave_size, config_.tsc_control}, ours);
  if (!refused) return refused;
  halted_ = halted;
  std::lock_guard lock(mutex_);
  crashed_ = false;
  return refused;
}

}  // namespace godwit
