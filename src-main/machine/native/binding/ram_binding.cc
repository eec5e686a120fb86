// SPDX-License-Identifier: Apache-2.0
#include "binding/ram_binding.h"

#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "binding/channel_binding.h"
#include "binding/memory_binding.h"
#include "binding/support.h"
#include "binding/vm_binding.h"
#include "core/base/worker.h"
#include "core/pages/ram_loader.h"
#include "core/pages/ram_saver.h"

namespace godwit::binding {
namespace {

using Clock = std::chrono::steady_clock;

constexpr napi_type_tag kLoaderTag = {0x41b7f08d2c6e4a93, 0xb8530e9fd17a46c4};
constexpr const char* kSaverForm =
    "blocks: { name: string, memory: GuestMemory, machine?: VirtualMachine }[], none of them closed";
constexpr const char* kLoaderForm =
    "blocks: { name: string, memory?: GuestMemory, usedBytes: number }[], none of them closed, "
    "and options?: { xbzrle?: boolean, compressed?: boolean, statistics?: boolean }";

/// A saver and the thread that it works on. Shared by its JavaScript object and the exit hook.
class SaverOnThread {
 public:
  explicit SaverOnThread(std::shared_ptr<RamSaver> saver)
      : saver_(std::move(saver)), worker_(std::make_unique<Worker>("ram-saver")) {}

  RamSaver& saver() { return *saver_; }

  template <typename T>
  void run(const Completion<T>& done, std::function<Result<T>(RamSaver&)> job) {
    std::lock_guard lock(mutex_);
    if (!worker_) return done(Failure::cancelled("the operation of a closed RamSaver"));
    worker_->post([saver = saver_, done, job = std::move(job)] { done(job(*saver)); });
  }

  /// Ends what is under way and joins the thread.
  void close() {
    saver_->cancel();
    std::unique_ptr<Worker> worker;
    std::lock_guard lock(mutex_);
    worker = std::move(worker_);
  }

 private:
  const std::shared_ptr<RamSaver> saver_;
  std::mutex mutex_;
  std::unique_ptr<Worker> worker_;
};

std::optional<RamSaverBlock> to_saver_block(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const Napi::Object object = value.As<Napi::Object>();
  RamSaverBlock block;
  if (!to_text(object.Get("name"), block.name)) return std::nullopt;
  block.memory = memory_of(object.Get("memory"));
  if (!block.memory) return std::nullopt;
  const Napi::Value machine = object.Get("machine");
  if (machine.IsUndefined()) return block;
  block.tracker = tracker_of(machine);
  return block.tracker ? std::optional(std::move(block)) : std::nullopt;
}

std::optional<RamLoaderBlock> to_loader_block(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const Napi::Object object = value.As<Napi::Object>();
  RamLoaderBlock block;
  if (!to_text(object.Get("name"), block.name)) return std::nullopt;
  const Napi::Value memory = object.Get("memory");
  block.memory = memory_of(memory);
  if (!block.memory && !memory.IsUndefined()) return std::nullopt;
  if (!to_size(object.Get("usedBytes"), block.used_bytes)) return std::nullopt;
  return block;
}

std::optional<RamLoaderOptions> to_loader_options(const Napi::Value& value) {
  RamLoaderOptions options;
  if (value.IsUndefined()) return options;
  if (!value.IsObject()) return std::nullopt;
  const Napi::Object object = value.As<Napi::Object>();
  if (!optional_property(object, "xbzrle", options.xbzrle, to_flag) ||
      !optional_property(object, "compressed", options.compressed, to_flag) ||
      !optional_property(object, "statistics", options.statistics, to_flag)) {
    return std::nullopt;
  }
  return options;
}

template <typename Block>
std::optional<std::vector<Block>> to_blocks(const Napi::Value& value,
                                            std::optional<Block> (*convert)(const Napi::Value&)) {
  if (!value.IsArray()) return std::nullopt;
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<Block> blocks;
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    std::optional<Block> block = convert(array.Get(index));
    if (!block) return std::nullopt;
    blocks.push_back(*std::move(block));
  }
  return blocks;
}

/// The time counts from now on, also while the saver's thread is still busy with an earlier call.
std::optional<RamSendBudget> to_budget(const Napi::Value& value) {
  constexpr double kForeverMs = 1e9;  // twelve days: no send takes as long
  if (!value.IsObject()) return std::nullopt;
  const Napi::Object object = value.As<Napi::Object>();
  RamSendBudget budget;
  if (!to_limit(object.Get("bytes"), budget.bytes)) return std::nullopt;
  const Napi::Value milliseconds = object.Get("milliseconds");
  if (!milliseconds.IsNumber()) return std::nullopt;
  const double limit = milliseconds.As<Napi::Number>().DoubleValue();
  if (!(limit >= 0)) return std::nullopt;
  if (limit < kForeverMs) {
    budget.deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(limit));
  }
  return budget;
}

