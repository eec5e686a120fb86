// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/vm.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/kvm/dirty_log.h"
#include "core/kvm/kvm_abi.h"

namespace godwit {
namespace {

Failure closed() { return Failure{EBADF, {}, "the machine is closed"}; }

Status check_options(const VmOptions& options) {
  if (options.memory == nullptr) return Failure::invalid("a machine needs open guest memory");
  if (options.vcpus < 1 || options.vcpus > kMaxVcpus) {
    return Failure::invalid("a machine has 1 to 16 vCPUs: got " + std::to_string(options.vcpus));
  }
  return success();
}

/// Returns when each of these that was in the guest has left it.
void leave_guest(const std::vector<std::weak_ptr<Vcpu>>& vcpus) {
  std::vector<std::shared_ptr<Vcpu>> asked;
  for (const std::weak_ptr<Vcpu>& vcpu : vcpus) {
    if (std::shared_ptr<Vcpu> alive = vcpu.lock()) asked.push_back(std::move(alive));
  }
  for (const auto& vcpu : asked) vcpu->request_exit();
  for (const auto& vcpu : asked) vcpu->wait_exited();
}

}  // namespace

Result<std::shared_ptr<Vm>> Vm::create(VmOptions options) {
  if (Status status = check_options(options); !status) return status.failure();
  Result<KvmSystem> system = KvmSystem::open();
  if (!system) return std::move(system).failure();
  if (system->capability(KVM_CAP_IMMEDIATE_EXIT) == 0) {
    return Failure{ENOSYS, {}, "this kernel's KVM cannot stop a vCPU exactly (KVM_CAP_IMMEDIATE_EXIT): use Linux 4.12"};
  }
  Result<std::shared_ptr<VmHandle>> handle = VmHandle::create(*system, options.memory, options.slots);
  if (!handle) return std::move(handle).failure();
  std::shared_ptr<DirtyRing> ring;
  if (options.dirty_ring_size != 0) {
    Result<std::shared_ptr<DirtyRing>> created = DirtyRing::create(*handle, options.dirty_ring_size);
    if (!created) return std::move(created).failure();
    ring = *std::move(created);
  }
  std::shared_ptr<Vm> vm(new Vm(*handle, std::move(ring), options));
  if (Status status = vm->create_vcpus(*system, options); !status) return status.failure();
  if (Status status = vm->add_rings(); !status) return status.failure();
  return vm;
}

Vm::Vm(std::shared_ptr<VmHandle> handle, std::shared_ptr<DirtyRing> ring, VmOptions& options)
    : handle_(handle),
      ring_(ring),
      tracker_(ring != nullptr ? std::shared_ptr<DirtyTracker>(ring) : std::make_shared<DirtyLog>(handle)),
      on_crash_(std::move(options.on_crash)),
      serial_output_(std::move(options.serial)),
      serial_(serial_output_),
      control_(std::make_unique<Worker>("vm-control")) {}

Vm::~Vm() {
  close();
  control_.reset();  // runs what is queued: completions of a machine that is closed
}

Status Vm::create_vcpus(const KvmSystem& system, const VmOptions& options) {
  Result<std::size_t> mmap_size = system.vcpu_mmap_size();
  if (!mmap_size) return std::move(mmap_size).failure();
  VcpuConfig config;
  config.vm_fd = handle_->fd();
  config.mmap_size = *mmap_size;
  config.xsave_size = std::max<std::size_t>(kLegacyXsaveSize, handle_->capability(KVM_CAP_XSAVE2));
  config.tsc_control = handle_->capability(KVM_CAP_TSC_CONTROL) != 0;
  config.pace_interval_ns = options.pace_interval_ns;
  config.serial = &serial_;
  config.on_crash = [this](const VcpuCrash& crash) { control_->post([this, crash] { handle_crash(crash); }); };
  for (config.index = 0; config.index < options.vcpus; ++config.index) {
    if (ring_ != nullptr) config.on_ring_full = [ring = ring_, index = config.index] { return ring->make_room(index); };
    Result<std::unique_ptr<Vcpu>> vcpu = Vcpu::create(config, options.cpuid);
    if (!vcpu) return std::move(vcpu).failure();
    vcpus_.push_back(*std::move(vcpu));
  }
  return success();
}

Status Vm::add_rings() {
  if (ring_ == nullptr) return success();
  for (const auto& vcpu : vcpus_) {
    if (Status status = ring_->add_vcpu(vcpu->fd()); !status) return status;
  }
  // The tracker may outlive the machine.
  ring_->set_leave_guest([vcpus = std::vector<std::weak_ptr<Vcpu>>(vcpus_.begin(), vcpus_.end())] {
    leave_guest(vcpus);
  });
  return success();
}

// ---- start and stop ----

Status Vm::start() {
  std::lock_guard lock(mutex_);
  if (close_begun_) return closed();
  switch (state_) {
    case State::kClosed:
      return closed();
    case State::kStopping:
      return Failure{EBUSY, {}, "the machine is being stopped: start it when that is done"};
    case State::kRunning:
      return success();
    case State::kStopped:
      break;
  }
  for (const auto& vcpu : vcpus_) {
    if (vcpu->crashed()) return Failure{EIO, {}, "a vCPU has crashed: the machine needs a new state before it can run"};
  }
  crash_reported_ = false;
  state_ = State::kRunning;
  for (const auto& vcpu : vcpus_) vcpu->start();
  return success();
}

void Vm::begin_stop() {
  std::lock_guard lock(mutex_);
  if (state_ != State::kRunning) return;
  state_ = State::kStopping;
  for (const auto& vcpu : vcpus_) vcpu->request_stop();
}

void Vm::finish_stop() {
  for (const auto& vcpu : vcpus_) vcpu->wait_parked();
  std::lock_guard lock(mutex_);
  if (state_ == State::kStopping) state_ = State::kStopped;
}

void Vm::stop(Completion<double> done) {
  const std::uint64_t begin = monotonic_ns();
  begin_stop();
  control_->post([this, begin, done = std::move(done)] {
    finish_stop();
    done(static_cast<double>(monotonic_ns() - begin) / 1e6);
  });
}

void Vm::handle_crash(const VcpuCrash& crash) {
  begin_stop();
  finish_stop();
  {
    std::lock_guard lock(mutex_);
    // Several vCPUs may crash together: the first one tells.
    if (state_ == State::kClosed || std::exchange(crash_reported_, true)) return;
  }
  if (on_crash_) on_crash_(crash);
}

void Vm::close() {
  {
    std::unique_lock lock(mutex_);
    if (close_begun_) {
      changed_.wait(lock, [this] { return state_ == State::kClosed; });
      return;
    }
    close_begun_ = true;
  }
  begin_stop();
  for (const auto& vcpu : vcpus_) vcpu->close();
  serial_output_.close();
  std::lock_guard lock(mutex_);
  state_ = State::kClosed;
  changed_.notify_all();
}

void Vm::close_async(Completion<Unit> done) {
  begin_stop();
  control_->post([this, done = std::move(done)] {
    close();
    done(Unit{});
  });
}

// ---- state ----

Status Vm::check_parked(unsigned vcpu) const {
  if (vcpu >= vcpus_.size()) {
    return Failure::invalid("there is no vCPU " + std::to_string(vcpu) + ": the machine has " +
                            std::to_string(vcpus_.size()));
  }
  std::lock_guard lock(mutex_);
  if (close_begun_) return closed();
  if (state_ != State::kStopped) return Failure{EBUSY, {}, "the machine runs: stop it to get or set a vCPU's state"};
  return success();
}

void Vm::get_state(unsigned vcpu, std::vector<std::uint32_t> msr_indices, Completion<VcpuState> done) {
  if (Status status = check_parked(vcpu); !status) return done(status.failure());
  Vcpu* const target = vcpus_[vcpu].get();
  target->post([target, indices = std::move(msr_indices), done = std::move(done)] {
    done(target->read_state(indices));
  });
}

void Vm::set_state(unsigned vcpu, VcpuState state, Completion<std::vector<std::uint32_t>> done) {
  if (Status status = check_parked(vcpu); !status) return done(status.failure());
  Vcpu* const target = vcpus_[vcpu].get();
  target->post([target, state = std::move(state), done = std::move(done)] { done(target->write_state(state)); });
}

// ---- at any time ----

std::vector<Heartbeats> Vm::heartbeats() const {
  std::vector<Heartbeats> answer;
  for (const auto& vcpu : vcpus_) answer.push_back(vcpu->heartbeats());
  return answer;
}

std::vector<pid_t> Vm::thread_ids() const {
  std::vector<pid_t> answer;
  for (const auto& vcpu : vcpus_) answer.push_back(vcpu->thread_id());
  return answer;
}

std::vector<RingCounts> Vm::ring_counts() const {
  return ring_ != nullptr ? ring_->counts() : std::vector<RingCounts>();
}

}  // namespace godwit
