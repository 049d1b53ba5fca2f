using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Tests.Devices;

public sealed class MachineTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("machine-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Memory_OfAContainer_IsWhatItsGroupsLeave()
    {
        Write("proc/meminfo", "MemTotal:       1000 kB\nMemAvailable:    800 kB\n");
        Write("proc/self/cgroup", "0::/pod/worker\n");
        Write("cgroup/pod/memory.max", "600000\n");
        Write("cgroup/pod/memory.current", "500000\n");
        Write("cgroup/pod/memory.stat", "anon 1\ninactive_file 20000\n");
        Write("cgroup/pod/worker/memory.max", "max\n");
        Write("cgroup/pod/worker/memory.current", "400000\n");
        Write("cgroup/pod/worker/memory.events", "low 0\noom 4\noom_kill 3\n");

        Memory().TotalBytes().ShouldBe(600_000);
        Memory().AvailableBytes().ShouldBe(120_000);
        Memory().OutOfMemoryKills().ShouldBe(3);
    }

    [Fact]
    public void Memory_UnderVersion1Groups_IsReadToo()
    {
        Write("proc/meminfo", "MemTotal:       1000 kB\nMemAvailable:    800 kB\n");
        Write("proc/self/cgroup", "5:cpu:/\n4:memory:/worker\n");
        Write("proc/vmstat", "nr_free_pages 1\noom_kill 7\n");
        Write("cgroup/memory/worker/memory.limit_in_bytes", "300000\n");
        Write("cgroup/memory/worker/memory.usage_in_bytes", "100000\n");

        Memory().TotalBytes().ShouldBe(300_000);
        Memory().AvailableBytes().ShouldBe(200_000);
        Memory().OutOfMemoryKills().ShouldBe(7);
    }

    [Fact]
    public void Memory_OfABareMachine_IsTheKernels()
    {
        Write("proc/meminfo", "MemTotal:       1000 kB\nMemAvailable:    800 kB\n");

        Memory().TotalBytes().ShouldBe(1_024_000);
        Memory().AvailableBytes().ShouldBe(819_200);
        Memory().OutOfMemoryKills().ShouldBe(0);
    }

    [Theory]
    [InlineData("0-3,8", new[] { 0, 1, 2, 3, 8 })]
    [InlineData("5", new[] { 5 })]
    public void Cores_InTheKernelsForm_AreReadAndWritten(string text, int[] cores)
    {
        CoreList.TryParse(text, out var read).ShouldBeTrue();
        read.ShouldBe(cores);
        CoreList.Text(read).ShouldBe(text);
    }

    [Theory]
    [InlineData("")]
    [InlineData("3-1")]
    [InlineData("1,1")]
    [InlineData("-1")]
    [InlineData("1-2-3")]
    [InlineData("9999")]
    public void Cores_InAnotherForm_AreRefused(string text) => CoreList.TryParse(text, out _).ShouldBeFalse();

    [Fact]
    public void Devices_WithoutAGpu_AreAsManySlotsAsTheCoresGive()
    {
        var devices = DeviceDiscovery.Find(new AgentOptions { CoresPerSlot = 3 }, [], cores: 8, new MachineMemory());

        devices.Select(device => (device.Id, device.Kind, device.Cores))
            .ShouldBe([("cpu:0", DeviceKind.Cpu, 3), ("cpu:1", DeviceKind.Cpu, 3)]);
        DeviceDiscovery.Find(new AgentOptions { CoresPerSlot = 9 }, [], cores: 8, new MachineMemory()).Count.ShouldBe(1);
    }

    [Fact]
    public void Devices_WithGpus_AreTheGpusAndOnlyTheSlotsAskedFor()
    {
        Gpu[] gpus = [new(0, "NVIDIA H200", 150_000_000_000), new(1, "NVIDIA H200", 150_000_000_000)];

        DeviceDiscovery.Find(new AgentOptions(), gpus, 8, new MachineMemory()).Select(device => device.Id).ShouldBe(["cuda:0", "cuda:1"]);
        DeviceDiscovery.Find(new AgentOptions { CpuSlots = 1 }, gpus, 8, new MachineMemory()).Select(device => device.Id)
            .ShouldBe(["cuda:0", "cuda:1", "cpu:0"]);
    }

    [Fact]
    public void DataSets_AreThoseWithAllFourFilesPlainOrZipped()
    {
        foreach (var file in new[] { "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz" })
            Write($"data/{DataCatalog.FashionMnist}/{file}", "");
        Write($"data/{DataCatalog.Mnist}/train-images-idx3-ubyte", "");

        DataSets.Find(Path.Combine(_folder.FullName, "data")).ShouldBe([DataCatalog.FashionMnist, DataCatalog.Synthetic]);
    }

    [Fact]
    public void ProcessTimes_OfThisProcessAreReadAndOfNoneAreNull()
    {
        var times = ProcessTimes.TryRead(Environment.ProcessId);

        times!.Value.StartTicks.ShouldBeGreaterThan(0);
        times.Value.CpuSeconds.ShouldBeGreaterThan(0);
        ProcessTimes.TryRead(int.MaxValue).ShouldBeNull();
    }

    [Fact]
    public void Monitor_MeasuresASlotByItsTrainersProcessorTime()
    {
        Device[] devices = [new() { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1 },
            new() { Id = "cpu:1", Kind = DeviceKind.Cpu, Cores = 1 }];
        var monitor = new DeviceMonitor(devices, nvml: null, TimeProvider.System);
        int? ProcessOf(string device) => device == "cpu:0" ? Environment.ProcessId : null;

        monitor.Measure(ProcessOf).Select(measured => (measured.Device, measured.Utilization)).ShouldBe([("cpu:1", 0.0)]);
        monitor.Measure(ProcessOf).Select(measured => measured.Device).ShouldBe(["cpu:0", "cpu:1"]);
    }

    private MachineMemory Memory() => new(Path.Combine(_folder.FullName, "proc"), Path.Combine(_folder.FullName, "cgroup"));

    private void Write(string path, string text)
    {
        var file = Path.Combine(_folder.FullName, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