Napi::Value send_result_to_js(Napi::Env env, RamSendResult& result) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", to_js(env, result.bytes));
  object.Set("normalPages", to_js(env, result.normal_pages));
  object.Set("zeroPages", to_js(env, result.zero_pages));
  object.Set("passDone", Napi::Boolean::New(env, result.pass_done));
  return object;
}

class SaverBinding : public Napi::ObjectWrap<SaverBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "RamSaver",
                       {
                           InstanceMethod<&SaverBinding::start>("start"),
                           InstanceMethod<&SaverBinding::sync>("sync"),
                           InstanceMethod<&SaverBinding::send>("send"),
                           InstanceMethod<&SaverBinding::cancel>("cancel"),
                           InstanceMethod<&SaverBinding::stop>("stop"),
                           InstanceMethod<&SaverBinding::close>("close"),
                           InstanceAccessor<&SaverBinding::dirty_pages>("dirtyPages"),
                       });
  }

  explicit SaverBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SaverBinding>(info) {
    std::optional<std::vector<RamSaverBlock>> blocks = to_blocks<RamSaverBlock>(info[0], to_saver_block);
    if (!blocks) {
      throw_form(info.Env(), kSaverForm);
      return;
    }
    Result<std::shared_ptr<RamSaver>> saver = RamSaver::create(*std::move(blocks));
    if (!saver) {
      throw_failure(info.Env(), saver.failure());
      return;
    }
    saver_ = std::make_shared<SaverOnThread>(*std::move(saver));
    hook_ = Bridge::of(info.Env())->at_exit([held = saver_] { held->close(); });
  }

  ~SaverBinding() override {
    if (saver_) saver_->close();
  }

 private:
  Napi::Value start(const Napi::CallbackInfo& info) {
    const Async<> async = begin_async(info.Env(), info.This());
    saver_->run<Unit>(async.completion, [](RamSaver& saver) { return saver.start(); });
    return async.promise;
  }

  Napi::Value sync(const Napi::CallbackInfo& info) {
    const Async<std::uint64_t> async = begin_async<std::uint64_t>(
        info.Env(), info.This(), [](Napi::Env env, std::uint64_t& newly_dirty) -> Napi::Value {
          const Napi::Object object = Napi::Object::New(env);
          object.Set("newlyDirtyPages", to_js(env, newly_dirty));
          return object;
        });
    saver_->run<std::uint64_t>(async.completion, [](RamSaver& saver) { return saver.sync(); });
    return async.promise;
  }

  Napi::Value send(const Napi::CallbackInfo& info) {
    const std::shared_ptr<Channel> channel = channel_of(info[0]);
    const std::optional<RamSendBudget> budget = to_budget(info[1]);
    if (!channel || !budget) {
      return throw_form(info.Env(), "send(channel: Channel, budget: { bytes: number, milliseconds: number })");
    }
    const Napi::Array held = Napi::Array::New(info.Env(), 2);  // both live until the send is over
    held.Set(0u, info.This());
    held.Set(1u, info[0]);
    const Async<RamSendResult> async = begin_async<RamSendResult>(info.Env(), held, send_result_to_js);
    saver_->run<RamSendResult>(async.completion,
                               [channel, budget = *budget, epoch = saver_->saver().epoch()](RamSaver& saver) {
                                 return saver.send(*channel, budget, epoch);
                               });
    return async.promise;
  }

  void cancel(const Napi::CallbackInfo&) { saver_->saver().cancel(); }

  Napi::Value stop(const Napi::CallbackInfo& info) {
    const Async<> async = begin_async(info.Env(), info.This());
    saver_->run<Unit>(async.completion, [](RamSaver& saver) { return saver.stop(); });
    return async.promise;
  }

  void close(const Napi::CallbackInfo&) {
    saver_->close();
    hook_.reset();
  }

  Napi::Value dirty_pages(const Napi::CallbackInfo& info) {
    return to_js(info.Env(), saver_->saver().dirty_pages());
  }

  std::shared_ptr<SaverOnThread> saver_;
  ExitHook hook_;
};

