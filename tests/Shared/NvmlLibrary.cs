using System.Diagnostics;

namespace Cluster.Tests.Shared;

/// <summary>A library of the shape of NVIDIA's libnvidia-ml.so.1, with two cards, since few machines that run tests have a GPU.</summary>
internal static class NvmlLibrary
{
    // Types as nvml.h has them. Card 0 is whole; card 1 is in MIG mode, with instances at its places 0 and 2. Handles: 1 and 2 are cards,
    // 10 and 12 instances.
    public const string Source = """
        #include <stdio.h>
        #include <string.h>
        #include <unistd.h>
        typedef long device;
        static const char *uuids[] = { [1] = "GPU-aaaa", [2] = "GPU-bbbb", [10] = "MIG-1111", [12] = "MIG-2222" };
        static int lost;
        static volatile int xid_card, xid, hung, held, shut;
        int nvmlInit_v2(void) { return FAILURE; }
        int nvmlShutdown(void) { shut = 1; return 0; }
        int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
        int nvmlSystemGetDriverVersion(char *version, unsigned int length) { strncpy(version, "580.1", length); return length < 6 ? 7 : 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device *found) { *found = index + 1; return index < 2 ? 0 : 2; }
        int nvmlDeviceGetHandleByUUID(const char *uuid, device *found)
        {
            for (*found = 1; *found < 13; ++*found)
                if (uuids[*found] && !strcmp(uuids[*found], uuid))
                    return lost & 1 << *found ? 15 : 0;
            return 6;
        }
        int nvmlDeviceGetUUID(device d, char *uuid, unsigned int length)
        {
            strncpy(uuid, uuids[d], length);
            return lost & 1 << d ? 15 : 0;
        }
        int nvmlDeviceGetName(device d, char *name, unsigned int length)
        {
            strncpy(name, d == 1 ? "NVIDIA H200" : d == 2 ? "NVIDIA A100" : "NVIDIA A100 MIG 1g.5gb", length);
            return 0;
        }
        int nvmlDeviceGetPciInfo_v3(device d, void *info)
        {
            unsigned int *fields = (unsigned int *)((char *)info + 16);
            memset(info, 0x55, 68);
            fields[0] = 0; fields[1] = d == 1 ? 0x17 : 0xca; fields[2] = 0;
            return 0;
        }
        int nvmlDeviceGetMigMode(device d, unsigned int *now, unsigned int *pending) { *now = *pending = 1; return d == 2 ? 0 : 3; }
        int nvmlDeviceGetMaxMigDeviceCount(device d, unsigned int *count) { *count = 7; return d == 2 ? 0 : 2; }
        int nvmlDeviceGetMigDeviceHandleByIndex(device d, unsigned int place, device *instance)
        {
            *instance = 10 + place;
            return place == 0 || place == 2 ? 0 : 6;
        }
        int nvmlDeviceGetGpuInstanceId(device d, unsigned int *id) { *id = d - 3; return d >= 10 ? 0 : 2; }
        int nvmlDeviceGetComputeInstanceId(device d, unsigned int *id) { *id = 0; return d >= 10 ? 0 : 2; }
        int nvmlDeviceGetMemoryInfo(device d, unsigned long long *memory)
        {
            for (held = hung; hung;)
                usleep(1000);
            memory[0] = d * 1000000; memory[1] = d * 999000; memory[2] = d * 1000;
            return 0;
        }
        int nvmlDeviceGetUtilizationRates(device d, unsigned int *rates) { rates[0] = 37; rates[1] = 5; return 0; }
        int nvmlDeviceGetTemperature(device d, int sensor, unsigned int *celsius) { *celsius = 61; return sensor; }
        int nvmlDeviceGetPowerUsage(device d, unsigned int *milliwatts) { *milliwatts = 512300; return 0; }
        int nvmlDeviceGetTotalEccErrors(device d, int kind, int since, unsigned long long *errors)
        {
            *errors = kind ? 2 : 40 + d;
            return since || d > 2 ? 3 : 0;
        }
        int nvmlEventSetCreate(void **set) { *set = (void *)&xid; return 0; }
        int nvmlDeviceRegisterEvents(device d, unsigned long long types, void *set)
        {
            return set != (void *)&xid || types != 8 ? 2 : WATCH;
        }
        int nvmlEventSetWait_v2(void *set, void *data, unsigned int milliseconds)
        {
            for (; !xid && milliseconds; milliseconds--)
                usleep(1000);
            if (!xid)
                return 10;
            if (xid < 0)
            {
                int code = -xid;
                xid = 0;
                return code;
            }
            ((device *)data)[0] = xid_card;
            ((unsigned long long *)data)[1] = 8;
            ((unsigned long long *)data)[2] = xid;
            xid = 0;
            return 0;
        }
        int nvmlEventSetFree(void *set) { return 0; }
        void lose(int handles) { lost = handles; }
        void hang(int on) { hung = on; }
        int is_held(void) { return held; }
        int is_shut(void) { return shut; }
        void fault(int card, int code) { xid_card = card; xid = code; }
        """;

    /// <param name="library">The file to make.</param>
    /// <param name="source">In C.</param>
    /// <param name="failure">What initialising answers; 0 is success.</param>
    /// <param name="watch">What asking for a card's faults answers.</param>
    public static void Compile(string library, string source = Source, int failure = 0, int watch = 0)
    {
        var file = Path.ChangeExtension(library, ".c");
        File.WriteAllText(file, source);
        using var compiler = Process.Start(
            "cc", ["-shared", "-fPIC", $"-DFAILURE={failure}", $"-DWATCH={watch}", "-o", library, file]);
        compiler.WaitForExit();
        if (compiler.ExitCode != 0)
            throw new InvalidOperationException($"cc ended with {compiler.ExitCode}");
    }
}
