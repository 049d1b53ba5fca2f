// A stand-in for libcuda.so.1 and libnccl.so.2 in one library: their C ABI on the CPU's memory, for ranks that are threads of one process.
// It is as strict as the real ones where a caller can be wrong (contexts, streams, by-value ids, configurations, enum values) and stricter
// about order: an exchange must come right after a wait of its stream for an event of the compute stream. Streams are threads, so that work
// on them runs beside the caller.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <immintrin.h>
#include <map>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace {

enum { OK = 0, InvalidValue = 1, InvalidContext = 201, NotReady = 600 };                         // CUresult
enum { Success = 0, UnhandledCuda = 1, InvalidArgument = 4, InvalidUsage = 5, InProgress = 7 };  // ncclResult_t
constexpr int Devices = 8;

// Never destroyed: the compute streams wait at them until the process is gone, and the end of a condition variable waits for those who wait
// at it.
std::mutex& gate = *new std::mutex;
std::condition_variable& changed = *new std::condition_variable;
std::map<uintptr_t, size_t> deviceMemory;
std::string callLog;

void note(const std::string& line)
{
    std::lock_guard lock(gate);
    callLog += line + "\n";
}

struct Event {
    uint64_t recorded = 0, happened = 0;
    bool ofComputeStream = false;
};

struct Stream {
    bool compute = false;
    bool waitsForCompute = false;  // the last thing put on it is such a wait
    std::queue<std::function<void()>> work;
    bool busy = false, closed = false;
    std::thread thread;

    Stream() : thread([this] { run(); }) {}

    void put(std::function<void()> task)
    {
        std::lock_guard lock(gate);
        work.push(std::move(task));
        changed.notify_all();
    }

    void drain()
    {
        std::unique_lock lock(gate);
        changed.wait(lock, [this] { return work.empty() && !busy; });
    }

    void close()
    {
        drain();
        {
            std::lock_guard lock(gate);
            closed = true;
            changed.notify_all();
        }
        thread.join();
    }

  private:
    void run()
    {
        std::unique_lock lock(gate);
        for (;;) {
            changed.wait(lock, [this] { return closed || !work.empty(); });
            if (work.empty())
                return;
            auto task = std::move(work.front());
            work.pop();
            busy = true;
            lock.unlock();
            task();
            lock.lock();
            busy = false;
            changed.notify_all();
        }
    }
};

thread_local int current = 0;  // the context: a device's number and one; 0 is none
Stream* computeStreams[Devices + 1];

Stream* streamOf(void* handle)
{
    if (handle)
        return static_cast<Stream*>(handle);
    std::lock_guard lock(gate);
    auto& stream = computeStreams[current];
    if (!stream) {
        stream = new Stream();
        stream->compute = true;
    }
    return stream;
}

std::map<void*, std::shared_ptr<Event>> events;

std::shared_ptr<Event> eventOf(void* handle)
{
    std::lock_guard lock(gate);
    auto found = events.find(handle);
    return found == events.end() ? nullptr : found->second;
}

}  // namespace

API int cuInit(unsigned flags) { return flags == 0 ? OK : InvalidValue; }

API int cuGetErrorName(int code, const char** name)
{
    static std::map<int, const char*> names = { { OK, "CUDA_SUCCESS" }, { InvalidValue, "CUDA_ERROR_INVALID_VALUE" },
        { 101, "CUDA_ERROR_INVALID_DEVICE" }, { InvalidContext, "CUDA_ERROR_INVALID_CONTEXT" }, { NotReady, "CUDA_ERROR_NOT_READY" } };
    auto found = names.find(code);
    if (found == names.end())
        return InvalidValue;
    *name = found->second;
    return OK;
}

API int cuDeviceGet(int* device, int ordinal)
{
    *device = ordinal;
    return ordinal >= 0 && ordinal < Devices ? OK : 101;
}

API int cuDeviceGetUuid(unsigned char* uuid, int device)
{
    std::memset(uuid, 0x10 + device, 16);
    return OK;
}

API int cuDevicePrimaryCtxRetain(void** context, int device)
{
    *context = reinterpret_cast<void*>(static_cast<intptr_t>(device + 1));
    return OK;
}

API int cuDevicePrimaryCtxRelease_v2(int) { return OK; }

API int cuCtxSetCurrent(void* context)
{
    current = static_cast<int>(reinterpret_cast<intptr_t>(context));
    return OK;
}

API int cuPointerGetAttribute(void* data, int attribute, uintptr_t address)
{
    std::lock_guard lock(gate);
    auto after = deviceMemory.upper_bound(address);
    if (attribute != 2 || after == deviceMemory.begin() || address >= std::prev(after)->first + std::prev(after)->second)
        return InvalidValue;
    *static_cast<unsigned*>(data) = 2;
    return OK;
}

