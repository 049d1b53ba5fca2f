using System.Diagnostics;
using Cluster.Contracts.V1;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Tests.Devices;

/// <summary>NVML's C interface against a library of the same shape, since few machines that run these tests have a GPU.</summary>
public sealed class NvmlTests : IDisposable
{
    // Types as nvml.h has them: nvmlMemory_t and nvmlUtilization_t by pointer, names into a buffer of a given length.
    private const string Library = """
        #include <string.h>
        static int open_count;
        int nvmlInit_v2(void) { open_count++; return FAILURE; }
        int nvmlShutdown(void) { open_count--; return 0; }
        int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
        int nvmlSystemGetDriverVersion(char *version, unsigned int length) { strncpy(version, "580.1", length); return length < 6 ? 7 : 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
        {
            *device = (void *)(long)(index + 1);
            return index < 2 ? 0 : 2;
        }
        int nvmlDeviceGetName(void *device, char *name, unsigned int length)
        {
            strncpy(name, device == (void *)1 ? "NVIDIA H200" : "NVIDIA L4", length);
            return 0;
        }
        int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory)
        {
            memory[0] = (long)device * 1000000;
            memory[1] = 1;
            memory[2] = 2;
            return 0;
        }
        int nvmlDeviceGetUtilizationRates(void *device, unsigned int *rates)
        {
            rates[0] = 37;
            rates[1] = 5;
            return device == (void *)1 ? 0 : 3;
        }
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nvml-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Gpus_AreFoundWithModelAndMemory_AndMeasuredWhereTheyCanBe()
    {
        using var nvml = Nvml.TryOpen(out _, Compile(initializes: true));

        nvml.ShouldNotBeNull();
        nvml.Gpus().ShouldBe([new Gpu(0, "NVIDIA H200", 1_000_000), new Gpu(1, "NVIDIA L4", 2_000_000)]);
        nvml.DriverVersion().ShouldBe("580.1");
        Device[] devices = [new() { Id = "cuda:0", Kind = DeviceKind.Cuda }, new() { Id = "cuda:1", Kind = DeviceKind.Cuda }];
        new DeviceMonitor(devices, nvml, TimeProvider.System).Measure(_ => null)
            .ShouldBe([new DeviceUtilization { Device = "cuda:0", Utilization = 0.37 }]);
        Should.Throw<InvalidOperationException>(() => nvml.Utilization(5)).Message.ShouldBe("nvmlDeviceGetHandleByIndex_v2 answered 2");
    }

    [Fact]
    public void ADriver_ThatDoesNotWorkOrIsNotThere_IsNoGpuAndSaysWhy()
    {
        Nvml.TryOpen(out var broken, Compile(initializes: false)).ShouldBeNull();
        broken.ShouldBe("nvmlInit_v2 answered 9");

        Nvml.TryOpen(out var absent, "libno-such-library.so.1").ShouldBeNull();
        absent.ShouldBe("libno-such-library.so.1 is not on this machine");
    }

    private string Compile(bool initializes)
    {
        var source = Path.Combine(_folder.FullName, "nvml.c");
        var library = Path.Combine(_folder.FullName, $"libnvml-{initializes}.so");
        File.WriteAllText(source, Library);
        using var compiler = Process.Start("cc", ["-shared", "-fPIC", $"-DFAILURE={(initializes ? 0 : 9)}", "-o", library, source]);
        compiler.WaitForExit();
        compiler.ExitCode.ShouldBe(0);
        return library;
    }
}