Napi::Value statistics_to_js(Napi::Env env, const RamLoader& loader) {
  constexpr const char* kForms[kRamPageForms] = {"normal", "zero", "xbzrle", "compressed"};
  const RamStatistics& statistics = *loader.statistics();
  const Napi::Array blocks = Napi::Array::New(env, loader.blocks().size());
  for (std::size_t index = 0; index < loader.blocks().size(); ++index) {
    const RamStatistics::Block counted = statistics.block(index);
    const Napi::Object block = Napi::Object::New(env);
    block.Set("name", loader.blocks()[index].name);
    for (std::size_t form = 0; form < kRamPageForms; ++form) block.Set(kForms[form], to_js(env, counted.records[form]));
    block.Set("pages", to_js(env, counted.pages));
    blocks.Set(static_cast<std::uint32_t>(index), block);
  }
  const Napi::Object object = Napi::Object::New(env);
  object.Set("rounds", to_js(env, statistics.rounds()));
  object.Set("blocks", blocks);
  return object;
}

class LoaderBinding : public Napi::ObjectWrap<LoaderBinding> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "RamLoader",
                       {
                           InstanceMethod<&LoaderBinding::statistics>("statistics"),
                           InstanceMethod<&LoaderBinding::close>("close"),
                           InstanceAccessor<&LoaderBinding::normal_pages>("normalPages"),
                           InstanceAccessor<&LoaderBinding::zero_pages>("zeroPages"),
                       });
  }

  explicit LoaderBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LoaderBinding>(info) {
    std::optional<std::vector<RamLoaderBlock>> blocks = to_blocks<RamLoaderBlock>(info[0], to_loader_block);
    const std::optional<RamLoaderOptions> options = to_loader_options(info[1]);
    if (!blocks || !options) {
      throw_form(info.Env(), kLoaderForm);
      return;
    }
    Result<std::shared_ptr<RamLoader>> loader = RamLoader::create(*std::move(blocks), *options);
    if (!loader) {
      throw_failure(info.Env(), loader.failure());
      return;
    }
    loader_ = *std::move(loader);
    info.This().As<Napi::Object>().TypeTag(&kLoaderTag);
  }

  const std::shared_ptr<RamLoader>& core() const { return loader_; }

 private:
  Napi::Value statistics(const Napi::CallbackInfo& info) {
    if (!loader_ || loader_->statistics() == nullptr) {
      return throw_form(info.Env(), "a RamLoader with the option statistics that is not closed");
    }
    return statistics_to_js(info.Env(), *loader_);
  }

  /// A loadRam() under way keeps the core object; the counters stay readable.
  void close(const Napi::CallbackInfo&) {
    if (!loader_) return;
    normal_pages_ = loader_->normal_pages();
    zero_pages_ = loader_->zero_pages();
    loader_.reset();
  }

  Napi::Value normal_pages(const Napi::CallbackInfo& info) {
    return to_js(info.Env(), loader_ ? loader_->normal_pages() : normal_pages_);
  }
  Napi::Value zero_pages(const Napi::CallbackInfo& info) {
    return to_js(info.Env(), loader_ ? loader_->zero_pages() : zero_pages_);
  }

  std::shared_ptr<RamLoader> loader_;
  std::uint64_t normal_pages_ = 0;
  std::uint64_t zero_pages_ = 0;
};

}  // namespace

std::shared_ptr<RamLoader> loader_of(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kLoaderTag)) return nullptr;
  return LoaderBinding::Unwrap(value.As<Napi::Object>())->core();
}

void init_ram(Napi::Env env, Napi::Object exports) {
  exports.Set("RamSaver", SaverBinding::define(env));
  exports.Set("RamLoader", LoaderBinding::define(env));
}

}  // namespace godwit::binding