API int cuStreamCreate(void** stream, unsigned flags)
{
    if (!current)
        return InvalidContext;
    if (flags != 1)
        return InvalidValue;  // one that the compute stream holds up would overlap with nothing
    *stream = new Stream();
    return OK;
}

API int cuStreamDestroy_v2(void* handle)
{
    auto stream = static_cast<Stream*>(handle);
    stream->close();
    delete stream;
    return OK;
}

API int cuEventCreate(void** handle, unsigned flags)
{
    if (!current)
        return InvalidContext;
    if (flags != 2)
        return InvalidValue;
    auto event = std::make_shared<Event>();
    *handle = event.get();
    std::lock_guard lock(gate);
    events[*handle] = event;
    return OK;
}

API int cuEventDestroy_v2(void* handle)
{
    std::lock_guard lock(gate);
    return events.erase(handle) == 1 ? OK : InvalidValue;
}

API int cuEventRecord(void* handle, void* streamHandle)
{
    auto event = eventOf(handle);
    if (!event || !current)
        return event ? InvalidContext : InvalidValue;
    auto stream = streamOf(streamHandle);
    uint64_t version;
    {
        std::lock_guard lock(gate);
        version = ++event->recorded;
        event->ofComputeStream = stream->compute;
        stream->waitsForCompute = false;
    }
    stream->put([event, version] {
        std::lock_guard lock(gate);
        event->happened = std::max(event->happened, version);
        changed.notify_all();
    });
    return OK;
}

API int cuEventQuery(void* handle)
{
    auto event = eventOf(handle);
    if (!event)
        return InvalidValue;
    std::lock_guard lock(gate);
    return event->happened >= event->recorded ? OK : NotReady;
}

API int cuStreamWaitEvent(void* streamHandle, void* handle, unsigned flags)
{
    auto event = eventOf(handle);
    if (!event || flags != 0)
        return InvalidValue;
    auto stream = streamOf(streamHandle);
    uint64_t version;
    {
        std::lock_guard lock(gate);
        version = event->recorded;
        stream->waitsForCompute = event->ofComputeStream;
    }
    stream->put([event, version] {
        std::unique_lock lock(gate);
        changed.wait(lock, [&] { return event->happened >= version; });
    });
    return OK;
}

API int cuMemcpyDtoH_v2(void* host, void* device, size_t bytes)
{
    unsigned type;
    if (!current)
        return InvalidContext;
    if (cuPointerGetAttribute(&type, 2, reinterpret_cast<uintptr_t>(device)) != OK)
        return InvalidValue;
    streamOf(nullptr)->drain();
    std::memcpy(host, device, bytes);
    return OK;
}

API int cuMemcpyHtoD_v2(void* device, void* host, size_t bytes)
{
    unsigned type;
    if (!current)
        return InvalidContext;
    if (cuPointerGetAttribute(&type, 2, reinterpret_cast<uintptr_t>(device)) != OK)
        return InvalidValue;
    streamOf(nullptr)->drain();
    std::memcpy(device, host, bytes);
    return OK;
}

// Takes its time, so that who does not wait for it finds the memory as it was.
API int cuMemcpyHtoDAsync_v2(void* device, void* host, size_t bytes, void* stream)
{
    if (!current || !stream)
        return current ? InvalidValue : InvalidContext;  // on the compute stream it would overlap with nothing
    streamOf(stream)->put([=] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        std::memcpy(device, host, bytes);
    });
    return OK;
}

// What tests do with it.

API void standinSetDevice(void* start, size_t bytes)
{
    std::lock_guard lock(gate);
    if (bytes)
        deviceMemory[reinterpret_cast<uintptr_t>(start)] = bytes;
    else
        deviceMemory.erase(reinterpret_cast<uintptr_t>(start));
}

// A kernel on the compute stream of a device: it takes its time, then writes.
API void standinFill(int device, float* values, size_t count, float value, int milliseconds)
{
    auto before = current;
    current = device + 1;
    streamOf(nullptr)->put([=] {
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
        std::fill(values, values + count, value);
    });
    current = before;
}

API int standinLog(char* text, int capacity)
{
    std::lock_guard lock(gate);
    auto length = std::min<int>(capacity, callLog.size());
    std::memcpy(text, callLog.data(), length);
    callLog.clear();
    return length;
}

// NCCL.

namespace {

struct UniqueId {
    char value[128];
};

struct Config {
    size_t size;
    unsigned magic, version;
    int blocking;
};

struct Contribution {
    std::string kind;  // what is compared between ranks
    const void* input = nullptr;
    void* output = nullptr;
    bool given = false;
};

struct Clique {  // the ranks that were given one id
    int ranks, joined = 0;
    std::vector<int> devices;
    std::map<uint64_t, std::vector<Contribution>> exchanges;
    std::map<uint64_t, int> ended;
};

struct Comm {
    std::shared_ptr<Clique> clique;
    int rank;
    uint64_t calls = 0;
    bool aborted = false, duplicate = false, asked = true;
    int error = Success;
};

std::map<std::string, std::shared_ptr<Clique>> cliques;
std::map<int, Comm*> latest;  // by device
uint64_t ids = 0;

size_t sizeOf(int type)
{
    switch (type) {
    case 1: return 1;
    case 6: case 9: return 2;
    case 7: return 4;
    case 4: case 8: return 8;
    default: return 0;
    }
}

double load(const void* from, size_t i, int type)
{
    auto halves = static_cast<const uint16_t*>(from);
    switch (type) {
    case 4: return static_cast<const int64_t*>(from)[i];
    case 6: return _cvtsh_ss(halves[i]);
    case 7: return static_cast<const float*>(from)[i];
    case 8: return static_cast<const double*>(from)[i];
    default: {
        uint32_t bits = uint32_t(halves[i]) << 16;
        float value;
        std::memcpy(&value, &bits, 4);
        return value;
    }
    }
}

void store(void* to, size_t i, int type, double value)
{
    auto halves = static_cast<uint16_t*>(to);
    switch (type) {
    case 4: static_cast<int64_t*>(to)[i] = static_cast<int64_t>(value); break;
    case 6: halves[i] = _cvtss_sh(static_cast<float>(value), 0); break;
    case 7: static_cast<float*>(to)[i] = static_cast<float>(value); break;
    case 8: static_cast<double*>(to)[i] = value; break;
    default: {
        auto narrow = static_cast<float>(value);
        uint32_t bits;
        std::memcpy(&bits, &narrow, 4);
        halves[i] = static_cast<uint16_t>(bits >> 16);  // exact for the whole numbers of tests
    }
    }
}

using Compute = std::function<void(std::vector<Contribution>&)>;

double reduced(std::vector<Contribution>& all, size_t i, int type, int op)
{
    auto result = load(all[0].input, i, type);
    for (size_t r = 1; r < all.size(); r++) {
        auto value = load(all[r].input, i, type);
        result = op == 2 ? std::max(result, value) : op == 3 ? std::min(result, value) : result + value;
    }
    return op == 4 ? result / all.size() : result;
}

int exchange(Comm* comm, void* streamHandle, std::string kind, const void* input, void* output, Compute compute)
{
    auto stream = static_cast<Stream*>(streamHandle);
    if (!current)
        return UnhandledCuda;
    if (!stream)
        return InvalidUsage;
    uint64_t number;
    bool first;
    {
        std::lock_guard lock(gate);
        if (!stream->waitsForCompute)
            return InvalidUsage;
        stream->waitsForCompute = false;
        number = ++comm->calls;
        first = number == 1;
        comm->asked = !first;
    }
    note("device " + std::to_string(current - 1) + " rank " + std::to_string(comm->rank)
        + " of " + std::to_string(comm->clique->ranks) + ": " + kind);
    auto clique = comm->clique;
    stream->put([=] {
        std::unique_lock lock(gate);
        auto& all = clique->exchanges[number];
        all.resize(clique->ranks);
        all[comm->rank] = { kind, input, output, true };
        changed.notify_all();
        changed.wait(lock, [&] { return comm->aborted || std::all_of(all.begin(), all.end(), [](auto& c) { return c.given; }); });
        if (comm->aborted)
            return;
        if (comm->rank == 0) {
            if (std::any_of(all.begin(), all.end(), [&](auto& c) { return c.kind != kind; }))
                comm->error = InvalidUsage;
            else
                compute(all);
            clique->ended[number] = 1;
            changed.notify_all();
        }
        changed.wait(lock, [&] { return comm->aborted || clique->ended[number]; });
    });
    return first ? InProgress : Success;
}

std::string words(const char* call, size_t count, int type)
{
    return std::string(call) + " count " + std::to_string(count) + " type " + std::to_string(type);
}

}  // namespace

API int ncclGetVersion(int* version)
{
    *version = 22105;
    return Success;
}

API const char* ncclGetErrorString(int result)
{
    return result == 6 ? "remote process exited or there was a network error" : result == InvalidUsage ? "invalid usage" : "an error";
}

API int ncclGetUniqueId(UniqueId* id)
{
    std::lock_guard lock(gate);
    ids++;
    for (int i = 0; i < 128; i++)
        id->value[i] = static_cast<char>(ids * 31 + i * 7);  // every byte counts
    return Success;
}

API int ncclCommInitRankConfig(Comm** comm, int ranks, UniqueId id, int rank, Config* config)
{
    if (!current)
        return UnhandledCuda;
    for (int i = 1; i < 128; i++) {
        if (id.value[i] != static_cast<char>(id.value[0] + i * 7))
            return InvalidArgument;
    }
    if (config->magic != 0xcafebeef || config->version != 21400 || config->size < 20 || config->blocking != 0 || rank < 0 || rank >= ranks)
        return InvalidArgument;
    std::lock_guard lock(gate);
    auto& clique = cliques[std::string(id.value, 128)];
    if (!clique) {
        clique = std::make_shared<Clique>();
        clique->ranks = ranks;
    }
    *comm = new Comm { clique, rank };
    (*comm)->duplicate = std::count(clique->devices.begin(), clique->devices.end(), current) > 0;
    clique->devices.push_back(current);
    clique->joined++;
    latest[current - 1] = *comm;
    return InProgress;
}

API int ncclCommGetAsyncError(Comm* comm, int* state)
{
    std::lock_guard lock(gate);
    *state = comm->error ? comm->error
        : comm->duplicate ? InvalidUsage
        : comm->clique->joined < comm->clique->ranks || !comm->asked ? InProgress
        : Success;
    comm->asked = true;
    return Success;
}

API int ncclCommFinalize(Comm*) { return InProgress; }

API int ncclCommDestroy(Comm* comm)
{
    note("destroy");
    (void)comm;  // its stream may still hold it
    return Success;
}

API int ncclCommAbort(Comm* comm)
{
    note("abort of rank " + std::to_string(comm->rank));
    std::lock_guard lock(gate);
    comm->aborted = true;
    changed.notify_all();
    return Success;
}

API void standinFail(int device, int code)
{
    std::lock_guard lock(gate);
    latest[device]->error = code;
}

API int ncclAllReduce(const void* input, void* output, size_t count, int type, int op, Comm* comm, void* stream)
{
    if (!sizeOf(type) || (op != 0 && (op < 2 || op > 4)))
        return InvalidArgument;
    return exchange(comm, stream, words("ncclAllReduce", count, type) + " op " + std::to_string(op), input, output, [=](auto& all) {
        for (size_t i = 0; i < count; i++) {
            auto value = reduced(all, i, type, op);
            for (auto& one : all)
                store(one.output, i, type, value);
        }
    });
}

API int ncclReduceScatter(const void* input, void* output, size_t count, int type, int op, Comm* comm, void* stream)
{
    return exchange(comm, stream, words("ncclReduceScatter", count, type) + " op " + std::to_string(op), input, output, [=](auto& all) {
        for (size_t r = 0; r < all.size(); r++) {
            for (size_t i = 0; i < count; i++)
                store(all[r].output, i, type, reduced(all, r * count + i, type, op));
        }
    });
}

API int ncclAllGather(const void* input, void* output, size_t count, int type, Comm* comm, void* stream)
{
    auto bytes = count * sizeOf(type);
    return exchange(comm, stream, words("ncclAllGather", count, type), input, output, [=](auto& all) {
        for (auto& one : all) {
            for (size_t r = 0; r < all.size(); r++)
                std::memcpy(static_cast<char*>(one.output) + r * bytes, all[r].input, bytes);
        }
    });
}

API int ncclBroadcast(const void* input, void* output, size_t count, int type, int root, Comm* comm, void* stream)
{
    return exchange(comm, stream, words("ncclBroadcast", count, type) + " root " + std::to_string(root), input, output, [=](auto& all) {
        for (auto& one : all)
            std::memmove(one.output, all[root].input, count * sizeOf(type));
    });
}

static int message(const void* input, void* output, size_t count, int type, int peer, Comm* comm, void* stream)
{
    if (comm->clique->ranks != 2 || peer != 1 - comm->rank)
        return InvalidArgument;
    return exchange(comm, stream, words("message", count, type), input, output, [=](auto& all) {
        for (int r = 0; r < 2; r++) {
            if (all[r].output)
                std::memcpy(all[r].output, all[1 - r].input, count * sizeOf(type));
        }
    });
}

API int ncclSend(const void* input, size_t count, int type, int peer, Comm* comm, void* stream)
{
    return message(input, nullptr, count, type, peer, comm, stream);
}

API int ncclRecv(void* output, size_t count, int type, int peer, Comm* comm, void* stream)
{
    return message(nullptr, output, count, type, peer, comm, stream);
}
